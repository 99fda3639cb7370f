"""Centre of rotation from opposite views: one is the mirror image of the other."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights, refine_minimum

# noise of single pixels must not lock the answer to whole pixels
SMOOTHING_PX = 2.0
MOST_PAIRS = 32
NEAR_PAIRS = 5
LEAST_OVERLAP = 0.3
ERROR_PX = 0.05


def centers_from_pairs(heights: Heights) -> HeightCenters:
    """Find the column about which opposite views mirror each other, by least squared difference.

    Where no two views are exactly opposite (a half turn without its end, golden-ratio angles), the pairs next
    to it give a centre that drifts with the angle they lack, and the drift is extrapolated to none.
    """
    first, second, missing = opposite_pairs(heights.angles)
    columns = heights.sinograms.shape[2]
    if not len(first):
        nothing = np.full(len(heights.rows), np.nan)
        return HeightCenters("opposite views", nothing, np.zeros(len(heights.rows)), ERROR_PX)
    smooth = gaussian_filter1d(heights.sinograms, SMOOTHING_PX, axis=2, mode="nearest")
    difference = mirror_difference(smooth[:, first], smooth[:, second])
    sums = np.arange(2 * columns - 1)
    inside = (sums >= 2 * heights.search[0]) & (sums <= 2 * heights.search[1])
    exact = np.all(np.abs(missing) < 1e-4)
    centers = np.empty(len(heights.rows))
    for height, curves in enumerate(difference[:, :, inside]):
        joint = curves.mean(axis=0)
        best = int(np.argmin(joint))
        if exact:
            centers[height] = 0.5 * (sums[inside][0] + refine_minimum(joint, best))
        else:
            each = [0.5 * (sums[inside][0] + refine_minimum(c, _near(c, best))) for c in curves]
            centers[height] = extrapolate(missing, np.asarray(each))
    contrast = np.ptp(smooth[:, first], axis=2).mean(axis=1)
    return HeightCenters("opposite views", centers, contrast**2, ERROR_PX)


def opposite_pairs(angles: Float) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    """Pairs of views half a turn apart.

    Returns
    -------
    first, second : (pair,) int64 arrays
        Indices of views.
    missing : (pair,) array
        Radians by which they are more than half a turn apart: zero when pairs are exact.
    """
    turned = np.mod(angles - angles.min(), 2 * np.pi)
    gap = turned[None, :] - turned[:, None] - np.pi
    # each pair once, the earlier angle first: its drift has a sign
    first, second = np.nonzero(np.abs(gap) <= np.pi / 2)
    missing = gap[first, second]
    exact = np.abs(missing) < 1e-4
    if exact.any():
        chosen = np.flatnonzero(exact)
        chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_PAIRS)).round().astype(int)]
        return first[chosen], second[chosen], missing[chosen]
    spacing = np.pi / len(angles)
    near = np.flatnonzero(np.abs(missing) <= (NEAR_PAIRS + 0.5) * 2 * spacing)
    chosen = near[np.argsort(np.abs(missing[near]), kind="stable")[:MOST_PAIRS]]
    return first[chosen], second[chosen], missing[chosen]


def mirror_difference(views: Float, opposite: Float) -> Float:
    """Mean squared difference of views and mirrored opposite views, for each sum of mirrored columns.

    Parameters
    ----------
    views, opposite : (..., column) arrays

    Returns
    -------
    (..., 2 column - 1) array
        Entry s is for the mirror j -> s - j, a centre of s / 2; infinite where they overlap too little.
    """
    columns = views.shape[-1]
    length = 4 * columns
    product = np.fft.irfft(np.fft.rfft(views, length) * np.fft.rfft(opposite, length), length)
    product = product[..., : 2 * columns - 1]
    sums = np.arange(2 * columns - 1)
    low, high = np.maximum(sums - columns + 1, 0), np.minimum(sums, columns - 1) + 1
    energy = _between(views**2, low, high) + _between(opposite**2, low, high)
    overlap = high - low
    mean = (energy - 2 * product) / overlap
    return np.where(overlap >= LEAST_OVERLAP * columns, mean, np.inf)


def _between(values: Float, low: NDArray[np.int64], high: NDArray[np.int64]) -> Float:
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    return np.asarray(total[..., high] - total[..., low])


def _near(curve: Float, index: int, reach: int = 12) -> int:
    first = max(index - reach, 0)
    return first + int(np.argmin(curve[first : index + reach + 1]))


def extrapolate(missing: Float, centers: Float) -> float:
    """Centre at which nothing is missing from half a turn; a line where the pairs span enough for one."""
    if len(missing) < 3 or np.ptp(missing) < 1e-6:
        return float(np.median(centers))
    return float(np.polyfit(missing, centers, 1)[1])
