"""Gamma spots: how noisy a pixel is locally, so that only what stands out is replaced."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Float32 = NDArray[np.float32]

# neighbours correlate through the scintillator's light; three pixels apart they hardly do
DISTANCE = 3
BINS = 8


def spot_variance(frames: Float32) -> tuple[Float32, Float32]:
    """Estimate the variance of a pixel at level v, offset + slope max(v, 0), on the frames themselves.

    Each pixel is compared with the mean of two neighbours on opposite sides; the median absolute difference
    is blind to edges and spots. Pixels are grouped by the level of their neighbours.

    Parameters
    ----------
    frames : (n, row, column) array
        A few frames; any unit.

    Returns
    -------
    offset, slope : 0-dimensional float32 arrays
    """
    level, difference = _opposite_differences(frames)
    edges = np.quantile(level, np.linspace(0, 1, BINS + 1))
    group = np.clip(np.searchsorted(edges, level, side="right") - 1, 0, BINS - 1)
    means, variances = [], []
    for index in range(BINS):
        inside = group == index
        if np.count_nonzero(inside) > 50:
            means.append(max(float(np.median(level[inside])), 0.0))
            # var(p - (l + r)/2) = 3/2 var(p); 1.4826 turns a median absolute deviation into a standard
            # deviation
            variances.append((1.4826 * float(np.median(np.abs(difference[inside])))) ** 2 / 1.5)
    return _line(np.asarray(means), np.asarray(variances), float(np.ptp(edges)))


def _opposite_differences(frames: Float32) -> tuple[Float32, Float32]:
    step = max(1, frames.size // 2_000_000)
    axis = 2 if frames.shape[2] > 2 * DISTANCE else 1
    last = frames.shape[axis]
    if last <= 2 * DISTANCE:
        return np.ravel(frames), np.zeros(frames.size, np.float32)
    low = np.take(frames, range(last - 2 * DISTANCE), axis=axis)
    middle = np.take(frames, range(DISTANCE, last - DISTANCE), axis=axis)
    high = np.take(frames, range(2 * DISTANCE, last), axis=axis)
    level = 0.5 * (low + high)
    return level.ravel()[::step], (middle - level).ravel()[::step]


def _line(means: NDArray[np.float64], variances: NDArray[np.float64], span: float) -> tuple[Float32, Float32]:
    """Fit a straight line without negative coefficients, each group with its relative weight."""
    tiny = np.float32(1e-12 + (1e-4 * span) ** 2)
    if not len(means) or not np.any(variances > 0):
        return np.asarray(tiny, np.float32), np.asarray(0.0, np.float32)
    weight = 1 / np.maximum(variances, 1e-3 * variances.max())
    (offset, slope), _ = nnls(np.column_stack([weight, weight * means]), weight * variances)
    return np.asarray(max(offset, tiny), np.float32), np.asarray(slope, np.float32)
