"""Centre, front and share of profiles with a closed form."""

import numpy as np
import pytest

from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.change.profile_shape import profile_shape
from deltamu.recon.errors import InputError
from deltamu.recon.simulate import profiles

THICKNESS, BINS = 0.4, 40


def measured(shape, error=1e-9, seed=0):
    x = (np.arange(BINS) + 0.5) / BINS
    mean = shape(x) + np.random.default_rng(seed).normal(0, error, BINS)
    every = np.ones(BINS, bool)
    eroded = every.copy()
    eroded[[0, 1, -1, -2]] = False
    return DepthProfile(
        x * THICKNESS, mean, np.full(BINS, error), np.full(BINS, 0.1), np.full(BINS, 100), eroded, every,
        float(mean.mean()), error,
    )  # fmt: skip


def exact(weight):
    x = (np.arange(200_000) + 0.5) / 200_000
    change = profiles.discharged(x) - profiles.charged(x)
    return float(np.sum(weight(x) * change) / np.sum(change))


def test_the_loss_of_figure_4c_sits_on_the_side_of_the_separator() -> None:
    """75.34 % of the lithium that leaves on charging leaves the separator's half."""
    found = profile_shape(measured(lambda x: profiles.charged(x) - profiles.discharged(x)), THICKNESS)
    # 40 bins of a smooth curve: the midpoint rule is good to 1e-4
    assert found.separator_half_share.value == pytest.approx(0.7534, abs=3e-4)
    assert found.separator_half_share.value == pytest.approx(exact(lambda x: x < 0.5), abs=3e-4)
    assert found.center_of_mass_mm.value == pytest.approx(THICKNESS * exact(lambda x: x), rel=1e-3)
    assert found.front_side == "collector"


@pytest.mark.parametrize("from_collector", [False, True])
def test_the_front_of_a_logistic_is_where_it_is_half_its_height(from_collector) -> None:
    shape = profiles.front(0.5, width=0.04, level=1.0, from_collector=from_collector)
    found = profile_shape(measured(shape), THICKNESS)
    # linear interpolation between bins of a fortieth: curvature is nil at the inflection
    assert found.front_mm.value == pytest.approx(0.5 * THICKNESS, abs=1e-4)
    assert found.front_side == ("separator" if from_collector else "collector")


def test_errors_are_those_of_repeated_measurements() -> None:
    shape = profiles.front(0.5, width=0.1)
    found = [profile_shape(measured(shape, 0.02, seed), THICKNESS) for seed in range(300)]
    for name in ("center_of_mass_mm", "separator_half_share"):
        values = [getattr(one, name) for one in found]
        # 300 repetitions know the scatter to 4 %
        assert np.std([v.value for v in values]) == pytest.approx(values[0].standard_error, rel=0.15)
    fronts = [one.front_mm for one in found]
    # the largest bin is the largest of several alike: its noise is smaller than that of one bin, not larger
    assert np.std([v.value for v in fronts]) == pytest.approx(
        np.mean([v.standard_error for v in fronts]), rel=0.3
    )


def test_correlated_bins_widen_the_error() -> None:
    profile = measured(profiles.front(0.5, width=0.1), 0.02)
    together = 0.02**2 * (0.2 * np.eye(BINS) + 0.8)
    plain, joint = profile_shape(profile, THICKNESS), profile_shape(profile, THICKNESS, covariance=together)
    assert joint.center_of_mass_mm.standard_error > 1.5 * plain.center_of_mass_mm.standard_error


def test_a_flat_profile_has_no_front_and_noise_no_centre() -> None:
    assert profile_shape(measured(profiles.flat(0.5)), THICKNESS).front_mm is None
    with pytest.raises(InputError, match="does not stand out"):
        profile_shape(measured(profiles.empty, 0.1), THICKNESS)
