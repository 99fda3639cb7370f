"""Regions of the pellet: what they hold, and that patches add up to them."""

import numpy as np
import pytest

from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.profile_plan import plan_profile
from deltamu.recon.change.profile_sums import slab_sums
from deltamu.recon.change.regions import (
    empty_region_sums,
    lay_out_regions,
    pellet_regions,
    region_means,
    region_slab_sums,
    ring_share,
)
from deltamu.recon.errors import InputError

SHAPE, VOXEL = (24, 61, 57), 0.05


@pytest.fixture(scope="module")
def plan():
    axis = (1.52, 1.41)
    surfaces = tuple(Surface((z, 0.01, 0.02, 0.0), axis) for z in (0.1, 0.425, 0.825, 1.1))
    stack = LayerStack(("separator", "cathode", "collector_c"), surfaces, axis, 1.2, VOXEL)
    return plan_profile(stack["cathode"], SHAPE, fwhm_mm=0.075, radius_mm=1.2)


@pytest.fixture(scope="module")
def layout(plan):
    user = np.zeros(SHAPE[1:], bool)
    user[20:30, 20:40] = True
    return lay_out_regions(pellet_regions(plan, masks={"crack": user}))


def test_regions_are_what_their_masks_hold(plan, layout) -> None:
    delta = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    delta[14, 25:28, 25:28] = np.nan
    sums = empty_region_sums(plan, layout)
    for start in (0, 9, 17):
        stop = min({0: 9, 9: 17, 17: 24}[start], SHAPE[0])
        sums = sums + region_slab_sums(plan, layout, start, delta[start:stop])
    mean, count = region_means(sums, layout)
    for index, name in enumerate(layout.names):
        alone = slab_sums(plan, 0, np.where(layout.mask(name), delta, np.nan), rings=False)
        np.testing.assert_array_equal(count[index], alone.count)
        np.testing.assert_allclose(mean[index], alone.mean, rtol=1e-9, atol=1e-12)


def test_core_and_rim_and_the_rings_make_the_whole(plan, layout) -> None:
    whole = layout.mask("all")
    np.testing.assert_array_equal(layout.mask("core") | layout.mask("rim"), whole)
    assert not (layout.mask("core") & layout.mask("rim")).any()
    for kind, target in (("ring", "all"), ("sector", "core")):
        masks = [layout.mask(name) for name in layout.names if name.startswith(kind)]
        np.testing.assert_array_equal(np.sum(masks, axis=0), layout.mask(target))
    y, x = np.indices(SHAPE[1:]) * VOXEL
    first = layout.mask("sector_1")
    assert ((y >= 1.52) & (x > 1.41))[first].all()


def test_a_ring_is_shared_by_area(plan, layout) -> None:
    radii = plan.radii_px * VOXEL
    share = ring_share(plan, layout.mask("core"))
    # the axis of the pellet lies 0.02 and 0.01 mm from that of the rotation
    np.testing.assert_allclose(share[(radii > 0.1) & (radii < 0.85)], 1.0)
    np.testing.assert_allclose(share[radii > 1.05], 0.0)


def test_masks_that_do_not_fit_are_refused(plan) -> None:
    with pytest.raises(InputError, match="expected \\(y, x\\)"):
        pellet_regions(plan, masks={"odd": np.ones((3, 3), bool)})
    with pytest.raises(InputError, match="is empty"):
        pellet_regions(plan, masks={"none": np.zeros(SHAPE[1:], bool)})
    with pytest.raises(InputError, match="name is taken"):
        pellet_regions(plan, masks={"core": np.ones(SHAPE[1:], bool)})
    with pytest.raises(InputError, match="expected 1 to"):
        lay_out_regions({})
