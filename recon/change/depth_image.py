"""A profile along any depth coordinate that is given as an image, such as that of Laplace's equation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
LEAST_SECTORS = 3


@dataclass(frozen=True, eq=False)
class SectorSums:
    """Sums over voxels by sector and bin of depth; those of slabs add up.

    Attributes
    ----------
    count, total, squares : (sector, bin) arrays
        Of Δμ and its square, cm⁻¹.
    """

    count: Float
    total: Float
    squares: Float

    def __add__(self, other: "SectorSums") -> "SectorSums":
        """Sums of both slabs."""
        return SectorSums(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class DepthMeans:
    """Means over bins of depth.

    Attributes
    ----------
    mean, standard_error, spread : (bin,) arrays
        cm⁻¹; the error from the scatter of the sectors (noise and texture), the spread of the voxels. NaN where a bin
        is empty or in fewer than three sectors.
    count : (bin,) array
        Voxels.
    """

    mean: Float
    standard_error: Float
    spread: Float
    count: NDArray[np.int64]


def sector_sums(
    values: NDArray[np.floating],
    depth_mm: NDArray[np.floating],
    sector: NDArray[np.integer],
    edges_mm: NDArray[np.floating],
    *,
    sectors: int,
) -> SectorSums:
    """Sum a change by sector and depth.

    Parameters
    ----------
    values, depth_mm : arrays of one shape
        cm⁻¹ and mm; voxels where either is NaN are left out.
    sector : integer array that broadcasts
        0 to `sectors` − 1; negative where a voxel does not count.
    edges_mm : (bin + 1,) array
        Ascending.

    Raises
    ------
    InputError
        If the shapes differ or the edges do not ascend.
    """
    if values.shape != depth_mm.shape or edges_mm.size < 2 or np.any(np.diff(edges_mm) <= 0):
        raise InputError(
            f"depth: found values {values.shape}, depths {depth_mm.shape} and {edges_mm.size} edges; expected one shape "
            "and ascending edges"
        )
    bins = edges_mm.size - 1
    where = np.broadcast_to(sector, values.shape)
    valid = np.isfinite(values) & np.isfinite(depth_mm) & (where >= 0)
    at = np.searchsorted(edges_mm, depth_mm[valid], side="right") - 1
    inside = (at >= 0) & (at < bins)
    index = where[valid][inside] * bins + at[inside]
    value = values[valid][inside].astype(np.float64)

    def gathered(weights: Float | None) -> Float:
        return np.bincount(index, weights, sectors * bins).reshape(sectors, bins).astype(np.float64)

    return SectorSums(gathered(None), gathered(value), gathered(value**2))


def depth_means(sums: SectorSums) -> DepthMeans:
    """Mean of every bin with the error that its sectors show."""
    count, total = sums.count.sum(axis=0), sums.total.sum(axis=0)
    empty = np.full(count.shape, np.nan)
    mean = np.divide(total, count, out=empty.copy(), where=count > 0)
    square = np.divide(sums.squares.sum(axis=0), count, out=empty.copy(), where=count > 0)
    residual = sums.total - sums.count * mean
    filled = np.count_nonzero(sums.count, axis=0)
    enough = filled >= LEAST_SECTORS
    scatter = np.sum(residual**2, axis=0) * np.divide(filled, filled - 1, out=empty.copy(), where=enough)
    error = np.divide(np.sqrt(scatter), count, out=empty.copy(), where=enough & (count > 0))
    return DepthMeans(mean, error, np.sqrt(np.maximum(square - mean**2, 0.0)), count.astype(np.int64))
