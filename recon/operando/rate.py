"""Rates of change: polynomials fitted in a sliding window of time, with the noise that they leave.

For equidistant times this is the filter of Savitzky and Golay (Analytical Chemistry 36, 1964); gaps and uneven
times are allowed (local regression, Cleveland 1979, without its weights).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class SlidingFit:
    """A linear filter over time: row i of the weights gives the value, or the rate, at time i.

    Attributes
    ----------
    times_s : (time,) array
    weights : (time, time) sparse matrix
        Rows of NaN-free weights; a row without any has too few neighbours.
    known : (time,) bool array
        Where the window held enough frames.
    """

    times_s: Float
    weights: Any
    known: NDArray[np.bool_]

    def apply(self, signal: NDArray[np.floating]) -> Float:
        """Filter a signal (time, …); NaN where the window was too empty."""
        values = np.asarray(signal, np.float64)
        flat = self.weights @ values.reshape(len(values), -1)
        flat[~self.known] = np.nan
        result: Float = flat.reshape(values.shape)
        return result

    def sigma(self, sigma: NDArray[np.floating]) -> Float:
        """Noise (time, …) of the result for independent noise of the frames."""
        values = np.asarray(sigma, np.float64)
        variance = self.weights.power(2) @ (values.reshape(len(values), -1) ** 2)
        variance[~self.known] = np.nan
        result: Float = np.sqrt(variance).reshape(values.shape)
        return result

    def correlation(self) -> Float:
        """Correlation (time, time) that overlapping windows give to the noise of neighbouring results."""
        covariance = np.asarray((self.weights @ self.weights.T).todense())
        scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
        return np.asarray(covariance / scale[:, None] / scale)


def sliding_rate(times_s: NDArray[np.floating], *, window_s: float, order: int = 2) -> SlidingFit:
    """Rate of change per second at every time, from a polynomial over a window about it."""
    return _sliding(times_s, window_s=window_s, order=order, derivative=1)


def sliding_mean(times_s: NDArray[np.floating], *, window_s: float, order: int = 1) -> SlidingFit:
    """Smoothed value at every time."""
    return _sliding(times_s, window_s=window_s, order=order, derivative=0)


def _sliding(times_s: NDArray[np.floating], *, window_s: float, order: int, derivative: int) -> SlidingFit:
    times = np.asarray(times_s, np.float64)
    if times.ndim != 1 or np.any(np.diff(times) <= 0):
        raise InputError("times_s: expected times that grow from frame to frame")
    if order < derivative:
        raise InputError(f"order: found {order}, expected at least {derivative}")
    if not window_s > 0:
        raise InputError(f"window_s: found {window_s}, expected seconds above 0")
    first = np.searchsorted(times, times - window_s / 2 - 1e-6)
    stop = np.searchsorted(times, times + window_s / 2 + 1e-6)
    rows, columns, values = [], [], []
    known = stop - first > order + 1
    for index in np.flatnonzero(known):
        window = slice(int(first[index]), int(stop[index]))
        weights = _row(times[window] - times[index], window_s / 2, order, derivative)
        rows.append(np.full(weights.size, index))
        columns.append(np.arange(window.start, window.stop))
        values.append(weights)
    if not rows:
        raise InputError(
            f"window_s: found {window_s:g} s, which holds fewer than {order + 2} frames; expected a longer window"
        )
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return SlidingFit(times, csr_matrix(entries, shape=(times.size, times.size)), known)


def _row(offsets_s: Float, half_s: float, order: int, derivative: int) -> Float:
    """Weights of one window: the row of the pseudo-inverse that belongs to the value or the rate at 0."""
    powers = np.vander(offsets_s / half_s, order + 1, increasing=True)
    return np.asarray(np.linalg.pinv(powers)[derivative] / half_s**derivative)
