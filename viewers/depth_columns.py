"""Sums of a change over depth in every column, from which the profile of any region follows at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.depth import depth_of
from deltamu.recon.change.layer_stack import Layer
from deltamu.viewers.depth_regions import Columns, Mask

Float = NDArray[np.float64]
ROWS_AT_A_TIME = 8


@dataclass(frozen=True, eq=False)
class RegionProfile:
    """Mean change against depth in a region.

    Attributes
    ----------
    depth_mm, mean, standard_error, spread, count : (bin,) arrays
        As in profiles/<change>.csv.
    errors_from : str
        Where the standard errors come from.
    """

    depth_mm: Float
    mean: Float
    standard_error: Float
    spread: Float
    count: Float
    errors_from: str


@dataclass(frozen=True, eq=False)
class ColumnSums:
    """Count, sum and sum of squares of the voxels of each bin of depth, (bin, y, x)."""

    depth_mm: Float
    count: NDArray[np.uint16]
    total: NDArray[np.float32]
    squares: NDArray[np.float32]

    def profile(self, region: Mask) -> RegionProfile:
        """Average over a region; voxels count as independent in the standard error."""
        count = self.count[:, region].sum(axis=1, dtype=np.float64)
        total = self.total[:, region].sum(axis=1, dtype=np.float64)
        squares = self.squares[:, region].sum(axis=1, dtype=np.float64)
        empty = np.full(count.shape, np.nan)
        mean = np.divide(total, count, out=empty.copy(), where=count > 0)
        scatter = np.maximum(squares - total * np.nan_to_num(mean), 0)
        spread = np.sqrt(np.divide(scatter, count - 1, out=empty.copy(), where=count > 1))
        error = np.divide(spread, np.sqrt(count), out=empty.copy(), where=count > 0)
        return RegionProfile(
            self.depth_mm, mean, error, spread, count, "the scatter of the voxels, taken as independent"
        )


def column_sums(image: Any, layer: Layer, columns: Columns, edges_mm: Float) -> ColumnSums:
    """Sum a change over bins of depth in every column around the pellet.

    Parameters
    ----------
    image : (z, y, x) array-like
        Read some rows at a time.
    layer : Layer
        Its near surface is depth 0.
    columns : Columns
    edges_mm : (bin + 1,) array
        Evenly spaced.
    """
    shape = (edges_mm.size - 1, *columns.shape)
    sums = ColumnSums(
        0.5 * (edges_mm[1:] + edges_mm[:-1]),
        np.zeros(shape, np.uint16),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
    first, last = _rows(layer, columns, edges_mm, image.shape[0])
    for begin in range(first, last, ROWS_AT_A_TIME):
        stop = min(begin + ROWS_AT_A_TIME, last)
        values = np.asarray(image[begin:stop, columns.rows, columns.columns])
        for row, plane in zip(range(begin, stop), values, strict=True):
            _add_plane(sums, layer, columns, edges_mm, row, plane)
    return sums


def _add_plane(
    sums: ColumnSums, layer: Layer, columns: Columns, edges_mm: Float, row: int, plane: NDArray[Any]
) -> None:
    y, x = (np.arange(part.start, part.stop) for part in (columns.rows, columns.columns))
    depth = depth_of(layer, row, y[:, None], x[None, :])
    bins = np.floor((depth - edges_mm[0]) / (edges_mm[1] - edges_mm[0])).astype(np.intp)
    chosen = (bins >= 0) & (bins < len(sums.depth_mm)) & np.isfinite(plane)
    at = (bins[chosen], *np.nonzero(chosen))
    # a column has one voxel in a plane, so no element is named twice
    sums.count[at] += 1
    sums.total[at] += plane[chosen]
    sums.squares[at] += plane[chosen] ** 2


def _rows(layer: Layer, columns: Columns, edges_mm: Float, rows: int) -> tuple[int, int]:
    """Rows that the bins reach in any column."""
    y, x = columns.positions_mm
    near = layer.near.height_mm(y[:, None], x[None, :])
    cosine = layer.near.normal_cosine(y[:, None], x[None, :])
    reached = [near + layer.side * edge / cosine for edge in (edges_mm[0], edges_mm[-1])]
    low = min(float(heights.min()) for heights in reached) / layer.voxel_size_mm
    high = max(float(heights.max()) for heights in reached) / layer.voxel_size_mm
    return max(0, int(low)), min(rows, int(high) + 2)
