import numpy as np
import pytest

from deltamu.recon.change.scores import score_statistics


def test_normal_scores_have_the_numbers_of_a_normal_distribution() -> None:
    scores = np.random.default_rng(0).standard_normal(1_000_000).astype(np.float32)
    found = score_statistics(scores)
    assert found is not None
    # the robust SD of n normal values scatters by 1.17 / sqrt(2 n) = 0.0008; 2700 voxels by their root, 2 %
    assert found.robust_sd == pytest.approx(1, abs=0.004)
    assert found.beyond_three_percent == pytest.approx(0.270, rel=0.1)
    assert (found.voxels, found.unknown_percent) == (1_000_000, 0)


def test_a_sigma_that_is_too_small_shows() -> None:
    found = score_statistics(2 * np.random.default_rng(1).standard_normal(200_000))
    assert found is not None
    assert found.robust_sd == pytest.approx(2, rel=0.01)
    # |N(0, 2²)| > 3: 2 (1 − Φ(1.5)) = 13.36 %
    assert found.beyond_three_percent == pytest.approx(13.36, rel=0.05)


def test_scores_that_are_not_known_are_counted_apart() -> None:
    found = score_statistics(np.array([0.0, 4.0, np.nan, -4.0]))
    assert found is not None
    assert (found.voxels, found.unknown_percent) == (3, 25.0)
    assert found.beyond_three_percent == pytest.approx(200 / 3)
    assert score_statistics(np.full(3, np.nan)) is None
    assert score_statistics(np.empty(0)) is None
