"""Pixels with too few counts for a logarithm: averaged before it, marked, never clipped."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Float32 = NDArray[np.float32]

# below ten counts the logarithm of a single pixel is biased by more than 5 %
FLOOR = 10.0
WINDOW_RADII = (1, 2, 4, 8, 16)
JUDGED_WINDOW = 5
WIDE_WINDOW = 9


def average_starved(
    transmission: Float32, counts_at_one: Float32, *, floor: float = FLOOR
) -> tuple[Float32, Float32, NDArray[np.bool_]]:
    """Replace the transmission of starved pixels by a local mean that holds enough counts.

    A pixel is starved when it has fewer counts than the floor or its neighbourhood (5 by 5 pixels) less than
    twice the floor on average: picking single low pixels only would bias what is left. The window grows until
    a still wider mean predicts twice the floor in it, so that chance does not choose it.

    Parameters
    ----------
    transmission : (row, column) array
        Dose-corrected.
    counts_at_one : (row, column) array
        Effective counts of a pixel at transmission 1.
    floor : float
        Effective counts.

    Returns
    -------
    transmission, counts : (row, column) float32 arrays
        Positive transmission; effective counts that stand behind each value.
    starved : (row, column) bool array
    """
    counts = transmission * counts_at_one
    starved = np.zeros(transmission.shape, bool)
    low = counts < 2 * floor
    if not low.any():
        return transmission, counts, starved
    part = _around(low.any(axis=1)), _around(low.any(axis=0))  # type: ignore[arg-type]
    averaged, behind = transmission.copy(), counts.copy()
    (total, mean), few = _average(counts[part], floor)
    starved[part] = few
    averaged[part][few] = mean[few] / counts_at_one[part][few]
    behind[part][few] = total[few]
    return averaged, behind, starved


def _around(low: NDArray[np.bool_]) -> slice:
    """Lines from the first to the last low one, with the reach of the largest window."""
    found = np.flatnonzero(low)
    reach = WINDOW_RADII[-1] + JUDGED_WINDOW // 2
    return slice(max(int(found[0]) - reach, 0), int(found[-1]) + reach + 1)


def _average(counts: Float32, floor: float) -> tuple[tuple[Float32, Float32], NDArray[np.bool_]]:
    """Return (counts in the window, mean counts per pixel), zero elsewhere, and where pixels are starved."""
    starved = (counts < floor) | (uniform_filter(counts, JUDGED_WINDOW, mode="nearest") < 2 * floor)
    wide = uniform_filter(counts, WIDE_WINDOW, mode="nearest")
    total, mean = np.zeros_like(counts), np.zeros_like(counts)
    open_ = starved.copy()
    for radius in WINDOW_RADII:
        pixels = (2 * radius + 1) ** 2
        local = uniform_filter(counts, 2 * radius + 1, mode="nearest")
        last = radius == WINDOW_RADII[-1]
        enough = open_ & (((wide * pixels >= 2 * floor) & (local * pixels >= floor)) | last)
        # even the largest window may be empty: half a count is the least that can be told from none
        mean[enough] = np.maximum(local[enough], 0.5 / pixels)
        total[enough] = mean[enough] * pixels
        open_ &= ~enough
        if not open_.any():
            break
    return (total, mean), starved
