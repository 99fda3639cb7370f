"""Pixels that light up in one frame of a series: brighter than in the frames before and after."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels import _cpu

Float32 = NDArray[np.float32]


def find_flashes(
    frame: Float32,
    before: Float32,
    after: Float32,
    variance: tuple[Float32, Float32],
    *,
    once: float,
    twice: float,
) -> NDArray[np.bool_]:
    """Flag pixels above the brighter of two neighbours in time, or far above the darker one.

    Parameters
    ----------
    frame, before, after : (row, column) C-contiguous float32 arrays
        Scaled to one dose.
    variance : (offset, slope), each (row, column) float32
        The variance of a pixel at level v is offset + slope max(v, 0).
    once, twice : float
        Standard deviations above the brighter and above the darker of the two. Pixels beside a flagged one are
        flagged from half of that on.

    Returns
    -------
    (row, column) bool array

    Raises
    ------
    ValueError
        If the shapes differ or a threshold is not positive.
    """
    if not (once > 0 and twice > 0):
        raise ValueError(f"once, twice: found {once} and {twice}, expected positive standard deviations")
    mask = np.empty(frame.shape, np.uint8)
    _cpu.find_flashes(frame, before, after, variance[0], variance[1], float(once), float(twice), mask)
    return mask.view(np.bool_)
