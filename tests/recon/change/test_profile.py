import tracemalloc

import numpy as np
import pytest

from deltamu.recon.change.depth import depth_of
from deltamu.recon.change.difference import Change, difference
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.profile import depth_profile, profile_from_sums
from deltamu.recon.change.profile_plan import plan_integral, plan_profile
from deltamu.recon.change.profile_sums import (
    bin_weights,
    empty_sums,
    layer_mean,
    slab_sums,
    volume_integral,
)
from deltamu.recon.errors import InputError

SMALL = {"shape": (128, 120, 120), "radius": 1.2, "axis": (1.60, 1.57)}
FWHM = 0.045
VOXEL = 0.027


def true_stack(cell, order) -> LayerStack:
    slope = np.tan(np.radians(cell.tilt_deg)) * np.array(
        [np.sin(np.radians(cell.azimuth_deg)), np.cos(np.radians(cell.azimuth_deg))]
    )
    bow = 1e-3 * cell.bow_um / cell.radius**2
    surfaces = tuple(
        Surface((float(z), float(slope[0]), float(slope[1]), bow), cell.axis) for z in cell.edges
    )
    return LayerStack(tuple(order), surfaces, cell.axis, cell.radius, cell.voxel)


def sums_of(plan, volume, rows: int = 16):
    sums = empty_sums(plan)
    for start in range(0, plan.shape[0], rows):
        sums = sums + slab_sums(plan, start, volume[start : start + rows])
    return sums


@pytest.fixture(scope="module")
def study(cell, lithium_profiles, stack_order):
    one = cell(**SMALL)
    return one, {name: one.volume(u) for name, u in lithium_profiles.items()}, true_stack(one, stack_order)


def averaged(lithium, depth: np.ndarray, cell, lithium_mu: float = 1.5367) -> np.ndarray:
    """Truth at a depth: the profile blurred by the instrument and the voxel, on a fine grid."""
    fine = np.arange(-0.2, 0.6, 1e-4)
    inside = (fine > 0) & (fine < cell.thickness[3])
    values = lithium_mu * lithium(np.clip(fine / cell.thickness[3], 0, 1)) * inside
    blur = np.exp(-0.5 * (np.arange(-0.1, 0.1, 1e-4) / cell.blur_mm) ** 2)
    box = np.ones(int(cell.voxel / 1e-4))
    for kernel in (blur, box):
        values = np.convolve(values, kernel / kernel.sum(), "same")
    return np.interp(depth, fine, values)


@pytest.mark.parametrize("state", ["discharged", "charged"])
def test_profiles_are_exact_on_an_exact_volume(study, lithium_profiles, state: str) -> None:
    cell, volumes, stack = study
    change = difference(volumes["pristine"], volumes[state])
    profile = depth_profile(change, stack["cathode"], fwhm_mm=FWHM)
    truth = averaged(lithium_profiles[state], profile.depth_mm, cell)
    # 0.3 % of the peak: the curvature of the profile over the spread of depths within a bin
    assert np.all((np.abs(profile.mean - truth) < 0.003 * np.max(truth))[profile.eroded])
    assert profile.layer_mean == pytest.approx(truth[profile.eroded].mean(), rel=0.003)


def test_the_depth_of_a_bin_is_that_of_its_voxels(study) -> None:
    """Tilt and bow move this layer by less than a voxel, so a bin holds depths on one side of its middle."""
    cell, volumes, stack = study
    layer = stack["cathode"]
    profile = depth_profile(difference(volumes["pristine"], volumes["charged"]), layer, fwhm_mm=FWHM)
    z, y, x = np.meshgrid(*map(np.arange, cell.shape), indexing="ij")
    depth = depth_of(layer, z, y, x)
    radius = np.hypot(y * VOXEL - cell.axis[0], x * VOXEL - cell.axis[1])
    step = 0.027
    for middle in (0.0675, 0.2025):
        chosen = (radius < 0.8 * cell.radius) & (np.abs(depth - middle) < step / 2)
        at = np.argmin(np.abs(profile.depth_mm - middle))
        assert profile.count[at] == chosen.sum()
        assert profile.depth_mm[at] == pytest.approx(depth[chosen].mean(), abs=1e-9)
        assert abs(profile.depth_mm[at] - middle) > 0.004


def test_bins_go_beyond_the_layer_and_erosion_keeps_one_fwhm(study) -> None:
    _, volumes, stack = study
    plan = plan_profile(stack["cathode"], volumes["pristine"].shape, fwhm_mm=FWHM)
    low, high = plan.edges_mm[:-1], plan.edges_mm[1:]
    assert high - low == pytest.approx(0.027)
    assert low[0] <= -2 * FWHM
    assert high[-1] >= 0.4 + 2 * FWHM
    assert low[plan.eroded].min() >= FWHM - 1e-6
    assert high[plan.eroded].max() <= 0.4 - FWHM + 1e-6
    nothing = difference(volumes["pristine"], volumes["pristine"])
    assert not depth_profile(nothing, stack["cathode"], fwhm_mm=FWHM).mean.any()


