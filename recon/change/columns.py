"""Volumes reduced to columns: means over small lateral blocks of the pellet, row by row.

Layers are nearly perpendicular to z, so a block of a few voxels keeps everything that an interface fit needs,
with a hundredth of the data. Blocks are read slab by slab; the volume may be on disk.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
# as many as a chunk of a stored image holds
SLAB_ROWS = 32


@dataclass(frozen=True, eq=False)
class Columns:
    """Block means of a volume.

    Attributes
    ----------
    z_mm : (row,) array
    y_mm, x_mm : (column,) arrays
        Centres of the blocks, the mean over their voxels inside the pellet.
    mean : (row, column) array
        cm⁻¹; 0 where a block has no finite voxel.
    fraction : (row, column) array
        Finite voxels inside the pellet over voxels of a full block: the weight of a mean.
    block : int
        Edge of a block, voxels.
    """

    z_mm: Float
    y_mm: Float
    x_mm: Float
    mean: Float
    fraction: Float
    block: int


def pellet_box(
    shape: tuple[int, ...], axis_mm: tuple[float, float], radius_mm: float, voxel_size_mm: float
) -> tuple[slice, slice]:
    """Rows and columns (y, x) of a slice that hold the disc.

    Raises
    ------
    InputError
        If the disc lies outside the slices.
    """
    ranges = []
    for axis, size in zip(axis_mm, shape[-2:], strict=True):
        low = max(0, int(np.floor((axis - radius_mm) / voxel_size_mm)))
        high = min(size, int(np.ceil((axis + radius_mm) / voxel_size_mm)) + 1)
        if high - low < 3:
            raise InputError(
                f"pellet: axis {axis:.3f} mm and radius {radius_mm:.3f} mm leave the slices of {size} voxels"
            )
        ranges.append(slice(low, high))
    return ranges[0], ranges[1]


def read_columns(
    volume: Any,
    *,
    voxel_size_mm: float,
    axis_mm: tuple[float, float],
    radius_mm: float,
    rows: slice,
    blocks_across: int = 22,
) -> Columns:
    """Average a volume over square lateral blocks inside a disc.

    Parameters
    ----------
    volume : (z, y, x) array-like
        cm⁻¹; sliced slab by slab. NaN is left out.
    axis_mm, radius_mm : pellet axis (y, x) and the radius inside which voxels count
    rows : slice
        Rows to read.
    blocks_across : int
        About so many blocks along the diameter.
    """
    box = pellet_box(volume.shape, axis_mm, radius_mm, voxel_size_mm)
    block = max(1, round(2 * radius_mm / voxel_size_mm / blocks_across))
    y, x = (np.arange(part.start, part.stop) * voxel_size_mm for part in box)
    inside = np.hypot(y[:, None] - axis_mm[0], x[None, :] - axis_mm[1]) < radius_mm
    voxels = _block_sums(inside[None].astype(float), block)[0]
    kept = voxels >= 0.5 * block**2
    centre_y = _block_sums((inside * y[:, None])[None], block)[0][kept] / voxels[kept]
    centre_x = _block_sums((inside * x[None, :])[None], block)[0][kept] / voxels[kept]
    sums, counts = _slab_sums(volume, box, rows, inside, block)
    mean = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    z_mm = np.arange(rows.start, rows.stop) * voxel_size_mm
    return Columns(z_mm, centre_y, centre_x, mean[:, kept], counts[:, kept] / block**2, block)


def _slab_sums(
    volume: Any, box: tuple[slice, slice], rows: slice, inside: NDArray[np.bool_], block: int
) -> tuple[Float, Float]:
    sums, counts = [], []
    for start in range(rows.start, rows.stop, SLAB_ROWS):
        stop = min(start + SLAB_ROWS, rows.stop)
        slab = np.asarray(volume[start:stop, box[0], box[1]], np.float32)
        valid = np.isfinite(slab) & inside
        sums.append(_block_sums(np.where(valid, slab, np.float32(0)), block))
        counts.append(_block_sums(valid, block))
    return np.concatenate(sums), np.concatenate(counts)


def _block_sums(values: NDArray[Any], block: int) -> Float:
    """Sum (row, y, x) over block × block voxels; the last blocks are padded with zeros."""
    rows, height, width = values.shape
    padded = np.pad(values, ((0, 0), (0, -height % block), (0, -width % block)))
    shape = (rows, padded.shape[1] // block, block, padded.shape[2] // block, block)
    sums: Float = padded.reshape(shape).sum(axis=(2, 4), dtype=np.float64)
    return sums
