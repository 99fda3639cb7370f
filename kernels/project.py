"""Parallel-beam projection of a volume along rays perpendicular to its z axis, and the exact transpose."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu, project_cuda
from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.warp import as_volume, output_array

Array = NDArray[np.float32]

# slices that are worked on together
_LANES = 32


def project(
    volume: Array,
    angles: ArrayLike,
    *,
    center: ArrayLike,
    columns: int,
    voxel_size: float = 1.0,
    pixel_in_voxels: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Line integrals of a volume along parallel rays, one through the middle of every detector column.

    The view at angle theta sees the point (x, y) at
    ``column = center + [(x - x0) cos(theta) + (y - y0) sin(theta)] / pixel_in_voxels`` with
    ``x0 = (nx - 1) / 2`` and ``y0 = (ny - 1) / 2``.

    Parameters
    ----------
    volume : (z, y, x) float32 array
    angles : (angle,) array
        Radians.
    center : float or (angle,) array
        Column of the rotation axis, in all views or in each; the centre of column 0 is 0.
    columns : int
        Width of the detector.
    voxel_size : float
        Length of a voxel: the unit of the line integrals is that of the volume times this.
    pixel_in_voxels : float
        Distance between columns in voxels. Rays are lines: a column wider than a voxel is the mean of the
        columns of a finer detector.
    out : (angle, z, column) float32 array, optional

    Returns
    -------
    (angle, z, column) float32 array

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.

    Notes
    -----
    Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Transactions on Medical
    Imaging 1 (1982). The result does not depend on the number of threads.
    """
    source = as_volume(volume, "volume")
    theta = _checked_angles(angles)
    centers = _checked_centers(center, theta)
    _check_numbers(columns, voxel_size, pixel_in_voxels)
    shape = (theta.size, source.shape[0], columns)
    target = output_array(source, shape, out)
    if array_module(source) is not np:
        project_cuda.project(
            source, theta, centers, pixel_in_voxels=pixel_in_voxels, voxel_size=voxel_size, out=target
        )
        return target
    _cpu.project(source, theta, centers, pixel_in_voxels, voxel_size, target)
    return target


def backproject(
    sinograms: Array,
    angles: ArrayLike,
    *,
    center: ArrayLike,
    size: int | tuple[int, int],
    voxel_size: float = 1.0,
    pixel_in_voxels: float = 1.0,
    out: Array | None = None,
) -> Array:
    """Spread line integrals back along their rays: the exact transpose of `project`, not an inverse.

    Parameters
    ----------
    sinograms : (angle, z, column) float32 array
    angles : (angle,) array
        Radians.
    center : float or (angle,) array
        Column of the rotation axis, in all views or in each.
    size : int or (ny, nx)
        Size of a slice in voxels.
    voxel_size, pixel_in_voxels : float
        As in `project`.
    out : (z, y, x) float32 array, optional

    Returns
    -------
    (z, y, x) float32 array

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.
    """
    source = as_volume(sinograms, "sinograms")
    theta = _checked_angles(angles)
    if theta.size != source.shape[0]:
        raise ValueError(f"angles: found {theta.size}, expected one for each of the {source.shape[0]} views")
    centers = _checked_centers(center, theta)
    _check_numbers(source.shape[2], voxel_size, pixel_in_voxels)
    ny, nx = (size, size) if isinstance(size, int) else size
    if min(ny, nx) < 1:
        raise ValueError(f"size: found {size}, expected a positive number of voxels")
    shape = (source.shape[1], ny, nx)
    target = output_array(source, shape, out)
    if array_module(source) is not np:
        project_cuda.backproject(
            source, theta, centers, pixel_in_voxels=pixel_in_voxels, voxel_size=voxel_size, out=target
        )
        return target
    _cpu.backproject(source, theta, centers, pixel_in_voxels, voxel_size, target)
    return target


def project_cost(slice_shape: tuple[int, int], views: int, columns: int) -> Cost:
    """Working memory of `project` and `backproject` beyond input and output."""
    ny, nx = slice_shape
    return Cost(0, 4 * _LANES * ((ny + 2) * (nx + 2) + views * (columns + 4)))


def _checked_angles(angles: ArrayLike) -> NDArray[np.float64]:
    theta = np.ascontiguousarray(angles, np.float64)
    if theta.ndim != 1 or theta.size == 0 or not np.isfinite(theta).all():
        raise ValueError(f"angles: found shape {theta.shape}, expected at least one finite angle in radians")
    return theta


def _checked_centers(center: ArrayLike, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    given = np.asarray(center, np.float64)
    if given.shape not in ((), theta.shape) or not np.isfinite(given).all():
        raise ValueError(
            f"center: found {given.tolist()}, expected a finite column, or one for each of {theta.size} views"
        )
    return np.ascontiguousarray(np.broadcast_to(given, theta.shape))


def _check_numbers(columns: int, voxel_size: float, pixel_in_voxels: float) -> None:
    if columns < 1:
        raise ValueError(f"columns: found {columns}, expected a positive number")
    for name, value in (("voxel_size", voxel_size), ("pixel_in_voxels", pixel_in_voxels)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: found {value}, expected a positive number")
