"""Projection of a volume along rays of any geometry, parallel or from a point, and the exact transpose."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu, rays_cuda
from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.warp import as_volume, output_array

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Shape = tuple[int, int, int]
_RIM = 3


def project_rays(
    volume: Array,
    matrices: ArrayLike,
    *,
    detector_shape: tuple[int, int],
    voxel_size: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Line integrals of a volume, one ray through the middle of every detector pixel.

    Parameters
    ----------
    volume : (z, y, x) float32 array
    matrices : (view, 2, 4) or (view, 3, 4) array
        Take the voxel index (x, y, z, 1) to (column, row) for parallel rays, or to (column w, row w, w) for rays
        from a point.
    detector_shape : (rows, columns)
    voxel_size : float
        Edge of a voxel: the unit of the line integrals is that of the volume times this.
    out : (view, row, column) float32 array, optional

    Returns
    -------
    (view, row, column) float32 array

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.

    Notes
    -----
    Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Transactions on Medical
    Imaging 1 (1982), with bilinear interpolation in planes. The result does not depend on the number of threads.
    """
    source = as_volume(volume, "volume")
    rays = ray_maps(matrices)
    _check_positive("voxel_size", voxel_size)
    target = output_array(source, (len(rays), *_checked_shape("detector_shape", detector_shape, 2)), out)
    if array_module(source) is not np:
        rays_cuda.project_rays(source, rays, voxel_size=voxel_size, out=target)
        return target
    _cpu.project_rays(source, rays, voxel_size, target)
    return target


def backproject_rays(
    projections: Array,
    matrices: ArrayLike,
    *,
    volume_shape: Shape,
    voxel_size: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Spread projections back along their rays: the exact transpose of `project_rays`, not an inverse.

    Parameters
    ----------
    projections : (view, row, column) float32 array
    matrices : (view, 2, 4) or (view, 3, 4) array
        As in `project_rays`.
    volume_shape : (z, y, x)
    voxel_size : float
        As in `project_rays`.
    out : (z, y, x) float32 array, optional

    Returns
    -------
    (z, y, x) float32 array

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.
    """
    source = as_volume(projections, "projections")
    rays = ray_maps(matrices)
    if len(rays) != source.shape[0]:
        raise ValueError(f"matrices: found {len(rays)}, expected one for each of the {source.shape[0]} views")
    _check_positive("voxel_size", voxel_size)
    target = output_array(source, _checked_shape("volume_shape", volume_shape, 3), out)
    if array_module(source) is not np:
        rays_cuda.backproject_rays(source, rays, voxel_size=voxel_size, out=target)
        return target
    _cpu.backproject_rays(source, rays, voxel_size, target)
    return target


def rays_cost(volume_shape: Shape) -> Cost:
    """Working memory of `project_rays` and `backproject_rays`: the volume within a rim of zeros."""
    return Cost(0, 4 * math.prod(n + _RIM for n in volume_shape))


def ray_maps(matrices: ArrayLike) -> Float:
    """Turn view matrices round: from a pixel to its ray.

    Parameters
    ----------
    matrices : (view, 2 or 3, 4) array

    Returns
    -------
    (view, 2, 3, 3) float64 array
        A point of the ray and its direction, (x, y, z) in voxels: each a constant, and its changes per column
        and per row.

    Raises
    ------
    ValueError
        If the shape does not fit, a number is not finite, or a view has no definite rays.
    """
    given = np.asarray(matrices, np.float64)
    if given.ndim != 3 or given.shape[0] == 0 or given.shape[1:] not in ((2, 4), (3, 4)):
        raise ValueError(f"matrices: found shape {given.shape}, expected (view, 2 or 3, 4)")
    with np.errstate(all="ignore"):
        try:
            maps = _parallel_maps(given) if given.shape[1] == 2 else _cone_maps(given)
        except np.linalg.LinAlgError:
            maps = np.full((1, 2, 3, 3), np.nan)
    if not np.isfinite(maps).all():
        raise ValueError(
            "matrices: found rows that depend on each other or are not finite; a view has no rays"
        )
    return np.ascontiguousarray(maps)


def _parallel_maps(matrices: Float) -> Float:
    """The point of a ray that is closest to the origin, and the direction that both rows do not see."""
    linear, offset = matrices[:, :, :3], matrices[:, :, 3]
    back = np.linalg.inv(linear @ linear.transpose(0, 2, 1))
    inverse = (linear.transpose(0, 2, 1) @ back).transpose(0, 2, 1)  # (view, column or row, xyz)
    toward = np.cross(linear[:, 0], linear[:, 1])
    maps = np.zeros((len(matrices), 2, 3, 3))
    maps[:, 0, 0] = -np.einsum("vi,vik->vk", offset, inverse)
    maps[:, 0, 1:] = inverse
    maps[:, 1, 0] = toward / np.linalg.norm(toward, axis=1, keepdims=True)
    return maps


def _cone_maps(matrices: Float) -> Float:
    """The source, and the directions in which it sees (column, row, 1)."""
    inverse = np.linalg.inv(matrices[:, :, :3])
    maps = np.zeros((len(matrices), 2, 3, 3))
    maps[:, 0, 0] = -np.einsum("vij,vj->vi", inverse, matrices[:, :, 3])
    maps[:, 1] = inverse.transpose(0, 2, 1)[:, [2, 0, 1]]
    return maps


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: found {value}, expected a positive number")


def _checked_shape(name: str, shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    if len(shape) != axes or min(shape) < 1:
        raise ValueError(f"{name}: found {shape}, expected {axes} positive sizes")
    return tuple(int(n) for n in shape)
