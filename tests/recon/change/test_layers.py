from dataclasses import replace

import numpy as np
import pytest

from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.change.layers import find_layers
from deltamu.recon.change.masks import boxed_layer_mask, layer_mask
from deltamu.recon.change.stack import find_stack
from deltamu.recon.errors import InputError

SMALL = {"shape": (128, 120, 120), "radius": 1.2, "axis": (1.60, 1.57)}
TINY = {"shape": (48, 84, 84), "voxel": 0.09, "start": 0.62, "noise": (0.2, 2.0, 0.3, 0.2, 0.2)}


def surface_errors(cell, stack) -> dict[str, float]:
    """RMS over r < 0.95 R of every surface's distance from the truth, in voxels."""
    y, x = cell.lateral()
    inside = np.hypot(y - cell.axis[0], x - cell.axis[1]) < 0.95 * cell.radius
    found = {}
    for edge, surface in zip(cell.edges, stack.surfaces, strict=True):
        miss = (surface.height_mm(y, x) - edge - cell.tilt(y, x))[inside] / cell.voxel
        found[round(float(edge), 3)] = float(np.sqrt(np.mean(miss**2)))
    return found


def find(cell, volumes, stack_order, **options) -> LayerStack:
    return find_layers(
        volumes, voxel_size_mm=cell.voxel, order=stack_order, thickness_mm=cell.thickness, **options
    )


@pytest.fixture(scope="module")
def small(cell, lithium_profiles):
    one = cell(**SMALL)
    states = enumerate(lithium_profiles.items())
    return one, {name: one.volume(u, seed=10 + k, gradient=0.1) for k, (name, u) in states}


@pytest.fixture(scope="module")
def small_stack(small, stack_order):
    cell, volumes = small
    return find(cell, volumes, stack_order, radius_mm=cell.radius)


@pytest.mark.slow
def test_three_states_give_every_surface_to_a_fraction_of_a_voxel(small, small_stack) -> None:
    cell, stack = small[0], small_stack
    assert max(surface_errors(cell, stack).values()) < 0.15
    cathode = stack["cathode"]
    assert cathode.thickness_mm == pytest.approx(0.40, abs=3 * cathode.thickness_standard_error_mm)
    assert cathode.tilt_deg == pytest.approx(0.3, abs=0.1)
    assert cathode.bow_um == pytest.approx(15.0, abs=3.0)
    assert cathode.near.azimuth_deg == pytest.approx(40.0, abs=15.0)
    assert stack.blur_fwhm_mm == pytest.approx(2.355 * np.hypot(0.0165, 0.027 / np.sqrt(12)), rel=0.15)
    assert stack.warnings == ()


def test_an_opaque_anode_leaves_its_face_unsure(small, small_stack, stack_order) -> None:
    """Blur before the logarithm moves a flat face by 8 c R σ / (3 π^1.5): 7.60 cm⁻¹ of indium on separator."""
    cell = small[0]
    shift = 8 * 0.760 * cell.radius * (0.0165**2 + 0.027**2 / 12) ** 0.5 / (3 * np.pi**1.5)
    face = small_stack.surfaces[stack_order.index("separator")]
    # tilt and bow, a σ of the blur across the pellet, spread the jump along a ray: about a sixth less
    assert 0.7 * shift < np.sqrt(face.covariance[0, 0]) < shift
    assert small_stack["separator"].thickness_standard_error_mm > 0.7 * shift
    # the faces of the active layer leave it to the budget of the charge
    assert np.sqrt(small_stack["cathode"].near.covariance[0, 0]) < 0.1 * cell.voxel


@pytest.mark.slow
def test_a_study_without_change_still_finds_the_collector(cell, lithium_profiles, stack_order) -> None:
    """Only 0.08 cm⁻¹ of contrast in all three states, on an eighth of the demo's area."""
    one = cell(**SMALL)
    volumes = {f"repeat_{k}": one.volume(lithium_profiles["pristine"], seed=k) for k in range(3)}
    stack = find(one, volumes, stack_order, radius_mm=one.radius)
    far = stack["cathode"].far
    error = surface_errors(one, stack)[round(float(one.edges[4]), 3)]
    # a third of the radius of the demo: 6 times fewer voxels than there, where 0.06 was measured
    assert error < 0.6
    assert far.covariance[0, 0] > 0


@pytest.mark.slow
def test_without_any_contrast_the_surface_is_placed_and_said(cell, lithium_profiles, stack_order) -> None:
    one = cell(**SMALL, levels=(1.286, 10.169, 2.568, 1.363, 1.363), texture=0.0)
    stack = find(one, one.volume(lithium_profiles["pristine"], seed=1), stack_order, radius_mm=one.radius)
    assert any("hardly any contrast" in warning for warning in stack.warnings)
    assert not stack["cathode"].far.fitted
    assert stack["cathode"].thickness_mm == pytest.approx(
        0.40, abs=1e-4
    )  # nominal, times the cosine of the tilt
    assert stack["cathode"].thickness_standard_error_mm == pytest.approx(0.04, rel=0.1)
    assert stack["cathode"].far.tilt_deg == stack["cathode"].near.tilt_deg


@pytest.mark.parametrize("names", [("pristine", "discharged", "charged"), ("pristine", "discharged")])
def test_a_cathode_of_four_voxels_works(cell, lithium_profiles, stack_order, names) -> None:
    one = cell(**TINY)
    volumes = {n: one.volume(lithium_profiles[n], seed=10 + k, gradient=0.1) for k, n in enumerate(names)}
    assert max(surface_errors(one, find(one, volumes, stack_order, radius_mm=3.0)).values()) < 0.2


