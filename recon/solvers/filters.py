"""Reconstruction filters: the band-limited ramp and the windows that damp it."""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


def _parzen(u: Float) -> Float:
    """Parzen (1962) window: two cubics that meet at half the cutoff."""
    return np.asarray(np.where(u <= 0.5, 1 - 6 * u**2 * (1 - u), 2 * (1 - u) ** 3))


# u = frequency / cutoff frequency, 0 to 1
_WINDOWS: dict[str, Callable[[Float], Float]] = {
    "ram-lak": np.ones_like,
    "shepp-logan": lambda u: np.asarray(np.sinc(u / 2)),
    "cosine": lambda u: np.asarray(np.cos(np.pi * u / 2)),
    "hamming": lambda u: 0.54 + 0.46 * np.cos(np.pi * u),
    "hann": lambda u: 0.5 + 0.5 * np.cos(np.pi * u),
    "parzen": _parzen,
}
FILTERS: tuple[str, ...] = tuple(_WINDOWS)
WINDOWS = MappingProxyType(_WINDOWS)


def filter_response(name: str, padded_columns: int, *, cutoff: float = 1.0) -> Float:
    """Response of a reconstruction filter to views padded to `padded_columns` samples.

    The ramp is sampled in space and transformed: its value at zero frequency is then right for a sum over a
    finite detector, where |k| itself would shift the whole image.

    Parameters
    ----------
    name : str
        One of `FILTERS`.
    padded_columns : int
        At least twice the detector columns, to keep the circular convolution from wrapping.
    cutoff : float
        Frequency beyond which the response is zero, as a fraction of the Nyquist frequency, (0, 1].

    Returns
    -------
    (padded_columns // 2 + 1,) float64 array
        At the frequencies k / padded_columns, in cycles per column.

    Raises
    ------
    InputError
        If the filter is unknown, or the cutoff is not in (0, 1].

    References
    ----------
    A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging, IEEE Press 1988, chapter 3,
    equation 61.
    """
    check_filter(name, cutoff)
    relative = np.arange(padded_columns // 2 + 1) / (0.5 * padded_columns * cutoff)
    inside = relative <= 1 + 1e-12
    return np.where(inside, ramp_response(padded_columns) * _WINDOWS[name](np.minimum(relative, 1.0)), 0.0)


def check_filter(name: str, cutoff: float) -> None:
    """Raise InputError unless `name` is a filter and `cutoff` lies in (0, 1]."""
    if name not in _WINDOWS:
        raise InputError(f"filter: found {name!r}, expected one of {', '.join(FILTERS)}")
    if not (np.isfinite(cutoff) and 0 < cutoff <= 1):
        raise InputError(f"cutoff: found {cutoff}, expected a fraction of the Nyquist frequency in (0, 1]")


def ramp_response(padded_columns: int) -> Float:
    """Transform of the band-limited ramp h(0) = 1/4, h(odd n) = -1/(pi n)^2, h(even n) = 0."""
    distance = np.arange(padded_columns)
    distance = np.minimum(distance, padded_columns - distance)
    kernel = np.zeros(padded_columns)
    kernel[0] = 0.25
    odd = distance % 2 == 1
    kernel[odd] = -1 / (np.pi * distance[odd]) ** 2
    return np.asarray(np.fft.rfft(kernel).real)
