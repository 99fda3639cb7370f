"""Two bodies in one volume: comparing and joining their motions, on registrations made up for the purpose."""

import numpy as np
import pytest

from deltamu.recon.change.registration import Registration
from deltamu.recon.change.registration_bodies import compare_bodies, join_bodies
from deltamu.recon.geometry import RigidTransform

VOXEL = 0.03
CENTER = (1.0, 2.0, 3.0)
MASK = np.zeros((20, 60, 60), np.float32)
MASK[4:16, 10:50, 10:50] = 1


def registration(translation_mm, rotation_deg=(0.0, 0.0, 0.0), *, mm=0.001, deg=0.005, held=()):
    """A registration with these standard deviations; the ones of `held` parameters are 0, as `register` says it."""
    deviations = np.repeat([mm, deg], 3)
    deviations[list(held)] = 0
    return Registration(
        transform=RigidTransform(rotation_deg, translation_mm, CENTER),
        residual_voxel=mm / VOXEL,
        iterations=3,
        converged=True,
        covariance=np.diag(deviations**2),
        undetermined=("rotation_z",) if 3 in held else (),
        overlap=1.0,
        correlation=0.9,
        gain=1.0,
        offset=0.0,
    )


def test_bodies_that_move_alike_agree():
    body = registration((0.1, -0.2, 0.05), (0.4, -0.1, 0.2))
    found = compare_bodies(body, body, voxel_size_mm=VOXEL, within=MASK)
    assert found.max_voxel == pytest.approx(0, abs=1e-9)
    assert found.slip_mm == pytest.approx(0, abs=1e-12)


def test_a_slip_along_the_axis_is_told_apart_from_the_rest():
    body = registration((0.1, 0.0, 0.0))
    other = registration((0.1 + 0.012, 0.0, 0.0))
    found = compare_bodies(body, other, voxel_size_mm=VOXEL, within=MASK)
    # how far the body moved along +z against the other one
    assert found.slip_mm == pytest.approx(-0.012, rel=1e-6)
    assert found.slip_deviation_mm == pytest.approx(0.001 * np.sqrt(2), rel=1e-6)
    assert found.max_voxel == pytest.approx(0, abs=1e-9)


def test_a_lateral_difference_is_stated_in_voxels():
    found = compare_bodies(
        registration((0.0, 0.0, 0.0)), registration((0.0, 0.006, 0.0)), voxel_size_mm=VOXEL, within=MASK
    )
    assert found.max_voxel == pytest.approx(0.2, rel=1e-6)
    assert found.axial_voxel == pytest.approx(0, abs=1e-9)


def test_the_mean_is_weighted_by_inverse_variances():
    body, other = registration((0.0, 0.0, 0.0), mm=0.003), registration((0.0, 0.010, 0.0), mm=0.001)
    found = join_bodies(body, other, voxel_size_mm=VOXEL, within=MASK)
    assert found.transform.translation_mm[1] == pytest.approx(0.010 * 9 / 10, rel=1e-6)
    assert np.sqrt(found.covariance[1, 1]) == pytest.approx(0.003 / np.sqrt(10), rel=1e-6)


def test_the_other_body_has_no_say_along_the_axis():
    body, other = registration((0.02, 0.0, 0.0), mm=0.003), registration((0.5, 0.0, 0.0), mm=0.0001)
    found = join_bodies(body, other, voxel_size_mm=VOXEL, within=MASK)
    assert found.transform.translation_mm[0] == pytest.approx(0.02, abs=1e-12)
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(0.003, rel=1e-6)


def test_a_rotation_that_one_body_leaves_open_is_taken_from_the_other():
    body = registration((0.0, 0.0, 0.0), held=(3,))
    other = registration((0.0, 0.0, 0.0), (0.3, 0.0, 0.0))
    found = join_bodies(body, other, voxel_size_mm=VOXEL, within=MASK)
    assert found.transform.rotation_deg[0] == pytest.approx(0.3, rel=1e-6)
    assert found.undetermined == ()
    assert np.sqrt(found.covariance[3, 3]) == pytest.approx(0.005, rel=1e-6)


def test_a_rotation_that_neither_tells_stays_named():
    body = registration((0.0, 0.0, 0.0), held=(3,))
    found = join_bodies(body, body, voxel_size_mm=VOXEL, within=MASK)
    assert found.undetermined == ("rotation_z",)
