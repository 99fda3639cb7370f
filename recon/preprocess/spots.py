"""Spots, bright and dark: what a pixel may show without being one, so that only spots are replaced."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import nnls

from deltamu.kernels.spots import fill_flagged, find_spots, local_median

Float32 = NDArray[np.float32]

# neighbours correlate through the scintillator's light; three pixels apart they hardly do
DISTANCE = 3
BINS = 8

# corners of the sample move by a few pixels from one sampled view to the next
CORNER_REACH = 5
# a spot comes and goes: what stands out here in more of the views belongs to the sample
LASTING_SHARE = 0.25
FEWEST_VIEWS = 3
# views that were not sampled may show a corner sharper by this factor
CORNER_MARGIN = 1.5


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


def corner_variance(frames: Float32, variance: tuple[Float32, Float32], *, threshold: float) -> Float32:
    """Add to the variance of a pixel, so that corners of the sample are not taken for spots.

    Where a bright part of a radiograph ends in a corner (the end of a collector at the wall of the bore) it
    stands out of its surroundings as a spot does, but in view after view; replaced, it leaves a ring.

    Parameters
    ----------
    frames : (n, row, column) array
        Views spread over the scan.
    variance : (offset, slope), each (row, column)
        As for `find_spots`.
    threshold : float
        Standard deviations at which a pixel is a spot.

    Returns
    -------
    (row, column) float32 array
        0 where nothing stands out for long; elsewhere only what exceeds the usual by half is still a spot.
    """
    mask = find_spots(frames, variance, threshold=threshold)
    filled = frames.copy()
    fill_flagged(filled, mask)
    excess = np.where(mask, frames - filled, np.float32(0))
    around = maximum_filter(excess, (1, CORNER_REACH, CORNER_REACH), mode="constant")
    views = np.count_nonzero(around, axis=0)
    usual = float(np.median(views))
    lasting = views >= max(FEWEST_VIEWS, LASTING_SHARE * len(frames), usual + 5 * usual**0.5)
    # the largest may be a spot upon the corner
    height = np.partition(around, -2, axis=0)[-2] if len(frames) > 1 else around[0]
    return np.where(lasting, (CORNER_MARGIN / threshold * height) ** 2, 0).astype(np.float32)


def upside_down(frames: Float32) -> Float32:
    """Turn frames over about their local median, so that dark spots are bright ones at the same level.

    Parameters
    ----------
    frames : (n, row, column) array
    """
    turned = local_median(frames, size=5)
    turned *= 2
    turned -= frames
    return turned


def find_dark_spots(
    frames: Float32, variance: tuple[Float32, Float32], *, threshold: float
) -> NDArray[np.bool_]:
    """Find pixels that belong to dark spots, as `deltamu.kernels.spots.find_spots` finds bright ones."""
    return find_spots(upside_down(frames), variance, threshold=threshold)


def _opposite_differences(frames: Float32) -> tuple[Float32, Float32]:
    step = max(1, frames.size // 2_000_000)
    axis = 2 if frames.shape[2] > 2 * DISTANCE else 1
    last = frames.shape[axis]
    if last <= 2 * DISTANCE:
        return np.ravel(frames), np.zeros(frames.size, np.float32)
    levels, differences, start = [], [], 0
    # frame by frame: arrays of the size of all frames would be the largest of the whole preparation
    for frame in frames if axis == 2 else frames.swapaxes(1, 2):
        level = 0.5 * (frame[:, : last - 2 * DISTANCE] + frame[:, 2 * DISTANCE :])
        first = -start % step
        levels.append(level.ravel()[first::step])
        differences.append((frame[:, DISTANCE : last - DISTANCE] - level).ravel()[first::step])
        start += level.size
    return np.concatenate(levels), np.concatenate(differences)


def _line(means: NDArray[np.float64], variances: NDArray[np.float64], span: float) -> tuple[Float32, Float32]:
    """Fit a straight line without negative coefficients, each group with its relative weight."""
    tiny = np.float32(1e-12 + (1e-4 * span) ** 2)
    if not len(means) or not np.any(variances > 0):
        return np.asarray(tiny, np.float32), np.asarray(0.0, np.float32)
    weight = 1 / np.maximum(variances, 1e-3 * variances.max())
    (offset, slope), _ = nnls(np.column_stack([weight, weight * means]), weight * variances)
    return np.asarray(max(offset, tiny), np.float32), np.asarray(slope, np.float32)
