"""The right hypothesis for profiles whose cause is known."""

import numpy as np
import pytest
from scipy.integrate import quad

from deltamu.recon.change.difference import difference
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.profile import DepthProfile, depth_profile
from deltamu.recon.change.reaction_front import reaction_front
from deltamu.recon.change.transport import compare_transport, reaction_profile
from deltamu.recon.errors import InputError
from deltamu.recon.simulate import profiles

THICKNESS, SULFUR, ERROR = 0.4, 1.5367, 0.004


def measured(shape, *, seed=0, error=ERROR, bins=15):
    """A profile of a cathode of 0.4 mm; the outer two bins on either side are what erosion leaves out."""
    x = (np.arange(bins) + 0.5) / bins
    mean = SULFUR * shape(x) + np.random.default_rng(seed).normal(0, error, bins)
    eroded = np.zeros(bins, bool)
    eroded[2:-2] = True
    every = np.ones(bins, bool)
    return DepthProfile(
        x * THICKNESS, mean, np.full(bins, error), np.full(bins, 0.2), np.full(bins, 10_000), eroded, every,
        float(mean[eroded].mean()), error,
    )  # fmt: skip


@pytest.mark.parametrize("nu", [0.3, 2.0, 8.0, 50.0])
def test_the_mean_reaction_is_one_and_the_electrons_mirror_it(nu: float) -> None:
    assert quad(lambda x: float(reaction_profile(np.array(x), nu)), 0, 1)[0] == pytest.approx(1, rel=1e-7)
    x = np.linspace(0, 1, 11)
    np.testing.assert_allclose(
        reaction_profile(x, nu, "electrons"), reaction_profile(x, nu)[::-1], rtol=1e-12
    )
    np.testing.assert_allclose(reaction_profile(x, 1e-9), 1.0)


@pytest.mark.parametrize("limit", ["ions", "electrons"])
def test_the_parameter_comes_back_with_an_honest_error(limit) -> None:
    pulls = []
    for seed in range(60):
        found = compare_transport(
            measured(lambda x: 0.5 * reaction_profile(x, 2.0, limit), seed=seed), THICKNESS
        )
        assert found.preferred == limit
        fit = getattr(found, limit)
        pulls.append((fit.nu - 2.0) / fit.nu_standard_error)
    # 60 pulls: 9 % of their width; the scale is itself from 9 degrees of freedom
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)
    assert abs(np.mean(pulls)) < 0.5


@pytest.mark.parametrize(
    ("shape", "preferred"),
    [
        (profiles.front(0.45, width=0.08, level=0.9), "ions"),
        (profiles.front(0.55, width=0.08, level=0.9, from_collector=True), "electrons"),
        (lambda x: 0.3 + 0.5 * np.exp(-((x - 0.5) ** 2) / (2 * 0.15**2)), None),
        (profiles.flat(0.6), None),
    ],
)
def test_alternative_truths(shape, preferred) -> None:
    """Sharp front, mirror, centre-peaked, flat: a shape that neither explains is not called either."""
    for seed in range(5):
        found = compare_transport(measured(shape, seed=seed), THICKNESS)
        assert found.preferred == preferred
        assert (found.evidence > 0) == (preferred == "ions") or preferred is None


@pytest.mark.parametrize(("truth", "preferred"), [("front", "ions"), ("mirror", "electrons")])
@pytest.mark.parametrize(("state", "place"), [("discharged", 0.5), ("charged", 0.25)])
def test_a_front_is_found_from_its_side(truth, preferred, state, place) -> None:
    """Level, place and width of the truth within their errors; the other side's front explains nothing."""
    pulls = []
    for seed in range(10):
        found = compare_transport(measured(profiles.TRUTHS[truth][state], seed=seed), THICKNESS)
        assert (found.preferred, found.shape) == (preferred, "front")
        front = found.ions_front if preferred == "ions" else found.electrons_front
        position = front.position if preferred == "ions" else 1 - front.position
        pulls.append((position - place) / front.position_standard_error)
        pulls.append((front.width - 0.08) / front.width_standard_error)
        pulls.append((front.level - 0.9 * SULFUR) / front.level_standard_error)
        assert front.level_standard_error < 0.03 * SULFUR
    # 30 pulls, three of a fit correlated: mean within 3 standard errors of ten, width within 40 % of 1 (as much)
    assert abs(np.mean(pulls)) < 0.9
    assert np.std(pulls) == pytest.approx(1.0, abs=0.4)


