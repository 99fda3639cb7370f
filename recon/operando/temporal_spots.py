"""Gamma spots in a series: pixels that are brighter than in the frames before and after.

The cell changes over minutes and a hit lasts one frame, so the neighbours in time say better than those in space
what a pixel would have shown, also on edges and thin layers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
# a cell may change between two frames: what exceeds one neighbour only must stand out more
_TWICE_HIT = 1.6


@dataclass(frozen=True)
class SpotNoise:
    """Variance of a pixel at level v, offset + slope max(v, 0), and the threshold in standard deviations."""

    offset: Float32
    slope: Float32
    threshold: float


def find_temporal_spots(
    frame: Float32, before: Float32, after: Float32, noise: SpotNoise
) -> tuple[Int, Float32]:
    """Find spots and what to put in their place.

    A pixel is flagged when it exceeds the brighter of its neighbours in time by the threshold, or the darker one
    by 1.6 times as much (hits in two frames in a row), and pixels beside it from half of that on. It is replaced
    by the mean of its neighbours in time, or by the darker one where they differ by more than the threshold.

    Parameters
    ----------
    frame, before, after : (row, column) arrays
        Scaled to one dose.
    noise : SpotNoise

    Returns
    -------
    spots : (n,) int array
        Positions in the flattened frame.
    values : (n,) float32 array
    """
    once = _exceeding(frame, np.maximum(before, after), noise, noise.threshold)
    twice = _exceeding(frame, np.minimum(before, after), noise, _TWICE_HIT * noise.threshold)
    spots = np.unique(np.concatenate([*once, *twice]))
    variance = noise.slope.ravel()[spots] * np.maximum(np.maximum(before, after).ravel()[spots], 0)
    variance += noise.offset.ravel()[spots]
    first, second = before.ravel()[spots], after.ravel()[spots]
    agree = (first - second) ** 2 <= 2 * np.float32(noise.threshold**2) * variance
    return spots, np.where(agree, (first + second) / 2, np.minimum(first, second)).astype(np.float32)


def _exceeding(frame: Float32, compared: Float32, noise: SpotNoise, threshold: float) -> tuple[Int, Int]:
    """Pixels above another frame by a threshold, and those beside them from half of it on."""
    excess = frame - compared
    variance = noise.slope * np.maximum(compared, 0)
    variance += noise.offset
    seeds = np.flatnonzero((excess > 0) & (excess * excess > np.float32(threshold**2) * variance))
    if not seeds.size:
        return seeds, seeds
    beside = _beside(seeds, frame.shape)
    weak = excess.ravel()[beside]
    level = np.float32((threshold / 2) ** 2) * variance.ravel()[beside]
    return seeds, beside[(weak > 0) & (weak * weak > level)]


def _beside(spots: Int, shape: tuple[int, ...]) -> Int:
    """Positions next to the given ones, within the frame."""
    row, column = np.divmod(spots, shape[1])
    steps = np.array([(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b])
    rows, columns = row[:, None] + steps[:, 0], column[:, None] + steps[:, 1]
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.unique(rows[inside] * shape[1] + columns[inside])
