"""Exact errors of read-outs of a change against repeated noise: two states, one moved, flats shared or not."""

import numpy as np
import pytest

from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.profile_plan import plan_profile
from deltamu.recon.change.profile_sums import binned_depth
from deltamu.recon.change.readout_slices import moved_bins, patch_bins
from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import AffineTransform, RigidTransform
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.line_noise import LineNoise
from deltamu.recon.solvers.readout_weights import readout_rays
from deltamu.recon.study.readout_variances import BinGroup, StateVariances, add_variances

SHAPE, VOXEL, VIEWS, REPETITIONS = (22, 40, 40), 0.05, 36, 150
ANGLES = np.arange(VIEWS) * np.pi / VIEWS
CENTERS = {"origin": 19.3, "to": 19.8}
MOTION = RigidTransform((2.0, 0.3, -0.2), (0.021, -0.017, 0.012), (0.55, 0.975, 0.975))
SIGMA = 0.02 * (1 + 0.5 * np.cos(np.linspace(-3, 3, SHAPE[2])))
OPEN_BEAM = 0.006


@pytest.fixture(scope="module")
def plan():
    axis = (0.975, 0.975)
    heights = ((0.1, 0.01), (0.4, 0.02), (0.75, 0.02), (1.0, 0.0))
    surfaces = tuple(Surface((z, slope, -slope, 0.0), axis) for z, slope in heights)
    stack = LayerStack(("separator", "cathode", "collector_c"), surfaces, axis, 0.8, VOXEL)
    return plan_profile(stack["cathode"], SHAPE, fwhm_mm=0.05, radius_fraction=0.9)


def options(state: str) -> dict[str, object]:
    return {"center": CENTERS[state], "pixel_size_mm": VOXEL, "filter": "hann"}


def halves(plan) -> np.ndarray:
    return np.broadcast_to((np.arange(SHAPE[2]) >= 20).astype(int), SHAPE[1:])


def predicted(plan, state: str, transform: RigidTransform | None) -> tuple[StateVariances, LineNoise]:
    rays = readout_rays(ANGLES, columns=SHAPE[2], size=SHAPE[2], reach_px=19, **options(state))
    sigma = np.broadcast_to(SIGMA[rays.columns], (SHAPE[0], rays.views.size, SIGMA[rays.columns].size))
    beam = np.full((SHAPE[0], sigma.shape[2]), OPEN_BEAM)
    noise = LineNoise(
        0, rays.first_column, sigma.astype(np.float32), beam.astype(np.float32), 0 * beam.astype(np.float32), None,
        rays.share, np.ones((1, 1)),
    )  # fmt: skip
    patches = list(patch_bins(plan, halves(plan), (0, SHAPE[0])))
    moved = None if transform is None else [moved_bins(patch, transform, SHAPE) for patch in patches]
    groups = [BinGroup("all", (0, 1), {"mean": plan.within}), BinGroup("half", (0,), {})]
    found = StateVariances()
    add_variances(found, patches, moved, groups, plan.bins, rays, noise)
    return found, noise


@pytest.fixture(scope="module")
def changes(plan):
    """Bin means of the whole pellet and of one half in repeated changes, by whether the flats are shared."""
    rng = np.random.default_rng(3)
    shape = (REPETITIONS, SHAPE[0], SHAPE[2])
    beams = [OPEN_BEAM * rng.standard_normal(shape).astype(np.float32) for _ in range(2)]
    volumes = {}
    for state, beam in (("origin", beams[0]), ("to", beams[0]), ("to, own flats", beams[1])):
        lines = SIGMA.astype(np.float32) * rng.standard_normal((VIEWS, *shape)).astype(np.float32) + beam
        made = fbp(lines.reshape(VIEWS, -1, SHAPE[2]), ANGLES, **options(state.split(",")[0]))
        volumes[state] = made.reshape(REPETITIONS, *SHAPE)
    found = {}
    for state in ("to", "to, own flats"):
        moved = [resample(v, MOTION, voxel_size_mm=VOXEL, order=3) for v in volumes[state]]
        found[state] = np.array(
            [bin_means(plan, a - b) for a, b in zip(moved, volumes["origin"], strict=True)]
        )
    return found


