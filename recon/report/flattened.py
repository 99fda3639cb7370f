"""A change flattened along the layer: mean between two depths, seen along the normal."""

from dataclasses import dataclass

import numpy as np

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.sections import CellFrame, Float32

BLOCK_ROWS = 32
# a column with less than this part of the slice has no mean: the rest is outside the field
LEAST_COVERED = 0.5


@dataclass(frozen=True)
class FlattenedSlices:
    """Means of a change between depths.

    Attributes
    ----------
    edges_mm : (slice + 1,) array
        Depths between which each slice is averaged.
    values : (slice, y, x) array
        cm⁻¹; NaN outside the pellet.
    vertical_mm, horizontal_mm : (first, last) edges of y and x, measured from the axis
    """

    edges_mm: Float
    values: Float32
    vertical_mm: tuple[float, float]
    horizontal_mm: tuple[float, float]


def flattened_slices(
    content: ReportContent, change: str, frame: CellFrame, *, edges_mm: Float
) -> FlattenedSlices:
    """Average a change between given depths, column by column.

    Every voxel counts with the part of it that lies between the two depths, so that a face that crosses the
    rows of the grid leaves no contour lines. Depth is measured from the face at the separator along its
    local normal; blocks of rows bound the memory.

    Parameters
    ----------
    edges_mm : (slice + 1,) array
        Increasing depths; they may lie outside the layer.

    Returns
    -------
    FlattenedSlices
    """
    if frame.near_mm is None:
        raise ValueError("the faces of the profile layer are not known")
    image = open_study_image(content, f"changes/{change}/delta_mu")
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(frame.inside))
    near, slope = _face(frame, rows, columns)
    shape = (edges_mm.size - 1, rows.stop - rows.start, columns.stop - columns.start)
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    first, last = _rows_between(frame, near, slope, edges_mm)
    for start in range(first, last, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, last)
        heights = np.arange(start, stop) * frame.voxel_mm
        depth = frame.toward_collector * (heights[:, None, None] - near) * slope
        _add_block(total, weight, image.read(slice(start, stop), rows, columns), depth, edges_mm, frame)
    covered = weight > LEAST_COVERED * np.diff(edges_mm)[:, None, None] / frame.voxel_mm
    values = np.where(covered & frame.inside[rows, columns], total / np.maximum(weight, 1e-9), np.nan)
    extent = [((w.start - 0.5) * frame.voxel_mm - a, (w.stop - 0.5) * frame.voxel_mm - a)
              for w, a in zip((rows, columns), frame.axis_mm, strict=True)]  # fmt: skip
    return FlattenedSlices(edges_mm, values.astype(np.float32), extent[0], extent[1])


def _face(frame: CellFrame, rows: slice, columns: slice) -> tuple[Float, Float]:
    """Height of the face at the separator and the cosine of its local slope."""
    near = np.asarray(frame.near_mm)
    along_y, along_x = (np.gradient(near, frame.voxel_mm, axis=axis) for axis in (0, 1))
    cosine = 1 / np.sqrt(1 + along_y**2 + along_x**2)
    return near[rows, columns], cosine[rows, columns]


def _rows_between(frame: CellFrame, near: Float, slope: Float, edges_mm: Float) -> tuple[int, int]:
    """Rows that the depths reach anywhere."""
    reached = [near + frame.toward_collector * edge / slope for edge in (edges_mm[0], edges_mm[-1])]
    lowest = min(float(np.nanmin(heights)) for heights in reached) / frame.voxel_mm
    highest = max(float(np.nanmax(heights)) for heights in reached) / frame.voxel_mm
    first = int(np.clip(np.floor(lowest - 1), 0, frame.shape[0] - 1))
    return first, int(np.clip(np.ceil(highest + 2), first + 1, frame.shape[0]))


def _add_block(
    total: Float32, weight: Float32, values: Float32, depth: Float, edges_mm: Float, frame: CellFrame
) -> None:
    position = np.where(np.isfinite(values), depth / frame.voxel_mm, np.inf)
    known = np.nan_to_num(values)
    for index in range(total.shape[0]):
        low, high = edges_mm[index] / frame.voxel_mm, edges_mm[index + 1] / frame.voxel_mm
        part = np.clip(np.minimum(position + 0.5, high) - np.maximum(position - 0.5, low), 0, None)
        total[index] += np.sum(known * part, axis=0)
        weight[index] += np.sum(part, axis=0)
