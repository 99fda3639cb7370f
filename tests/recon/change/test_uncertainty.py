import numpy as np
import pytest

from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.profile_plan import plan_profile
from deltamu.recon.change.profile_sums import bin_weights, slab_sums
from deltamu.recon.change.uncertainty import (
    StateNoise,
    disc_mean_standard_error,
    integral_readout,
    open_beam_readout_variance,
    profile_with_errors,
    readout_standard_error,
    registration_readout_error,
    subset_bin_variance,
    subset_variance,
)
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.noise import ring_response

SHAPE, VOXEL = (24, 40, 40), 0.05


@pytest.fixture(scope="module")
def layered():
    axis = (0.975, 0.975)
    surfaces = tuple(Surface((z, 0.0, 0.0, 0.0), axis) for z in (0.1, 0.425, 0.825, 1.1))
    stack = LayerStack(("separator", "cathode", "collector_c"), surfaces, axis, 0.8, VOXEL)
    plan = plan_profile(stack["cathode"], SHAPE, fwhm_mm=0.075)
    delta = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    return plan, delta, slab_sums(plan, 0, delta)


def test_the_closed_form_of_a_disc() -> None:
    """T5: sigma 0.05, pixel 0.01, 360 views, radius 0.6."""
    found = disc_mean_standard_error(0.05, pixel=0.01, views=360, radius=0.6)
    assert found == pytest.approx(4.382e-4, rel=1e-3)


def test_subsets_of_views_find_the_closed_form() -> None:
    """White noise through FBP: the disc means of 48 slices, each from 8 subsets of the views."""
    views, columns, slices, subsets, radius = 96, 64, 48, 8, 16
    angles = np.arange(views) * np.pi / views
    noise = 0.05 * np.random.default_rng(1).standard_normal((views, slices, columns)).astype(np.float32)
    y, x = np.meshgrid(*[np.arange(columns) - (columns - 1) / 2] * 2, indexing="ij")
    disc = np.hypot(y, x) < radius
    means = [
        fbp(noise[k::subsets], angles[k::subsets], center=(columns - 1) / 2, pixel_size_mm=10.0)[
            :, disc
        ].mean(axis=1)
        for k in range(subsets)
    ]
    variance = np.mean([subset_variance(np.stack(means), np.eye(slices)[k]) for k in range(slices)])
    expected = disc_mean_standard_error(0.05, pixel=1.0, views=views, radius=radius)
    # 48 × 7 degrees of freedom: 4 % of the standard error; the lattice of the disc and R/a = 16: a few per cent
    assert np.sqrt(variance) == pytest.approx(expected, rel=0.12)


def test_subsets_cannot_see_the_open_beam_but_the_ring_response_does(layered) -> None:
    """An offset of the open beam, alike in all views, moves all subsets alike: its effect is the read-out's error."""
    columns = SHAPE[2]
    center = (columns - 1) / 2
    plan, _, sums = layered
    response = ring_response(columns, center=center, pixel_size_mm=VOXEL, radii_px=plan.radii_px)
    variance = np.zeros((SHAPE[0], columns))
    variance[12] = 1e-4
    readout = bin_weights(sums, plan.eroded)
    noise = StateNoise(np.zeros((4, plan.bins)), response, variance)
    predicted = np.sqrt(open_beam_readout_variance(sums, readout, noise))
    angles = np.arange(180) * np.pi / 180
    offsets = 1e-2 * np.random.default_rng(5).standard_normal((300, columns)).astype(np.float32)
    slices = fbp(np.repeat(offsets[None], 180, 0), angles, center=center, pixel_size_mm=VOXEL)
    weights = np.zeros(SHAPE[1:])
    for row, value in zip(*_row_weights(plan, sums, readout, 12), strict=True):
        weights.flat[row] = value
    found = np.std(slices.reshape(300, -1) @ weights.ravel())
    # 300 draws: 4 %; ring_response is the mean around the axis of a lattice of 40 pixels
    assert predicted == pytest.approx(found, rel=0.15)
    assert readout_standard_error(sums, readout, [noise, noise]) == pytest.approx(np.sqrt(2) * predicted)


def _row_weights(plan, sums, readout, row):
    """Weight of every voxel of one slice in a read-out, from what single voxels add to the sums."""
    y, x = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[2]), indexing="ij")
    inside = np.hypot(y * VOXEL - plan.layer.axis_mm[0], x * VOXEL - plan.layer.axis_mm[1]) < plan.radius_mm
    depth = row * VOXEL - 0.425
    index = int(np.floor((depth - plan.edges_mm[0]) / (plan.edges_mm[1] - plan.edges_mm[0])))
    return np.flatnonzero(inside), np.full(inside.sum(), readout[index] / sums.count[index])


