"""Affine refinement on blobs that are drawn from their formula."""

import numpy as np
import pytest

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
    error = np.linalg.norm(found.apply(0.5 * centers()) - truth, axis=1).max() / 0.5
    without = np.linalg.norm(rigid.transform.apply(0.5 * centers()) - truth, axis=1).max() / 0.5
    assert found.converged
    assert without > 0.2
    # blobs keep their round shape while their places are stretched: 1 % of their width beside noise
    assert error < 0.05
    np.testing.assert_allclose(found.strain, STRAIN, atol=2e-3)
    assert np.all(found.strain_standard_error > 0)
    assert np.all(found.strain_standard_error < 2e-3)


def test_what_the_mask_leaves_open_is_refused():
    """Planes of equal value tell nothing of what happens within them."""
    z = np.arange(40.0)
    layers = np.sin(z / 3)[:, None, None] * np.ones((1, 40, 40))
    tilted = layers.astype(np.float32)
    rigid = register(tilted, tilted, voxel_size_mm=1.0)
    with pytest.raises(InputError, match="stretch and shear"):
        refine_affine(tilted, tilted, rigid, voxel_size_mm=1.0)
