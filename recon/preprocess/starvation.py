"""Pixels with too few counts for a logarithm: averaged before it, marked, never clipped."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.on_device import image_filters

Float32 = NDArray[np.float32]

# below ten counts the logarithm of a single pixel is biased by more than 5 %
FLOOR = 10.0
WINDOW_RADII = (1, 2, 4, 8, 16)
JUDGED_WINDOW = 5
WIDE_WINDOW = 9


def average_starved(
    transmission: Float32,
    counts_at_one: Float32,
    *,
    background: Float32 | None = None,
    floor: float = FLOOR,
) -> tuple[Float32, Float32, NDArray[np.bool_]]:
    """Replace the transmission of starved pixels by a local mean that holds enough counts.

    A pixel is starved when it has fewer counts than the floor or its neighbourhood (5 by 5 pixels) less than
    twice the floor on average: picking single low pixels only would bias what is left. The window grows until
    a still wider mean predicts twice the floor in it, so that chance does not choose it. Where a background was
    subtracted, n counts on top of B count as n² / (n + B): so many would be as uncertain without it.

    Parameters
    ----------
    transmission : (row, column) array
        Dose-corrected.
    counts_at_one : (row, column) array
        Effective counts of a pixel at transmission 1.
    background : (row, column) array, optional
        Counts that were subtracted.
    floor : float
        Effective counts.

    Returns
    -------
    transmission, counts : (row, column) float32 arrays
        Positive transmission; effective counts that stand behind each value.
    starved : (row, column) bool array
    """
    signal = transmission * counts_at_one
    counts = _effective(signal, background)
    starved = np.zeros_like(transmission, dtype=bool)
    low = counts < 2 * floor
    rows = low.any(axis=1)
    if not rows.any():
        return transmission, counts, starved
    part = _around(rows), _around(low[rows].any(axis=0))  # type: ignore[arg-type]
    averaged, behind = transmission.copy(), counts.copy()
    (total, mean), few = _average(signal[part], None if background is None else background[part], floor)
    starved[part] = few
    averaged[part][few] = mean[few] / counts_at_one[part][few]
    behind[part][few] = total[few]
    return averaged, behind, starved


def _effective(signal: Float32, background: Float32 | None) -> Float32:
    """Counts that would be as uncertain, relative to themselves, without a background."""
    if background is None:
        return signal
    positive = np.maximum(signal, 0)
    counts = positive * positive / np.maximum(positive + background, np.float32(1e-6))
    return counts.astype(np.float32, copy=False)


def _local_mean(signal: Float32, size: int) -> Float32:
    """Mean over a square window."""
    return image_filters(signal).uniform_filter(signal, size, mode="nearest")  # type: ignore[no-any-return]


def _around(low: NDArray[np.bool_]) -> slice:
    """Lines from the first to the last low one, with the reach of the largest window."""
    found = np.flatnonzero(low)
    reach = WINDOW_RADII[-1] + JUDGED_WINDOW // 2
    return slice(max(int(found[0]) - reach, 0), int(found[-1]) + reach + 1)


def _average(
    signal: Float32, background: Float32 | None, floor: float
) -> tuple[tuple[Float32, Float32], NDArray[np.bool_]]:
    """Return (effective counts in the window, mean signal per pixel), zero elsewhere, and where pixels starve."""
    judged = _effective(_local_mean(signal, JUDGED_WINDOW), background)
    starved = (_effective(signal, background) < floor) | (judged < 2 * floor)
    wide = _effective(_local_mean(signal, WIDE_WINDOW), background)
    total, mean = np.zeros_like(signal), np.zeros_like(signal)
    open_ = starved.copy()
    for radius in WINDOW_RADII:
        pixels = (2 * radius + 1) ** 2
        local = _local_mean(signal, 2 * radius + 1)
        last = radius == WINDOW_RADII[-1]
        enough = open_ & (
            ((wide * pixels >= 2 * floor) & (_effective(local, background) * pixels >= floor)) | last
        )
        mean[enough] = np.maximum(local, _least(pixels, background))[enough]
        total[enough] = np.maximum(_effective(mean, background)[enough] * pixels, 0.5)
        open_ &= ~enough
        if not open_.any():
            break
    return (total, mean), starved


def _least(pixels: int, background: Float32 | None) -> Float32 | float:
    """Mean that can just be told from none: half a count in the window, or the noise of the background."""
    if background is None:
        return 0.5 / pixels
    least: Float32 = (np.sqrt(np.maximum(background * pixels, 0.25)) / pixels).astype(np.float32, copy=False)
    return least
