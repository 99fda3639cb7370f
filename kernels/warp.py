"""Resample a volume through an affine map of its indices."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu, warp_cuda
from deltamu.kernels.backend import Cost, array_module, common_module

Volume = NDArray[np.float32]


def warp(
    volume: Volume,
    affine: ArrayLike,
    *,
    output_shape: tuple[int, int, int],
    order: int = 1,
    fill: float = math.nan,
    out: Volume | None = None,
) -> Volume:
    """Interpolate a volume at the positions that an affine map gives to the voxels of the output.

    Parameters
    ----------
    volume : (z, y, x) float32 array
    affine : (3, 4) array
        Maps an output index (z, y, x, 1) to an input index. For a part of the output that starts at voxel
        `s`, add ``affine[:, :3] @ s`` to the last column.
    output_shape : tuple of 3 ints
    order : {1, 3}
        Trilinear, or cubic B-spline through the voxel values (Unser, IEEE Signal Processing Magazine 16,
        1999).
    fill : float
        Value of positions outside the volume, that is beyond the centres of its outermost voxels.
    out : (z, y, x) float32 array, optional
        Where to write, of shape `output_shape`.

    Returns
    -------
    (z, y, x) float32 array
        A voxel that is not finite makes NaN of what is interpolated between it and its neighbours (order 1).

    Raises
    ------
    ValueError
        If a shape or type does not fit, the affine is not finite, or order 3 meets voxels that are not
        finite.
    """
    source = as_volume(volume, "volume")
    matrix = _checked_affine(affine)
    if len(output_shape) != 3 or min(output_shape) < 1:
        raise ValueError(f"output_shape: found {output_shape}, expected three positive sizes (z, y, x)")
    target = output_array(source, output_shape, out)
    if order not in (1, 3):
        raise ValueError(f"order: found {order!r}, expected 1 (trilinear) or 3 (cubic B-spline)")
    values = source if order == 1 else spline_coefficients(source)
    if array_module(source) is not np:
        warp_cuda.warp(values, matrix, order=order, fill=fill, out=target)
    elif order == 1:
        _cpu.warp_linear(values, matrix, fill, target)
    else:
        _cpu.warp_cubic(values, matrix, fill, target)
    return target


def warp_cost(input_shape: tuple[int, int, int], *, order: int = 1) -> Cost:
    """Working memory of `warp` beyond the volume and its output."""
    return Cost(0, 4 * math.prod(input_shape) if order == 3 else 0)


def spline_coefficients(volume: Volume) -> Volume:
    """Coefficients of the cubic B-spline through the voxels, mirrored at the faces; a new array.

    Raises
    ------
    ValueError
        If a voxel is not finite: the filter is recursive and would spread it over the whole volume.
    """
    coefficients = as_volume(volume, "volume").copy()
    if not all(np.isfinite(plane).all() for plane in coefficients):
        raise ValueError(
            "volume: some voxels are not finite; cubic interpolation needs all of them, try order=1"
        )
    if array_module(coefficients) is not np:
        warp_cuda.filter_splines(coefficients)
    else:
        _cpu.spline_coefficients(coefficients)
    return coefficients


def as_volume(array: NDArray[np.floating], name: str) -> Volume:
    """Return the array as a contiguous float32 volume (z, y, x), without a copy where it is one."""
    volume: Volume = array_module(array).ascontiguousarray(array, np.float32)
    if volume.ndim != 3 or volume.size == 0:
        raise ValueError(f"{name}: found shape {volume.shape}, expected (z, y, x) with at least one voxel")
    return volume


def _checked_affine(affine: ArrayLike) -> NDArray[np.float64]:
    matrix = np.ascontiguousarray(affine, np.float64)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"affine: found shape {matrix.shape}, expected (3, 4) with finite numbers")
    return matrix


def output_array(source: Volume, shape: tuple[int, ...], out: Volume | None) -> Volume:
    """Return `out` if it can take a result of this shape next to `source`, or a new array of its library."""
    if out is None:
        empty: Volume = array_module(source).empty(shape, np.float32)
        return empty
    common_module(input=source, out=out)
    if out.shape != tuple(shape) or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(
            f"out: found {out.dtype} of shape {out.shape}, expected contiguous float32 {tuple(shape)}"
        )
    return out