@pytest.mark.slow
def test_a_stack_against_z_has_the_same_layers(small, small_stack, stack_order) -> None:
    (cell, volumes), upright = small, small_stack
    flipped = {name: volume[::-1] for name, volume in volumes.items()}
    start = find_stack(
        flipped["pristine"],
        voxel_size_mm=cell.voxel,
        order=stack_order,
        thickness_mm=cell.thickness,
        radius_mm=cell.radius,
        direction=-1,
    )
    turned = find(cell, flipped, stack_order, stack=start)
    assert turned.direction == -1
    height = (cell.shape[0] - 1) * cell.voxel
    for name in ("cathode", "separator"):
        for side in ("near", "far"):
            a, b = getattr(upright[name], side), getattr(turned[name], side)
            # a mirrored grid ends the iterations elsewhere, by a hundredth of a voxel
            assert height - b.coefficients[0] == pytest.approx(a.coefficients[0], abs=0.02 * cell.voxel)
    assert turned["cathode"].thickness_mm == pytest.approx(
        upright["cathode"].thickness_mm, abs=0.02 * cell.voxel
    )


@pytest.mark.slow
def test_missing_voxels_and_blocks_on_disk_change_nothing_much(small, stack_order) -> None:
    cell, volumes = small
    holed = {name: volume.copy() for name, volume in volumes.items()}
    holed["discharged"][:2] = np.nan
    holed["discharged"][:, :, :40] = np.nan
    stack = find(cell, holed, stack_order, radius_mm=cell.radius)
    assert max(surface_errors(cell, stack).values()) < 0.2


def test_near_is_towards_the_separator(small, stack_order) -> None:
    cell, _ = small
    surfaces = tuple(Surface((float(z), 0.0, 0.0, 0.0), cell.axis) for z in cell.edges)
    stack = LayerStack(tuple(stack_order), surfaces, cell.axis, cell.radius, cell.voxel)
    assert stack["cathode"].near.coefficients[0] == pytest.approx(cell.edges[3])
    assert stack["anode"].near.coefficients[0] == pytest.approx(cell.edges[2])
    assert stack["anode"].side == -1
    assert [layer.label for layer in stack.layers.values()] == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="not in the stack"):
        stack["cathod"]


def test_the_mask_holds_the_separator_the_collector_and_its_far_end(small, stack_order) -> None:
    cell, _ = small
    surfaces = tuple(Surface((float(z), 0.0, 0.0, 0.0), cell.axis) for z in cell.edges)
    stack = LayerStack(tuple(stack_order), surfaces, cell.axis, cell.radius, cell.voxel)
    mask = layer_mask(stack, ("separator", "collector_c"), cell.shape)
    middle = tuple(round(c / cell.voxel) for c in cell.axis)
    column = mask[:, middle[0], middle[1]]
    z = np.arange(cell.shape[0]) * cell.voxel
    assert column[(z > cell.edges[2] + 0.1) & (z < cell.edges[3] - 0.1)].min() == 1
    assert column[(z > cell.edges[3]) & (z < cell.edges[4])].max() == 0
    # past the collector's far end: that step fixes the position along the axis
    assert column[(z > cell.edges[5]) & (z < cell.edges[5] + 0.1)].min() == 1
    assert mask[:, 0, 0].max() == 0
    with pytest.raises(InputError, match="smaller"):
        layer_mask(stack, ("separator",), cell.shape, margin_mm=0.3)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("axis", [None, (0.1, 1.3)])
def test_a_box_holds_all_weights_of_the_mask(small, stack_order, direction, axis) -> None:
    """Also where the pellet reaches beyond the grid, and however the stack lies: what is outside the box is 0."""
    cell, _ = small
    edges = cell.edges if direction == 1 else [cell.edges[-1] + cell.edges[0] - z for z in cell.edges]
    axis = axis or cell.axis
    surfaces = tuple(Surface((float(z), 0.05, -0.02, 0.01), axis) for z in edges)
    stack = LayerStack(tuple(stack_order), surfaces, axis, cell.radius, cell.voxel)
    names = ("separator", "collector_c")
    found = boxed_layer_mask(stack, names, cell.shape)
    whole = layer_mask(replace(stack, radius_mm=3 * cell.radius), names, cell.shape)
    y, x = (np.arange(n) * cell.voxel - a for n, a in zip(cell.shape[1:], axis, strict=True))
    reach = cell.radius + 3 * cell.voxel
    lateral = np.clip((reach - np.hypot(y[:, None], x[None, :])) / cell.voxel + 0.5, 0, 1)
    np.testing.assert_allclose(found[:], whole * lateral, atol=1e-6)
    assert found.inside.size < 0.6 * whole.size


def test_names_that_are_not_layers_are_refused(small, stack_order) -> None:
    cell, volumes = small
    with pytest.raises(InputError, match="active"):
        find(cell, volumes, stack_order, active="cathod")
    with pytest.raises(InputError, match="one more"):
        LayerStack(("a",), (Surface((0, 0, 0, 0), (0, 0)),), (0, 0), 1.0, 0.1)
    flat = [Surface((z, 0, 0, 0), (0, 0)) for z in (0.0, 1.0, 0.5)]
    with pytest.raises(InputError, match="one sign"):
        LayerStack(("a", "b"), tuple(flat), (0, 0), 1.0, 0.1)


@pytest.mark.slow
def test_at_the_size_of_the_demo(cell, lithium_profiles, stack_order) -> None:
    one = cell()
    states = enumerate(lithium_profiles.items())
    volumes = {n: one.volume(u, seed=10 + k, gradient=0.1) for k, (n, u) in states}
    assert max(surface_errors(one, find(one, volumes, stack_order, radius_mm=3.0)).values()) < 0.1
