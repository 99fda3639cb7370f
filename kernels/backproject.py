"""Back-projection of filtered views through any geometry: what analytic reconstructions sum."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu, backproject_cuda
from deltamu.kernels.backend import common_module
from deltamu.kernels.warp import as_volume

Array = NDArray[np.float32]
Storage = Literal["float32", "float16"]
# the largest value is scaled to at most this: far from overflow, and 4e-9 of it still has all its digits
_LARGEST_HALF = 2.0**14


def add_views(
    volume: Array,
    views: Array,
    matrices: ArrayLike,
    *,
    row_margin: float = 0.5,
    storage: Storage = "float32",
) -> None:
    """Add to every voxel what each view shows at the place where it is seen.

    Parameters
    ----------
    volume : (z, y, x) float32 array, C-contiguous
        Is added to. A voxel that some view sees beyond its first or last row becomes NaN.
    views : (view, row, column) float32 array
        Interpolated bilinearly; zero beyond the first and last column.
    matrices : (view, 2, 4) or (view, 3, 4) array
        Take the voxel index (x, y, z, 1) to (column, row) for parallel rays, or to (column w, row w, w) for rays
        from a point; then a view counts by 1 / w².
    row_margin : float
        How far beyond the centres of the outermost rows a voxel still counts as seen, rows.
    storage : {"float32", "float16"}
        How the views are held while they are read. 16 bits halve the traffic of memory on a GPU and round every
        value to 11 bits, at most 2**-11 of itself (down to 4e-9 of the largest); sums have 32 bits either way.

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.
    """
    xp = common_module(volume=volume, views=views)
    source = as_volume(views, "views")
    given = _checked_matrices(matrices, source.shape[0])
    if not row_margin >= 0:
        raise ValueError(f"row_margin: found {row_margin}, expected a number of rows, not negative")
    if volume.ndim != 3 or volume.dtype != np.float32 or not volume.flags.c_contiguous:
        raise ValueError(f"volume: found {volume.dtype} of shape {volume.shape}, expected contiguous float32")
    cone = given.shape[1] == 3
    stored, scale = _stored(source, storage)
    if xp is not np:
        backproject_cuda.add_views(
            volume, stored, homogeneous(given), cone=cone, row_margin=row_margin, scale=scale
        )
        return
    if storage == "float16":
        stored = stored.astype(np.float32) * np.float32(scale)
    _cpu.add_views(stored, homogeneous(given), cone, row_margin, volume)


def _checked_matrices(matrices: ArrayLike, views: int) -> NDArray[np.float64]:
    given = np.asarray(matrices, np.float64)
    if list(given.shape) not in ([views, 2, 4], [views, 3, 4]) or not np.isfinite(given).all():
        raise ValueError(f"matrices: found shape {given.shape}, expected ({views}, 2 or 3, 4), all finite")
    return given


def _stored(views: Array, storage: Storage) -> tuple[NDArray[np.floating], float]:
    """The views as they are held, and what to multiply them with; a power of two, which rounds nothing."""
    if storage == "float32":
        return views, 1.0
    if storage != "float16":
        raise ValueError(f"storage: found {storage!r}, expected 'float32' or 'float16'")
    largest = float(abs(views).max())
    if not 0 < largest < math.inf:
        return views.astype(np.float16), 1.0
    scale = 2.0 ** math.ceil(math.log2(largest / _LARGEST_HALF))
    return (views * np.float32(1 / scale)).astype(np.float16), scale


def homogeneous(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (view, 3, 4) matrices; the third row of a parallel view is (0, 0, 0, 1)."""
    if matrices.shape[1] == 3:
        return np.ascontiguousarray(matrices)
    last = np.broadcast_to([[[0.0, 0.0, 0.0, 1.0]]], (len(matrices), 1, 4))
    return np.concatenate([matrices, last], axis=1)
