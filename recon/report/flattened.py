"""A change flattened along the layer: mean between two depths, seen along the normal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.sections import CellFrame, Float32

BLOCK_ROWS = 32


@dataclass(frozen=True)
class FlattenedSlices:
    """Means of a change in equal steps of depth.

    Attributes
    ----------
    edges_mm : (slice + 1,) array
        Depths between which each slice is averaged.
    values : (slice, y, x) array
        cm⁻¹; NaN outside the pellet.
    half_width_mm : (y, x) tuple of (first, last) edges measured from the axis
    """

    edges_mm: Float
    values: Float32
    vertical_mm: tuple[float, float]
    horizontal_mm: tuple[float, float]


def flattened_slices(
    content: ReportContent, change: str, frame: CellFrame, *, thickness_mm: float, count: int
) -> FlattenedSlices:
    """Average a change between `count` + 1 equally spaced depths, column by column.

    The depth of every voxel comes from the image `layers/<name>/depth`; blocks of rows bound the memory.
    """
    delta = open_study_image(content, f"changes/{change}/delta_mu")
    depth = open_study_image(content, f"layers/{content.profile_layer}/depth")
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(frame.inside))
    shape = (count, rows.stop - rows.start, columns.stop - columns.start)
    total, voxels = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    first, last = _rows_of_layer(frame)
    for start in range(first, last, BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, last))
        _add_block(
            total, voxels, delta.read(block, rows, columns), depth.read(block, rows, columns), thickness_mm
        )
    values = np.where(voxels > 0, total / np.maximum(voxels, 1), np.nan).astype(np.float32)
    edges = [((w.start - 0.5) * frame.voxel_mm - a, (w.stop - 0.5) * frame.voxel_mm - a)
             for w, a in zip((rows, columns), frame.axis_mm, strict=True)]  # fmt: skip
    return FlattenedSlices(np.linspace(0, thickness_mm, count + 1), values, edges[0], edges[1])


def _rows_of_layer(frame: CellFrame) -> tuple[int, int]:
    """Rows that the layer reaches anywhere inside the pellet."""
    if frame.near_mm is None or frame.far_mm is None:
        raise ValueError("the faces of the profile layer are not known")
    heights = np.stack([frame.near_mm[frame.inside], frame.far_mm[frame.inside]]) / frame.voxel_mm
    first = int(np.clip(np.floor(np.nanmin(heights)), 0, frame.shape[0] - 1))
    last = int(np.clip(np.ceil(np.nanmax(heights)) + 1, first + 1, frame.shape[0]))
    return first, last


def _add_block(
    total: Float32, voxels: NDArray[np.int32], values: Float32, depth: Float32, thickness_mm: float
) -> None:
    count = total.shape[0]
    index = np.floor(np.nan_to_num(depth, nan=-1.0) / thickness_mm * count).astype(np.int32)
    usable = np.isfinite(values) & np.isfinite(depth)
    for step in range(count):
        chosen = usable & (index == step)
        total[step] += np.sum(values, axis=0, where=chosen)
        voxels[step] += np.count_nonzero(chosen, axis=0)
