"""Affine refinement on blobs that are drawn from their formula."""

import numpy as np
import pytest
from scipy import special

from deltamu.recon.change.affine_equations import STRAIN_AXES, STRAINS
from deltamu.recon.change.registration import register
from deltamu.recon.change.registration_affine import refine_affine
from deltamu.recon.errors import InputError

SIDE, MIDDLE = 56, 27.5
# 1.5 % along z, 0.4 % shear, beside a turn of 0.6 degrees and a shift
STRAIN = np.array([[0.015, 0.0, 0.002], [0.0, -0.004, 0.0], [0.002, 0.0, 0.0]])
TURN = np.array([[1.0, 0, 0], [0, np.cos(0.01), -np.sin(0.01)], [0, np.sin(0.01), np.cos(0.01)]])
SHIFT = np.array([0.7, -0.4, 0.3])


def moved(points):
    return (points - MIDDLE) @ (TURN @ (np.eye(3) + STRAIN)).T + MIDDLE + SHIFT


def centers():
    return np.random.default_rng(5).uniform(8, SIDE - 8, (50, 3))


def blobs(places):
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    widths = np.random.default_rng(8).uniform(2, 4, len(places))
    volume = np.zeros((SIDE,) * 3, np.float32)
    for (cz, cy, cx), width in zip(places, widths, strict=True):
        volume += np.exp(-((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)).astype(np.float32)
    return volume + 0.05 * np.random.default_rng(9).standard_normal(volume.shape, dtype=np.float32)


def test_a_stretched_and_sheared_body_is_found_where_a_rigid_motion_cannot_follow():
    reference, moving = blobs(centers()), blobs(moved(centers()))
    rigid = register(reference, moving, voxel_size_mm=0.5)
    found = refine_affine(reference, moving, rigid, voxel_size_mm=0.5)
    truth = 0.5 * moved(centers())
    error = np.linalg.norm(found.transform.apply(0.5 * centers()) - truth, axis=1).max() / 0.5
    without = np.linalg.norm(rigid.transform.apply(0.5 * centers()) - truth, axis=1).max() / 0.5
    assert found.converged
    assert without > 0.2
    # blobs keep their round shape while their places are stretched: 1 % of their width beside noise
    assert error < 0.05
    np.testing.assert_allclose(found.transform.strain, STRAIN, atol=2e-3)
    assert np.all(found.strain_standard_error > 0)
    assert np.all(found.strain_standard_error < 2e-3)


def test_what_the_mask_leaves_open_is_named_and_held():
    """Planes of equal value tell nothing of what happens within them."""
    z = np.arange(40.0)
    layers = np.sin(z / 3)[:, None, None] * np.ones((1, 40, 40))
    layers = layers + 0.01 * np.random.default_rng(3).standard_normal((2, 40, 40, 40))
    reference, moving = layers.astype(np.float32)
    rigid = register(reference, moving, voxel_size_mm=1.0)
    found = refine_affine(reference, moving, rigid, voxel_size_mm=1.0)
    assert {"stretch_y", "stretch_x", "shear_yx"} <= set(found.undetermined)
    assert "stretch_z" not in found.undetermined
    strain = np.array(found.transform.strain)
    np.testing.assert_allclose(strain[1:, 1:], 0, atol=1e-6)
    assert abs(strain[0, 0]) < 4 * found.uncertainty["stretch_z"]


def test_a_mask_of_nothing_is_refused():
    volume = blobs(centers())
    rigid = register(volume, volume, voxel_size_mm=1.0)
    with pytest.raises(InputError, match="mask"):
        refine_affine(volume, volume, rigid, voxel_size_mm=1.0, mask=np.zeros_like(volume))


# a pellet of three layers, drawn from its formula: faces and rim as wide as a pixel's blur
FACES, RADIUS, BLUR = (14.3, 26.1, 38.6, 50.2), 27.0, 0.8


def cell(stretch, seed, *, change=0.0, noise=0.05):
    """Draw the stack stretched along the axis about its middle, with 12 % texture that is held to the body."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in (66, 72, 72)), indexing="ij")
    own = (z - 32.5) / stretch + 32.5
    radius = np.hypot(y - 35.3, x - 35.9)
    rim = 0.5 * (1 - special.erf((radius - RADIUS) / BLUR))
    steps = [0.5 * (1 + special.erf((own - face) / BLUR)) for face in FACES]
    levels = (2.0, 1.2 + change, 2.6)
    body = sum(level * (a - b) for level, a, b in zip(levels, steps, steps[1:], strict=False))
    texture = 0.12 * np.sin(own / 2.1) * np.sin(y / 2.7 + 1) * np.sin(x / 3.1)
    drawn = rim * (body + texture * (steps[0] - steps[1] + steps[2] - steps[3]))
    drawn += noise * np.random.default_rng(seed).standard_normal(drawn.shape)
    return drawn.astype(np.float32)


def unchanged_parts():
    """Mask of the outer layers with a rim, away from the middle one, which changes."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in (66, 72, 72)), indexing="ij")
    within = np.hypot(y - 35.3, x - 35.9) < RADIUS + 3
    return (within & (((z > 10) & (z < 22)) | ((z > 43) & (z < 54)))).astype(np.float32)


@pytest.mark.parametrize("stretch", [1.0, 1.005])
def test_a_stack_beside_a_layer_that_changed_has_the_stretch_it_was_drawn_with(stretch):
    reference, moving = cell(1.0, 1), cell(stretch, 2, change=-0.6)
    mask = unchanged_parts()
    rigid = register(reference, moving, voxel_size_mm=0.03, mask=mask)
    found = refine_affine(reference, moving, rigid, voxel_size_mm=0.03, mask=mask)
    error = found.uncertainty["stretch_z"]
    assert found.converged
    # 0.5 % of the 16 voxels between the middle and the outer layers is 0.09 voxel: the error is far less
    assert 0 < error < 1e-3
    # three of its standard errors: 1 of 370 noises would fail, and these are fixed
    assert abs(found.transform.strain[0][0] - (stretch - 1)) < 3 * error
    for name, truth in (("stretch_y", 0.0), ("stretch_x", 0.0), ("shear_yx", 0.0)):
        first, second = STRAIN_AXES[STRAINS.index(name)]
        assert abs(found.transform.strain[first][second] - truth) < 4 * found.uncertainty[name]
