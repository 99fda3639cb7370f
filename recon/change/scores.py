"""What the z scores of voxels without change say about the stated noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True)
class ScoreStatistics:
    """Distribution of z scores; normal noise with the right sigma has a robust SD of 1 and 0.27 % beyond 3.

    Attributes
    ----------
    robust_sd : float
        From the median absolute deviation.
    beyond_three_percent : float
        Share of voxels with |z| > 3.
    voxels : int
        With a score.
    unknown_percent : float
        Share of voxels without one.
    """

    robust_sd: float
    beyond_three_percent: float
    voxels: int
    unknown_percent: float


def score_statistics(scores: NDArray[np.floating]) -> ScoreStatistics | None:
    """Describe z scores; None where not one of them is finite.

    Parameters
    ----------
    scores : array
        NaN where the noise is not known.
    """
    known = scores[np.isfinite(scores)]
    if known.size == 0:
        return None
    spread = np.median(np.abs(known - np.median(known)))
    return ScoreStatistics(
        float(MAD_TO_SIGMA * spread),
        float(100 * np.mean(np.abs(known) > 3)),
        int(known.size),
        float(100 * (1 - known.size / scores.size)),
    )