def bin_means(plan, change: np.ndarray) -> np.ndarray:
    """(2, bin): of all voxels, and of the half with small x."""
    _, bins, inside = binned_depth(plan, slice(0, SHAPE[0]), (slice(0, SHAPE[1]), slice(0, SHAPE[2])))
    parts = [inside, inside & (halves(plan) == 0)]
    return np.array([
        np.bincount(bins[part], change[part], plan.bins) / np.bincount(bins[part], minlength=plan.bins)
        for part in parts
    ])  # fmt: skip


def of_difference(plan, correlation: float) -> np.ndarray:
    """(2, bin) predicted variances."""
    (origin, noise), (to, other) = predicted(plan, "origin", None), predicted(plan, "to", MOTION)
    rows = []
    for name in ("all", "half"):
        total = sum(found.counting[name] + found.open_beam[name] for found in (origin, to))
        for index, (a, b) in enumerate(zip(origin.gathered[name], to.gathered[name], strict=True)):
            total[index] -= 2 * noise.shared_covariance(a, other, b, correlation)
        rows.append(total)
    return np.array(rows)


@pytest.mark.parametrize(("state", "correlation"), [("to", 1.0), ("to, own flats", 0.0)])
def test_bins_scatter_as_predicted(plan, changes, state, correlation) -> None:
    ratio = changes[state].var(axis=0) / of_difference(plan, correlation)
    # 150 repetitions know a variance to 12 %; of about ten bins with independent noise together to 4 %
    assert np.all(np.abs(ratio - 1) < 0.45)
    assert ratio.mean() == pytest.approx(1, abs=0.1)


def test_shared_flats_are_not_independent_ones(plan, changes) -> None:
    """The sample hardly moved, so that most of the noise of the flats is the same in both states and cancels."""
    scatter, independent = changes["to"].var(axis=0), of_difference(plan, 0.0)
    assert np.mean(scatter / independent) < 0.75
    # and half of the frames in common cancel half of it
    half = of_difference(plan, 0.5)
    assert half == pytest.approx(0.5 * (independent + of_difference(plan, 1.0)), rel=1e-6)


def test_the_mean_over_bins_holds_their_correlation(plan, changes) -> None:
    found, _ = predicted(plan, "to", MOTION)
    origin, _ = predicted(plan, "origin", None)
    variance = sum(v.counting["all mean"][0] + v.open_beam["all mean"][0] for v in (found, origin))
    _, bins, inside = binned_depth(plan, slice(0, SHAPE[0]), (slice(0, SHAPE[1]), slice(0, SHAPE[2])))
    weights = np.where(plan.within, np.bincount(bins[inside], minlength=plan.bins), 0.0)
    means = changes["to, own flats"][:, 0] @ (weights / weights.sum())
    # 150 repetitions know a standard deviation to 6 %
    assert means.std() == pytest.approx(np.sqrt(variance), rel=0.17)


def test_weights_of_a_stretched_state_are_the_transpose_as_well(plan) -> None:
    stretched = AffineTransform(
        (1.0, 0.1, 0.2), (0.02, 0.03, -0.01), (0.55, 0.975, 0.975), ((0.02, 0.0, 0.0), (0.0, -0.01, 0.0), (0.0, 0.0, 0.03))
    )  # fmt: skip
    volume = np.random.default_rng(5).random(SHAPE).astype(np.float32)
    source = next(iter(patch_bins(plan, np.zeros(SHAPE[1:], int), (0, SHAPE[0]))))
    moved = moved_bins(source, stretched, SHAPE)
    registered = resample(volume, stretched, voxel_size_mm=VOXEL, order=3)
    middle = plan.bins // 2
    (plain, row), (weights, low) = source.weights(middle), moved.weights(middle)
    y, x = source.corner
    read = registered[row : row + len(plain), y : y + plain.shape[1], x : x + plain.shape[2]]
    y, x = moved.corner
    behind = volume[low : low + len(weights), y : y + weights.shape[1], x : x + weights.shape[2]]
    # of the sum of all voxels; of what white noise adds to it, a few per cent
    assert np.vdot(weights, behind) == pytest.approx(float(read[plain > 0].sum()), rel=2e-3)
