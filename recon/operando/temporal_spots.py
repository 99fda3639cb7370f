"""Gamma spots in a series: pixels that are brighter than in the frames before and after.

The cell changes over minutes and a hit lasts one frame, so the neighbours in time say better than those in space
what a pixel would have shown, also on edges and thin layers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.flashes import find_flashes

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
    flags = find_flashes(
        frame,
        before,
        after,
        (noise.offset, noise.slope),
        once=noise.threshold,
        twice=_TWICE_HIT * noise.threshold,
    )
    spots = np.flatnonzero(flags)
    variance = noise.slope.ravel()[spots] * np.maximum(np.maximum(before, after).ravel()[spots], 0)
    variance += noise.offset.ravel()[spots]
    first, second = before.ravel()[spots], after.ravel()[spots]
    agree = (first - second) ** 2 <= 2 * np.float32(noise.threshold**2) * variance
    return spots, np.where(agree, (first + second) / 2, np.minimum(first, second)).astype(np.float32)
