"""Total variation of a volume, and the volume closest to another one under it."""

import math

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels import _cpu, tv_cuda
from deltamu.kernels.backend import Cost, array_module, common_module
from deltamu.kernels.warp import as_volume

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def tv_proximal(
    volume: Array,
    strength: float,
    *,
    threshold: float = 0.0,
    planar: bool = False,
    lower: float = -math.inf,
    upper: float = math.inf,
    support: Mask | None = None,
    dual: Array | None = None,
    iterations: int = 20,
) -> Array:
    """Minimise ‖x − volume‖²/2 + strength · Σ h(|∇x|) over the x within bounds.

    ∇ are forward differences to the next voxel along x, y and z, zero beyond the last; h(t) = t, or Huber's
    t²/(2 threshold) below and t − threshold/2 above the threshold.

    Parameters
    ----------
    volume : (z, y, x) float32 array
    strength : float
        In units of the volume, not negative.
    threshold : float
        In units of the volume.
    planar : bool
        Differences along x and y only: every slice on its own.
    lower, upper : float
        What a voxel may be.
    support : (z, y, x) or (y, x) bool array, optional
        Voxels outside are zero.
    dual : (3, z, y, x) or, planar, (2, z, y, x) float32 array, optional
        Where to start from; receives where it ended, which makes the next call with a similar volume cheap.
        Zeros the first time.
    iterations : int

    Returns
    -------
    (z, y, x) float32 array

    Raises
    ------
    ValueError
        If a shape, type or number does not fit.

    Notes
    -----
    A. Beck, M. Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and
    deblurring problems", IEEE Trans. Image Process. 18 (2009). The same bits for any number of threads.
    """
    source = as_volume(volume, "volume")
    _check_numbers(strength, threshold, lower, upper, iterations)
    directions = 2 if planar else 3
    expected = (directions, *source.shape)
    xp = array_module(source)
    if dual is None:
        dual = xp.zeros(expected, np.float32)
    elif dual.shape != expected or dual.dtype != np.float32 or not dual.flags.c_contiguous:
        raise ValueError(
            f"dual: found {dual.dtype} of shape {dual.shape}, expected contiguous float32 {expected}"
        )
    common_module(volume=source, dual=dual)
    planes = _checked_support(support, source)
    strength = strength or float(np.finfo(np.float32).tiny)
    if xp is not np:
        result: Array = tv_cuda.tv_proximal(
            source, strength, threshold=threshold, planar=planar, bounds=(lower, upper), support=planes, dual=dual,
            iterations=iterations,
        )  # fmt: skip
        return result
    out, point = np.empty_like(source), np.empty_like(dual)
    _cpu.tv_proximal(source, strength, threshold, planar, lower, upper, planes, dual, point, iterations, out)
    return out


def tv_value(volume: Array, *, threshold: float = 0.0, planar: bool = False) -> NDArray[np.float64]:
    """Σ h(|∇x|) of every slice, as in `tv_proximal`; a slice holds the differences to the next one.

    Parameters
    ----------
    volume : (z, y, x) float32 array
    threshold : float
    planar : bool

    Returns
    -------
    (z,) float64 array
    """
    source = as_volume(volume, "volume")
    values: NDArray[np.float64]
    if array_module(source) is not np:
        values = tv_cuda.tv_value(source, threshold=threshold, planar=planar)
    else:
        values = _cpu.tv_value(source, threshold, planar)
    return values


def tv_cost(slice_shape: tuple[int, int], *, planar: bool = False) -> Cost:
    """Working memory of `tv_proximal` with its dual, beyond input and output."""
    return Cost(4 * slice_shape[0] * slice_shape[1] * 2 * (2 if planar else 3), 0)


def _check_numbers(strength: float, threshold: float, lower: float, upper: float, iterations: int) -> None:
    for name, value in (("strength", strength), ("threshold", threshold)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: found {value}, expected a number that is not negative")
    if not lower <= upper:
        raise ValueError(f"lower, upper: found {lower}, {upper}; expected lower <= upper")
    if iterations < 1:
        raise ValueError(f"iterations: found {iterations}, expected at least 1")


def _checked_support(support: Mask | None, volume: Array) -> NDArray[np.uint8]:
    """The support as (1 or z, y, x) bytes; an empty array means everywhere."""
    xp, shape = array_module(volume), volume.shape
    if support is None:
        nothing: NDArray[np.uint8] = xp.zeros(0, np.uint8)
        return nothing
    common_module(volume=volume, support=support)
    mask = xp.asarray(support)
    planes = mask[None] if mask.ndim == 2 else mask
    if (
        planes.dtype != np.bool_
        or planes.ndim != 3
        or planes.shape[1:] != shape[1:]
        or len(planes) not in (1, shape[0])
    ):
        raise ValueError(
            f"support: found {mask.dtype} of shape {mask.shape}, expected bool {shape} or {shape[1:]}"
        )
    checked: NDArray[np.uint8] = xp.ascontiguousarray(planes).view(np.uint8)
    return checked
