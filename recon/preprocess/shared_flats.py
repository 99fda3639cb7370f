"""Open-beam frames that two scans have in common: their noise is then the same in both."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def frame_digests(frames: NDArray[np.generic]) -> tuple[str, ...]:
    """Digest of every frame, by which equal ones are known wherever they were read from.

    Parameters
    ----------
    frames : (n, row, column) array
    """
    return tuple(
        hashlib.blake2b(np.ascontiguousarray(frame).tobytes(), digest_size=16).hexdigest() for frame in frames
    )


def shared_correlation(first: Sequence[str], second: Sequence[str]) -> float:
    """Correlation of the counting noise of two mean flats: common frames over √(n₁ n₂).

    Parameters
    ----------
    first, second : sequences of str
        Digests of the frames behind both; empty where they are not known.

    Returns
    -------
    float
        0 (no frame in common) to 1 (the same frames).

    Notes
    -----
    Means of n₁ and n₂ frames of variance v share n frames: covariance v n / (n₁ n₂), variances v/n₁ and v/n₂.
    """
    if not first or not second:
        return 0.0
    common = sum((Counter(first) & Counter(second)).values())
    return float(common / np.sqrt(len(first) * len(second)))