@pytest.mark.parametrize("bins", [15, 10])
def test_the_band_between_two_fronts_is_not_given_to_a_side(bins) -> None:
    """Lithium between 0.25 and 0.5: fronts from either side leave the same change."""
    for truth in ("front", "mirror"):
        states = profiles.TRUTHS[truth]
        found = compare_transport(
            measured(lambda x, s=states: s["charged"](x) - s["discharged"](x), bins=bins), THICKNESS
        )
        assert found.preferred is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "preferred"), [("front", "ions"), ("mirror", "electrons"), ("center", None), ("broad", None)]
)
def test_noisy_blurred_volumes_of_tilted_layers(cell, stack_order, truth, preferred) -> None:
    """What blur, texture, voxels, tilt and bow make of a front is still one; surfaces as they are."""
    one = cell(shape=(128, 72, 72), radius=0.7, axis=(0.98, 0.95))
    slope = np.tan(np.radians(one.tilt_deg))
    tilt = (slope * np.sin(np.radians(one.azimuth_deg)), slope * np.cos(np.radians(one.azimuth_deg)))
    shape = (*map(float, tilt), 1e-3 * one.bow_um / one.radius**2)
    surfaces = tuple(Surface((float(z), *shape), one.axis) for z in one.edges)
    stack = LayerStack(tuple(stack_order), surfaces, one.axis, one.radius, one.voxel)
    pristine, full = (
        one.volume(profiles.TRUTHS[truth][s], seed=k) for k, s in enumerate(("pristine", "discharged"))
    )
    profile = depth_profile(difference(pristine, full), stack["cathode"], fwhm_mm=0.045)
    assert compare_transport(profile, THICKNESS).preferred == preferred


def test_broad_and_central_maxima_are_no_fronts() -> None:
    for truth in ("broad", "center"):
        for state in ("discharged", "charged"):
            for seed in range(5):
                found = compare_transport(measured(profiles.TRUTHS[truth][state], seed=seed), THICKNESS)
                assert found.preferred is None


def test_few_bins_do_without_fronts() -> None:
    found = compare_transport(measured(profiles.front(0.3), bins=9), THICKNESS)
    assert found.bins == 5
    assert found.ions_front is None
    assert (found.preferred, found.shape) == ("ions", "reaction")


def test_a_front_and_its_mirror_image() -> None:
    x = np.linspace(0, 1, 21)
    np.testing.assert_allclose(reaction_front(x, 0.4, 0.05), 1 / (1 + np.exp((x - 0.4) / 0.05)), atol=1e-15)
    np.testing.assert_allclose(
        reaction_front(x, 0.6, 0.05, "electrons"), reaction_front(x, 0.4, 0.05)[::-1], atol=1e-15
    )
    assert np.all(np.isfinite(reaction_front(x, 0.5, 1e-9)))
    with pytest.raises(InputError, match="width: found 0"):
        reaction_front(x, 0.5, 0.0)
    with pytest.raises(InputError, match="'ions' or 'electrons'"):
        reaction_front(x, 0.5, 0.1, "holes")  # type: ignore[arg-type]


def test_counting_longer_does_not_make_a_wrong_shape_right() -> None:
    shape = lambda x: 0.3 + 0.5 * np.exp(-((x - 0.48) ** 2) / (2 * 0.15**2))  # noqa: E731
    assert compare_transport(measured(shape, error=1e-5), THICKNESS).preferred is None


def test_refusals() -> None:
    with pytest.raises(InputError, match="at least 4"):
        compare_transport(measured(profiles.flat(0.5), bins=3), THICKNESS)
    with pytest.raises(InputError, match="nu: found -1"):
        reaction_profile(np.zeros(2), -1)
    with pytest.raises(InputError, match="'ions' or 'electrons'"):
        reaction_profile(np.zeros(2), 1, "holes")  # type: ignore[arg-type]
