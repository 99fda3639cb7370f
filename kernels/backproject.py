"""Back-projection of filtered views through any geometry: what analytic reconstructions sum."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu
from deltamu.kernels.warp import as_volume

Array = NDArray[np.float32]


def add_views(volume: Array, views: Array, matrices: ArrayLike, *, row_margin: float = 0.5) -> None:
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

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.
    """
    source = as_volume(views, "views")
    given = np.asarray(matrices, np.float64)
    if (
        list(given.shape) not in ([source.shape[0], 2, 4], [source.shape[0], 3, 4])
        or not np.isfinite(given).all()
    ):
        raise ValueError(
            f"matrices: found shape {given.shape}, expected ({source.shape[0]}, 2 or 3, 4), all finite"
        )
    if not row_margin >= 0:
        raise ValueError(f"row_margin: found {row_margin}, expected a number of rows, not negative")
    if volume.ndim != 3 or volume.dtype != np.float32 or not volume.flags.c_contiguous:
        raise ValueError(f"volume: found {volume.dtype} of shape {volume.shape}, expected contiguous float32")
    cone = given.shape[1] == 3
    _cpu.add_views(source, homogeneous(given), cone, row_margin, volume)


def homogeneous(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (view, 3, 4) matrices; the third row of a parallel view is (0, 0, 0, 1)."""
    if matrices.shape[1] == 3:
        return np.ascontiguousarray(matrices)
    last = np.broadcast_to([[[0.0, 0.0, 0.0, 1.0]]], (len(matrices), 1, 4))
    return np.concatenate([matrices, last], axis=1)