def test_slabs_add_up_to_the_volume_and_skip_what_is_missing(study) -> None:
    cell, volumes, stack = study
    delta = volumes["discharged"] - volumes["pristine"]
    delta[80, 60, 60] = np.nan
    plan = plan_profile(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    whole, parts = slab_sums(plan, 0, delta), sums_of(plan, delta, rows=7)
    np.testing.assert_array_equal(whole.count, parts.count)
    np.testing.assert_allclose(whole.total, parts.total, rtol=1e-12)  # the order of summation
    np.testing.assert_allclose(whole.rings, parts.rings, rtol=1e-12)
    assert whole.missing.sum() == 1
    assert "no value" in profile_from_sums(plan, whole).warnings[-1]


def test_ring_weights_count_every_voxel_once(study) -> None:
    cell, volumes, stack = study
    plan = plan_profile(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    sums = slab_sums(plan, 0, volumes["pristine"])
    np.testing.assert_allclose(sums.rings.sum(axis=(1, 2)), sums.count)
    # a voxel at radius r leaves its r in the mean radius, whatever two radii share it
    y, x = np.meshgrid(*(np.arange(n) for n in cell.shape[1:]), indexing="ij")
    about_axis = np.hypot(y - plan.rotation_axis[0], x - plan.rotation_axis[1])
    one = np.full(cell.shape, np.nan, np.float32)
    row = round(cell.edges[3] / cell.voxel) + 6
    one[row, 50, 70] = 1.0
    single = slab_sums(plan, 0, one)
    assert single.count.sum() == 1
    assert (single.rings @ plan.radii_px).sum() == pytest.approx(about_axis[50, 70])


def test_weights_of_bins_make_the_layer_mean(study) -> None:
    cell, volumes, stack = study
    plan = plan_profile(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    sums = sums_of(plan, volumes["discharged"] - volumes["pristine"])
    assert bin_weights(sums, plan.eroded) @ np.nan_to_num(sums.mean) == pytest.approx(
        layer_mean(sums, plan.eroded)
    )


def test_the_volume_integral_conserves_the_charge(study) -> None:
    """∫Δμ dV over the pellet and two FWHM beyond: all of the blurred change (T3, T10)."""
    cell, volumes, stack = study
    plan = plan_integral(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    area_cm2 = np.pi * (0.1 * cell.radius) ** 2
    for state, share in (("discharged", 0.6152212), ("charged", 0.2253475)):
        found = volume_integral(sums_of(plan, volumes[state] - volumes["pristine"]), cell.voxel)
        # the edge of the pellet is counted in whole voxels: 0.3 % of its area
        assert found == pytest.approx(1.5367 * share * 0.04 * area_cm2, rel=0.005)


def test_swelling_keeps_the_areal_integral(cell, stack_order) -> None:
    """T10: a layer 10 % thicker with 1/1.1 of the attenuation holds as much lithium."""
    found = []
    for swelling in (1.0, 1.1):
        thickness = (0.9, 0.39, 0.5, 0.4 * swelling, 0.9)
        levels = (0.0, 0.0, 0.0, 2.0 / swelling, 0.0)
        one = cell(**SMALL, thickness=thickness, levels=levels, bow_um=0.0)
        plan = plan_integral(true_stack(one, stack_order)["cathode"], one.shape, fwhm_mm=FWHM)
        empty = cell(**SMALL, thickness=thickness, levels=(0.0,) * 5, bow_um=0.0)
        delta = one.volume(lambda x: 0 * x) - empty.volume(lambda x: 0 * x)
        found.append(volume_integral(sums_of(plan, delta), one.voxel))
    # float32 volumes and bins at the rim of the layer
    assert found[1] == pytest.approx(found[0], rel=2e-4)


def test_a_shifted_edge_leaves_its_integral(cell, lithium_profiles, stack_order) -> None:
    """T8: a shift δ of a step Δ leaves Δ·δ; over both edges (μ_separator − μ_collector)·δ."""
    shift = 0.005
    one, moved = cell(**SMALL, bow_um=0.0), cell(**SMALL, bow_um=0.0, start=0.171 + shift)
    delta = moved.volume(lithium_profiles["pristine"]) - one.volume(lithium_profiles["pristine"])
    layer = true_stack(one, stack_order)["cathode"]
    plan = plan_profile(layer, one.shape, fwhm_mm=FWHM)
    sums = sums_of(plan, delta)
    integral = np.nansum(sums.mean) * one.voxel
    # bins of a few thousand voxels at tilted depths share the step's width unevenly
    assert integral == pytest.approx((2.568 - 1.286) * shift, rel=0.02)
    near = plan.depth_mm < 0.2
    assert np.nansum(sums.mean[near]) * one.voxel == pytest.approx((2.568 - 1.363) * shift, rel=0.02)


def test_coarse_voxels_and_thin_layers_are_said(study) -> None:
    cell, volumes, stack = study
    change = Change(volumes["discharged"] - volumes["pristine"], None, None, 0)
    assert "half the resolution" in depth_profile(change, stack["cathode"], fwhm_mm=0.03).warnings[0]
    thin = depth_profile(change, stack["cathode"], fwhm_mm=0.25)
    assert "no bin further" in thin.warnings[0]
    assert np.isnan(thin.layer_mean)
    assert thin.within.sum() in (14, 15)
    with pytest.raises(InputError, match="bin_mm"):
        depth_profile(change, stack["cathode"], fwhm_mm=FWHM, bin_mm=0.0)
    plan = plan_profile(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    with pytest.raises(InputError, match="does not fit"):
        slab_sums(plan, 120, volumes["pristine"][:16])


def test_a_slab_needs_little_memory(study) -> None:
    """Sums of a slab of 16 rows stay below 25 bytes × voxels of the pellet's box, whatever the volume."""
    cell, volumes, stack = study
    plan = plan_profile(stack["cathode"], cell.shape, fwhm_mm=FWHM)
    slab = volumes["pristine"][72:88]
    tracemalloc.start()
    slab_sums(plan, 72, slab)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * slab.size + 4 * plan.bins * plan.shape[0] * plan.radii_px.size * 8
