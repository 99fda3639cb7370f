"""Filters that take stripes out of a sinogram, one row of the detector at a time.

All but wavelets work where the sinogram is; which columns are defects is decided on the host, from one number each.
"""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.kernels.backend import array_module, thread_count, to_host
from deltamu.kernels.spots import running_median
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.preprocess.gain_pattern import WINDOW
from deltamu.recon.preprocess.on_device import image_filters

Float32 = NDArray[np.float32]
StripeMethod = Literal["gains", "sorting", "large", "dead", "all", "wavelet"]

DEFAULT_SIZES: dict[str, int] = {
    "gains": WINDOW,
    "sorting": 21,
    "large": 51,
    "dead": 51,
    "all": 21,
    "wavelet": 1,
}
LARGE_SIZE = 51
# signal of a column over the noise of all of them at which it is a defect
RATIO = 3.0
# rank values at the two ends that a mean leaves out
DROPPED_SHARE = 0.1
SMOOTHED_VIEWS = 10
WAVELET = "db9"
# coarser ones take the mean of flat layers along: four levels change it by 0.4 %, three by 0.02 %
LEVELS = 3
# columns that do not respond may be so many; more are no defects
MOST_DEAD_SHARE = 1 / 3


def filter_rows(sinograms: Float32, method: StripeMethod, size: int) -> Float32:
    """Apply one method to every detector row of (angle, row, column) sinograms."""
    xp = array_module(sinograms)
    result: Float32 = xp.empty_like(sinograms)
    filters = {
        "sorting": sorted_median, "large": without_large_stripes, "dead": without_dead_stripes,
        "all": without_all_stripes, "wavelet": wavelet_fourier,
    }  # fmt: skip
    chosen: Any = filters[method]

    def treat(row: int) -> None:
        result[:, row] = chosen(xp.ascontiguousarray(sinograms[:, row]), size)

    if xp is not np:
        if method == "wavelet":
            raise InputError(
                "method: found 'wavelet' and data on a GPU, where there is no wavelet transform; expected 'gains', "
                "'sorting', 'large', 'dead' or 'all', or data on the host"
            )
        for row in range(sinograms.shape[1]):
            treat(row)
        return result
    with ThreadPoolExecutor(thread_count()) as pool:
        list(pool.map(treat, range(sinograms.shape[1])))
    return result


def sorted_median(sinogram: Float32, size: int) -> Float32:
    """Smooth neighbouring columns at equal rank by a median.

    Each column is sorted by value and the values go back to their angles: N. T. Vo, R. C. Atwood,
    M. Drakopoulos, Optics Express 26 (2018) 28396, algorithm 3.

    Parameters
    ----------
    sinogram : (angle, column) array
    size : int
        Columns, odd.
    """
    ranked, order = _ranked(sinogram)
    return _unranked(running_median(ranked, window=size), order)


def without_large_stripes(sinogram: Float32, size: int = LARGE_SIZE) -> Float32:
    """Divide every column by its mean over that of its neighbours at equal rank, and replace defects by them.

    Vo 2018, algorithm 5. A sinogram without noise comes back as it is.
    """
    ranked, order = _ranked(sinogram)
    smooth = running_median(ranked, window=size)
    drop = int(0.5 * DROPPED_SHARE * len(ranked))
    inner = slice(drop, len(ranked) - drop)
    own, usual = (to_host(values[inner].mean(axis=0)) for values in (ranked, smooth))
    factor = np.divide(own, usual, out=np.ones_like(own), where=usual != 0)
    xp = array_module(sinogram)
    defect = xp.asarray(np.flatnonzero(ndimage.binary_dilation(stripe_columns(factor))))
    result = sinogram / xp.asarray(factor)
    result[:, defect] = _unranked(smooth, order)[:, defect]
    return xp.asarray(result, np.float32)  # type: ignore[no-any-return]


def without_dead_stripes(sinogram: Float32, size: int = LARGE_SIZE) -> Float32:
    """Interpolate columns that change far less or more from view to view than their neighbours.

    Vo 2018, algorithm 6; what their neighbours have in excess is left to `without_large_stripes`.
    """
    return without_large_stripes(without_dead_columns(sinogram, size), size)


def without_all_stripes(sinogram: Float32, size: int = 21) -> Float32:
    """Dead and fluctuating, large, and small stripes after one another: Vo 2018, section 4."""
    return sorted_median(without_large_stripes(without_dead_columns(sinogram), LARGE_SIZE), size)


