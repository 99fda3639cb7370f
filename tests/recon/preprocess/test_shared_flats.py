"""Flats that two scans have in common."""

import numpy as np
import pytest

from deltamu.recon.preprocess.shared_flats import frame_digests, shared_correlation


def test_equal_frames_are_known_wherever_they_come_from() -> None:
    frames = np.random.default_rng(0).random((6, 3, 4)).astype(np.float32)
    digests = frame_digests(frames)
    assert frame_digests(np.asfortranarray(frames)) == digests
    assert shared_correlation(digests, digests) == 1
    assert shared_correlation(digests, frame_digests(frames[::-1] + 1)) == 0
    assert shared_correlation(digests, ()) == 0


def test_the_correlation_is_that_of_repeated_means() -> None:
    """Flats after the first scan serve before the second: 4 of 6 and 4 of 9 frames are the same."""
    noise = np.random.default_rng(1).standard_normal((11, 4000, 1)).astype(np.float32)
    first, second = noise[:6], noise[2:]
    found = shared_correlation(frame_digests(first), frame_digests(second))
    means = [frames.mean(axis=0).ravel() for frames in (first, second)]
    # 4000 repetitions know a correlation to 0.016
    assert found == pytest.approx(np.corrcoef(*means)[0, 1], abs=0.05)
    assert found == pytest.approx(4 / np.sqrt(54))
