"""A registration compared with itself, on blobs that are drawn from their formula."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from deltamu.recon.change.edge_residue import edge_residue
from deltamu.recon.change.registration import register
from deltamu.recon.change.registration_checks import CUBE, HalfMask, check_registration
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform

SIDE = 64
MOTION = RigidTransform((1.0, -0.4, 0.3), (0.7, -0.4, 0.3), (31.5, 31.5, 31.5))
MASK = np.ones((SIDE,) * 3, np.float32)


def blobs(motion=None):
    rng = np.random.default_rng(5)
    centers = rng.uniform(8, SIDE - 8, (60, 3))
    centers = centers if motion is None else motion.apply(centers)
    z, y, x = np.ogrid[:SIDE, :SIDE, :SIDE]
    volume = np.zeros((SIDE,) * 3, np.float32)
    for (cz, cy, cx), width in zip(centers, rng.uniform(2, 4, 60), strict=True):
        volume += np.exp(-((z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)).astype(np.float32)
    return volume


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(6)
    noise = 0.2 * rng.standard_normal((2, SIDE, SIDE, SIDE), dtype=np.float32)
    return blobs() + noise[0], blobs(MOTION) + noise[1]


@pytest.fixture(scope="module")
def found(pair):
    return register(*pair, voxel_size_mm=1.0, mask=MASK)


def test_a_sound_registration_agrees_with_itself(pair, found):
    check = check_registration(*pair, found, voxel_size_mm=1.0, mask=MASK)
    assert check.agree
    # the same data: what remains is sampling, not noise
    assert check.inverse.max_voxel < 0.05
    # independent noise: there is a difference, of the size that is stated for each half
    assert 0.2 < check.halves.max_voxel / check.halves.deviation_voxel < 3.0


def test_a_wrong_registration_is_found_backwards(pair, found):
    wrong = replace(found, transform=RigidTransform(translation_mm=(0.4, 0.0, 0.0)) @ found.transform)
    check = check_registration(*pair, wrong, voxel_size_mm=1.0, mask=MASK)
    assert not check.agree
    assert not check.inverse.agree
    assert check.inverse.max_voxel == pytest.approx(0.4, abs=0.05)


def test_halves_make_up_the_mask():
    mask = np.random.default_rng(1).random((40, 50, 60)).astype(np.float32)
    first, second = HalfMask(mask, 0), HalfMask(mask, 1)
    np.testing.assert_array_equal(first[:] + second[:], mask)
    np.testing.assert_array_equal(first[5:9], first[:][5:9])
    assert np.all(first[:][:CUBE, :CUBE, :CUBE] > 0)
    assert np.all(first[:][CUBE : 2 * CUBE, :CUBE, :CUBE] == 0)


def test_residue_of_an_edge_in_closed_form():
    """Argyrodite beside the cathode, 1.205 cm⁻¹, shifted by 5 µm at 40 µm: 0.1415 cm⁻¹ and 0.2595 mAh/cm²."""
    found = edge_residue(-1.205, 0.005, fwhm_mm=0.040, charge_per_attenuation=430.76)
    assert found.peak == pytest.approx(0.1415, abs=1e-4)
    assert found.areal_mAh_cm2 == pytest.approx(0.2595, abs=1e-4)
    assert found.integral == pytest.approx(1.205 * 0.005)


def test_residue_is_what_the_difference_of_shifted_edges_shows():
    sigma, shift, step = 0.017, 0.001, 1.3
    x = np.linspace(-0.2, 0.2, 4001)
    difference = step * (ndtr((x + shift / 2) / sigma) - ndtr((x - shift / 2) / sigma))
    found = edge_residue(step, shift, fwhm_mm=sigma * 2.354820045, charge_per_attenuation=1.0)
    # the peak to first order in the shift: (shift/sigma)²/24
    assert found.peak == pytest.approx(difference.max(), rel=1e-3)
    assert found.integral == pytest.approx(difference.sum() * 1e-4, rel=1e-6)


def test_an_edge_without_blur_is_refused():
    with pytest.raises(InputError, match="fwhm_mm"):
        edge_residue(1.0, 0.001, fwhm_mm=0.0, charge_per_attenuation=430.76)
