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

    A pixel is starved when it, or twice-safe its neighbourhood, has fewer counts than the floor: the
    neighbourhood's mean decides (5 by 5 pixels, twice the floor), because picking single low pixels would bias what is
    left. The window grows until the mean of a still wider one predicts twice the floor in it.

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
    rows = _rows_with_few(counts, floor)
    if rows is None:
        return transmission, counts, starved
    averaged, counts_behind = transmission.copy(), counts.copy()
    part, few = _average(counts[rows], floor)
    starved[rows] = few
    inside = part[0] > 0
    averaged[rows][inside] = (part[1] / counts_at_one[rows])[inside]
    counts_behind[rows][inside] = part[0][inside]
    return averaged, counts_behind, starved


def _rows_with_few(counts: Float32, floor: float) -> slice | None:
    low = np.flatnonzero(counts.min(axis=1) < 2 * floor)
    if not low.size:
        return None
    reach = WINDOW_RADII[-1]
    return slice(max(int(low[0]) - reach, 0), int(low[-1]) + reach + 1)


def _average(counts: Float32, floor: float) -> tuple[tuple[Float32, Float32], NDArray[np.bool_]]:
    """Return (counts in the window, mean counts per pixel) of starved pixels, zero elsewhere, and where they are."""
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