def wavelet_fourier(sinogram: Float32, size: int = 1) -> Float32:
    """Damp the lowest frequencies along the angle in the details across the columns, at three scales.

    B. Münch, P. Trtik, F. Marone, M. Stampanoni, Optics Express 17 (2009) 8567.

    Raises
    ------
    ResourceError
        If the package PyWavelets is not installed.
    """
    pywt = _wavelets()
    pad = min(150, int(0.1 * min(sinogram.shape)))
    padded = np.pad(np.asarray(sinogram, np.float64), ((pad, pad), (0, 0)), mode="mean")
    padded = np.pad(padded, ((0, 0), (pad, pad)), mode="edge")
    levels = max(min(LEVELS, *(int(np.log2(n / 16)) for n in padded.shape)), 0)
    if levels == 0:
        raise InputError(f"sinograms: found {sinogram.shape} (angle, column); wavelets need 32 of each")
    mean, *details = pywt.wavedec2(padded, WAVELET, level=levels)
    damped = [(flat, _damped(upright, size), diagonal) for flat, upright, diagonal in details]
    rows, columns = sinogram.shape
    result = pywt.waverec2([mean, *damped], WAVELET)
    return np.asarray(result[pad : pad + rows, pad : pad + columns], np.float32)


def stripe_columns(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Columns whose value stands out of those of all others.

    The sorted values of ordinary columns lie on a line; its ends are the noise, and a column beyond them by
    more than `RATIO` times the noise is a defect: Vo 2018, algorithm 4.
    """
    ordered = np.sort(values)
    count = len(ordered)
    drop = int(0.25 * count)
    slope, low = np.polyfit(np.arange(drop, count - drop - 1), ordered[drop : count - drop - 1], 1)
    high = low + slope * (count - 1)
    noise = abs(high - low)
    found = np.zeros(count, bool)
    if noise < 1e-5:
        return found
    if abs(ordered[-1] - high) / noise >= RATIO:
        found |= values > high + 0.5 * RATIO * noise
    if abs(low - ordered[0]) / noise >= RATIO:
        found |= values <= low - 0.5 * RATIO * noise
    return found


def _ranked(sinogram: Float32) -> tuple[Float32, NDArray[np.intp]]:
    """Columns sorted by value, and where each value came from; both (angle, column)."""
    xp = array_module(sinogram)
    columns = xp.ascontiguousarray(sinogram.T)
    order = xp.argsort(columns, axis=1)
    return xp.ascontiguousarray(xp.take_along_axis(columns, order, axis=1).T), order


def _unranked(ranked: Float32, order: NDArray[np.intp]) -> Float32:
    xp = array_module(ranked)
    if xp is not np:
        back: Float32 = xp.take_along_axis(ranked.T, xp.argsort(order, axis=1), axis=1).T
        return back
    columns = np.empty((ranked.shape[1], ranked.shape[0]), np.float32)
    np.put_along_axis(columns, order, ranked.T, axis=1)
    return columns.T


def without_dead_columns(sinogram: Float32, size: int = LARGE_SIZE) -> Float32:
    """Interpolate columns that change far less or more from view to view than their neighbours, and no others."""
    xp = array_module(sinogram)
    smooth = image_filters(sinogram).uniform_filter1d(sinogram, SMOOTHED_VIEWS, axis=0)
    changing: Any = to_host(np.abs(sinogram - smooth).sum(axis=0))
    usual = ndimage.median_filter(changing, size)
    usual[usual == 0] = np.mean(np.abs(usual))
    dead = ndimage.binary_dilation(stripe_columns(changing / np.where(usual == 0, 1, usual)))
    dead[:2] = dead[-2:] = False
    result = sinogram.copy()
    if 0 < np.count_nonzero(dead) < MOST_DEAD_SHARE * len(dead):
        good, bad = np.flatnonzero(~dead), np.flatnonzero(dead)
        right = np.searchsorted(good, bad)
        before, after = good[right - 1], good[right]
        share = xp.asarray(((bad - before) / (after - before)).astype(np.float32))
        before, after, bad = xp.asarray(before), xp.asarray(after), xp.asarray(bad)
        result[:, bad] = (1 - share) * sinogram[:, before] + share * sinogram[:, after]
    return result


def _damped(details: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Take out what hardly changes along the angle: a Gaussian about frequency zero."""
    frequency = np.fft.rfftfreq(len(details), 1 / len(details))[:, None]
    spectrum = np.fft.rfft(details, axis=0) * (1 - np.exp(-(frequency**2) / (2 * size**2)))
    return np.asarray(np.fft.irfft(spectrum, len(details), axis=0))


def _wavelets() -> Any:
    try:
        pywt = import_module("pywt")
    except ImportError:
        raise ResourceError(
            "stripes: the wavelet filter needs the package PyWavelets: pip install 'deltamu[stripes]', or choose "
            "method 'sorting' or 'all'"
        ) from None
    return pywt
