"""Bright spots in frames and medians of small neighbourhoods."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels import _cpu, spots_cuda
from deltamu.kernels.backend import array_module, common_module

Float32 = NDArray[np.float32]


def local_median(frames: NDArray[np.floating], *, size: int = 3) -> Float32:
    """Median of the `size` by `size` neighbourhood of every pixel.

    Parameters
    ----------
    frames : (n, row, column) or (row, column) array
    size : {3, 5}
        Width of the neighbourhood; frames are mirrored at their border.

    Raises
    ------
    ValueError
        If the size is neither 3 nor 5, or the frames are not two- or three-dimensional.
    """
    if size not in (3, 5):
        raise ValueError(f"size: found {size}, expected 3 or 5")
    stack = _as_frames(frames)
    result = array_module(stack).empty_like(stack)
    if array_module(stack) is not np:
        spots_cuda.local_median(stack, size=size, out=result)
    else:
        _cpu.local_median(stack, size, result)
    found: Float32 = result.reshape(np.shape(frames))
    return found


def running_median(lines: NDArray[np.floating], *, window: int) -> Float32:
    """Median of `window` (odd) neighbours along the last axis, mirrored at the ends.

    Raises
    ------
    ValueError
        If the window is even or below 1.
    """
    xp = array_module(lines)
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window: found {window}, expected an odd number")
    array = xp.ascontiguousarray(lines, np.float32)
    flat = array.reshape(-1, array.shape[-1])
    result = xp.empty_like(flat)
    if flat.size and xp is not np:
        spots_cuda.running_median(flat, window=window, out=result)
    elif flat.size:
        _cpu.running_median(flat, window, result)
    found: Float32 = result.reshape(array.shape)
    return found


def find_spots(
    frames: NDArray[np.floating], variance: tuple[Float32, Float32], *, threshold: float = 5.0
) -> NDArray[np.bool_]:
    """Pixels that belong to bright spots of up to about 3 by 3 pixels.

    A pixel is flagged when it exceeds the level of the pixels at a distance of three by `threshold` standard
    deviations, and is clearly brighter than they are in whatever direction one leaves it: edges, corners and
    straight lines of a real object continue in at least one. Neighbours of a flagged pixel are flagged from
    half the threshold.

    Parameters
    ----------
    frames : (n, row, column) array
    variance : (offset, slope), each (row, column)
        The variance of a pixel at level v is offset + slope max(v, 0).
    threshold : float
        In standard deviations.

    Returns
    -------
    (n, row, column) bool array

    Raises
    ------
    ValueError
        If the shapes differ or the threshold is not positive.
    """
    if not threshold > 0:
        raise ValueError(f"threshold: found {threshold}, expected a positive number of standard deviations")
    stack = _as_frames(frames)
    xp = common_module(frames=stack, variance=variance[0])
    offset, slope = (xp.ascontiguousarray(xp.broadcast_to(v, stack.shape[1:]), np.float32) for v in variance)
    mask = xp.zeros(stack.shape, np.uint8)
    if xp is not np:
        spots_cuda.find_spots(stack, offset, slope, threshold=float(threshold), mask=mask)
    else:
        _cpu.find_spots(stack, offset, slope, float(threshold), mask)
    found: NDArray[np.bool_] = mask.view(np.bool_)
    return found


def fill_flagged(frames: Float32, mask: NDArray[np.bool_]) -> None:
    """Replace flagged pixels, in place, by the median of the unflagged pixels around them.

    The window is 5 by 5 and grows until it holds six unflagged pixels. No other pixel is written.

    Parameters
    ----------
    frames : (n, row, column) C-contiguous float32 array
    mask : (n, row, column) bool array
    """
    xp = common_module(frames=frames, mask=mask)
    flags = xp.ascontiguousarray(mask).view(np.uint8)
    if xp is not np:
        if mask.shape != frames.shape:
            raise ValueError(f"mask: found shape {mask.shape}, expected {frames.shape} as the frames")
        spots_cuda.fill_flagged(frames, flags)
    else:
        _cpu.fill_flagged(frames, flags)


def _as_frames(frames: Any) -> Float32:
    stack = array_module(frames).ascontiguousarray(frames, np.float32)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3:
        raise ValueError(f"frames: found {stack.ndim} dimensions, expected (n, row, column)")
    checked: Float32 = stack
    return checked
