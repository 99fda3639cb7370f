"""False discoveries on scores whose truth is known."""

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from deltamu.recon.change.significance import (
    chance_threshold,
    count_scores,
    false_discovery_bins,
    significant_voxels,
)
from deltamu.recon.errors import InputError


def scores(changed: int, unchanged: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(3.5, 1, changed), rng.normal(0, 1, unchanged)])


def test_the_rate_of_false_discoveries_is_what_was_asked_for() -> None:
    rates = []
    for seed in range(40):
        z = scores(2_000, 18_000, seed)
        found = significant_voxels(z, level=0.1)
        rates.append(np.mean(np.flatnonzero(np.abs(z) >= found.threshold_z) >= 2_000))
    # the level times the share without change, 0.09; 40 sets of some 150 false ones: 1.3 % of it
    assert np.mean(rates) == pytest.approx(0.09, rel=0.05)


def test_correlated_noise_keeps_the_rate() -> None:
    """Differences of neighbours, as FBP makes them: negative correlation within a few voxels."""
    rates = []
    for seed in range(10):
        white = np.random.default_rng(seed).standard_normal((60, 60, 60))
        noise = white - gaussian_filter(white, 1.0)
        z = noise / noise.std()
        z[:8] += 4.0
        threshold = significant_voxels(z, level=0.05).threshold_z
        rates.append(np.count_nonzero(np.abs(z[8:]) >= threshold) / np.count_nonzero(np.abs(z) >= threshold))
    assert np.mean(rates) <= 0.05


def test_noise_alone_is_hardly_ever_a_discovery() -> None:
    found = [
        significant_voxels(scores(0, 20_000, seed), level=0.05).changed_fraction > 0 for seed in range(100)
    ]
    # any discovery at all is false: probability 5 %, standard deviation 2.2 % over 100
    assert np.mean(found) < 0.12


def test_against_the_sorted_procedure_of_scipy() -> None:
    z = scores(300, 3000, 1)
    reference = stats.false_discovery_control(2 * stats.norm.sf(np.abs(z)), method="bh") <= 0.05
    np.testing.assert_array_equal(false_discovery_bins(z, level=0.05), reference)
    found = significant_voxels(z, level=0.05)
    # thresholds in steps of 0.005
    assert found.changed_fraction == pytest.approx(reference.mean(), rel=0.02)
    strict = stats.false_discovery_control(2 * stats.norm.sf(np.abs(z)), method="by") <= 0.05
    assert found.strict_changed_fraction == pytest.approx(strict.mean(), rel=0.02)
    assert found.strict_threshold_z > found.threshold_z


def test_slabs_add_up_and_unknown_scores_are_left_out() -> None:
    z = scores(100, 900, 2).astype(np.float32)
    z[::7] = np.nan
    whole, parts = count_scores(z), count_scores(z[:400]) + count_scores(z[400:])
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert significant_voxels(parts) == significant_voxels(z)
    assert whole.voxels == np.count_nonzero(np.isfinite(z))
    assert not false_discovery_bins(np.array([np.nan, 0.1]))[0]


def test_one_of_a_thousand_exceeds_the_chance_threshold() -> None:
    assert 2 * stats.norm.sf(chance_threshold(1000)) == pytest.approx(1e-3)


def test_refusals() -> None:
    with pytest.raises(InputError, match="level: found 5"):
        significant_voxels(np.zeros(3), level=5)
    with pytest.raises(InputError, match="not one is finite"):
        significant_voxels(np.full(4, np.nan))