def test_few_subsets_are_steadied_without_bias(layered) -> None:
    rng = np.random.default_rng(2)
    sigma = np.linspace(0.1, 0.4, 16)
    found = [subset_bin_variance(sigma * rng.standard_normal((6, 16)), sigma**2) for _ in range(200)]
    expected = sigma**2 / 6
    # 200 draws of some 35 degrees of freedom: 1.7 % of the variance in a bin
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.1)
    raw = [np.var(sigma * rng.standard_normal((6, 16)), axis=0, ddof=1) / 6 for _ in range(200)]
    assert np.std(found, axis=0).mean() < 0.6 * np.std(raw, axis=0).mean()


def test_profile_errors_cover_the_truth(layered) -> None:
    """Independent bins whose subsets are their own noise: pulls of unit width."""
    plan, _, _ = layered
    rng = np.random.default_rng(3)
    pulls = []
    for _ in range(60):
        subsets = 0.2 * rng.standard_normal((8, plan.bins))
        delta = np.zeros(SHAPE, np.float32) + 1e-3 * rng.standard_normal(SHAPE).astype(np.float32)
        sums = slab_sums(plan, 0, delta)
        profile = profile_with_errors(plan, sums, [StateNoise(subsets), StateNoise(np.zeros((8, plan.bins)))])
        pulls.append(subsets.mean(axis=0) / profile.standard_error)
    # 60 × 14 pulls: 3 %, and errors from 8 subsets, steadied over seven bins: 3 % more
    assert np.nanstd(pulls) == pytest.approx(1.0, abs=0.12)
    assert profile.error_kind == "views"


def test_registration_adds_a_part_that_telescopes(layered) -> None:
    """A shift of 2 µm moves a profile by its slope; over all bins only the two ends remain (T8)."""
    plan, _, sums = layered
    levels = np.where(
        plan.depth_mm < 0, 2.568, np.where(plan.depth_mm < plan.layer.thickness_mm, 1.363, 1.286)
    )
    width = plan.edges_mm[1] - plan.edges_mm[0]
    whole = registration_readout_error(plan, levels, np.full(plan.bins, width), 0.002)
    assert whole == pytest.approx(0.002 * (2.568 - 1.286), rel=1e-9)
    states = [StateNoise(np.zeros((4, plan.bins)))] * 2
    profile = profile_with_errors(plan, sums, states, moving_attenuation=levels, shift_sigma_mm=0.002)
    assert profile.systematic_error is not None
    np.testing.assert_allclose(profile.standard_error, profile.systematic_error)
    assert profile.systematic_error.max() == pytest.approx(0.002 * 1.205 / (2 * width))


def test_interpolation_adds_the_sum_of_its_shifts_to_a_layer(layered) -> None:
    """Shifts of opposite sign on both sides of an edge cancel in a layer's mean, not in its bins."""
    plan, _, sums = layered
    states = [StateNoise(np.zeros((4, plan.bins)))] * 2
    inside = np.flatnonzero(plan.eroded)
    shift = np.zeros(plan.bins)
    shift[inside[0]], shift[inside[1]] = 0.02, -0.02 * sums.count[inside[0]] / sums.count[inside[1]]
    profile = profile_with_errors(plan, sums, states, interpolation_shift=shift)
    np.testing.assert_allclose(profile.standard_error[inside[:2]], np.abs(shift[inside[:2]]))
    assert profile.layer_standard_error == pytest.approx(0, abs=1e-12)
    shift[inside[1]] = 0
    profile = profile_with_errors(plan, sums, states, interpolation_shift=shift)
    share = sums.count[inside[0]] / sums.count[plan.eroded].sum()
    assert profile.layer_standard_error == pytest.approx(0.02 * share)


def test_the_integral_is_a_readout(layered) -> None:
    _, _delta, sums = layered
    readout = integral_readout(sums, VOXEL)
    assert readout @ np.nan_to_num(sums.mean) == pytest.approx(sums.total.sum() * (0.1 * VOXEL) ** 3)


def test_noise_of_another_plan_is_refused(layered) -> None:
    plan, _, sums = layered
    with pytest.raises(InputError, match="bins"):
        profile_with_errors(plan, sums, [StateNoise(np.zeros((4, 3)))])
    with pytest.raises(InputError, match="two or more"):
        StateNoise(np.zeros((1, 3)))
    with pytest.raises(InputError, match="both or none"):
        StateNoise(np.zeros((2, 3)), np.zeros((5, 7)))
    with pytest.raises(InputError, match="columns"):
        StateNoise(np.zeros((2, 3)), np.zeros((5, 7)), np.zeros((4, 6)))
    noise = StateNoise(np.zeros((2, plan.bins)), np.zeros((5, 7)), np.zeros((4, 7)))
    with pytest.raises(InputError, match="radii of the plan"):
        open_beam_readout_variance(sums, np.ones(plan.bins), noise)
