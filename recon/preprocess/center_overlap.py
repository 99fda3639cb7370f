"""Centre of rotation of a scan whose axis stands beside the middle: opposite views overlap in a strip only."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights, refine_minimum
from deltamu.recon.preprocess.center_pairs import opposite_pairs

SMOOTHING_PX = 1.0
# fewer columns than this, or than this part of the width, are no overlap to judge
LEAST_COLUMNS, LEAST_FRACTION = 8, 0.05
# of the largest line integral: the object goes on beyond one edge and ends before the other
CUT, CLEAR = 0.2, 0.05
ERROR_PX = 0.1


def as_offset_scan(heights: Heights, *, searched: bool) -> Heights | None:
    """Return heights with the side of the axis as window of the search; None where no offset scan shows.

    Opposite views of a full turn, an object that ends at one edge and goes on beyond the other: the axis stands
    near that other edge.

    Parameters
    ----------
    heights : Heights
    searched : bool
        The window was given and stays.
    """
    first, _, missing = opposite_pairs(heights.angles)
    turn = np.ptp(np.mod(heights.angles - heights.angles.min(), 2 * np.pi))
    if not len(first) or np.any(np.abs(missing) >= 1e-4) or turn < 1.5 * np.pi:
        return None
    columns = heights.sinograms.shape[2]
    width = max(columns // 32, 2)
    largest = heights.sinograms.max(axis=(1, 2))
    left, right = (
        float(np.median(part.mean(axis=(1, 2)) / largest))
        for part in (heights.sinograms[:, :, :width], heights.sinograms[:, :, -width:])
    )
    if not (max(left, right) > CUT and min(left, right) < CLEAR):
        return None
    if searched:
        return heights
    least, middle = (_least_overlap(columns) - 1) / 2, (columns - 1) / 2
    near_left = (least, middle)
    return replace(heights, search=near_left if left > right else (middle, columns - 1 - least))


def centers_from_overlap(heights: Heights) -> tuple[HeightCenters, HeightCenters]:
    """Find the mirror that makes opposite views agree where they overlap, by their levels and by their edges.

    The sum of squared differences grows with the overlap, so their correlation is what is compared.

    Source: N. T. Vo et al., J. Synchrotron Rad. 28 (2021) 1849, section 2.2, for the overlap; here all centres are
    tried at once by Fourier transforms, over all opposite views.
    """
    first, second, _ = opposite_pairs(heights.angles)
    smooth = gaussian_filter1d(heights.sinograms, SMOOTHING_PX, axis=2, mode="nearest")
    edges = np.gradient(smooth, axis=2)
    return (
        _best_mirrors("overlap of levels", heights, smooth[:, first], smooth[:, second]),
        # the mirror turns the sign of a gradient
        _best_mirrors("overlap of edges", heights, edges[:, first], -edges[:, second]),
    )


def _best_mirrors(method: str, heights: Heights, views: Float, opposite: Float) -> HeightCenters:
    columns = views.shape[2]
    sums = np.arange(2 * columns - 1)
    inside = (sums >= 2 * heights.search[0]) & (sums <= 2 * heights.search[1])
    curves = (
        1 - np.stack([mirror_correlation(*pair) for pair in zip(views, opposite, strict=True)])[:, inside]
    )
    best = np.argmin(curves, axis=1)
    centers = [
        0.5 * (sums[inside][0] + refine_minimum(curve, int(at)))
        for curve, at in zip(curves, best, strict=True)
    ]
    contrast = views.std(axis=(1, 2))
    return HeightCenters(method, np.asarray(centers), contrast**2, ERROR_PX)


def mirror_correlation(views: Float, opposite: Float) -> Float:
    """Correlation of views (pair, column) with mirrored opposite ones where they overlap, for each sum of columns.

    Returns
    -------
    (2 column - 1,) array
        Entry s is for the mirror j -> s - j, a centre of s / 2; -1 where they overlap too little.
    """
    columns = views.shape[1]
    length = 4 * columns
    spectra = [np.fft.rfft(v, length, axis=1) for v in (views, opposite)]
    product = np.fft.irfft((spectra[0] * spectra[1]).sum(axis=0), length)[: 2 * columns - 1]
    sums = np.arange(2 * columns - 1)
    low, high = np.maximum(sums - columns + 1, 0), np.minimum(sums, columns - 1) + 1
    overlap = high - low
    count = overlap * len(views)
    means = [_between(v.sum(axis=0), low, high) / count for v in (views, opposite)]
    powers = [_between((v**2).sum(axis=0), low, high) / count for v in (views, opposite)]
    spread = [np.maximum(power - mean**2, 0) for power, mean in zip(powers, means, strict=True)]
    covariance = product / count - means[0] * means[1]
    correlation = covariance / np.maximum(np.sqrt(spread[0] * spread[1]), 1e-12)
    return np.where(overlap >= _least_overlap(columns), correlation, -1.0)


def _least_overlap(columns: int) -> int:
    return max(LEAST_COLUMNS, round(LEAST_FRACTION * columns))


def _between(values: Float, low: NDArray[np.int64], high: NDArray[np.int64]) -> Float:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[high] - total[low])
