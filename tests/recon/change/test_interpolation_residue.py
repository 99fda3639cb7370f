"""The residue of interpolation against the change that two scans of one sharp edge really leave."""

import numpy as np
import pytest
from scipy.special import ndtr

from deltamu.recon.change.interpolation_residue import interpolation_residue
from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import RigidTransform

SHAPE, VOXEL = (24, 12, 12), 0.1


def step(position: float) -> np.ndarray:
    """A step across z of 1 cm⁻¹, averaged over voxels four times as wide as the blur."""
    fine = (np.arange(24 * 40) + 0.5) / 40 - 0.5
    plane = ndtr((fine - position) / 0.25).reshape(24, 40).mean(axis=1)
    return np.broadcast_to(plane[:, None, None], SHAPE).astype(np.float32)


@pytest.mark.parametrize("shift", [0.25, 0.5, 0.7])
def test_it_is_as_large_as_what_remains_of_the_edge(shift) -> None:
    transform = RigidTransform((0.0, 0.0, 0.0), (shift * VOXEL, 0.0, 0.0), (1.15, 0.55, 0.55))
    moving = step(11.3 + shift)
    resampled = resample(moving, transform, voxel_size_mm=VOXEL, order=3)
    found = interpolation_residue(moving, transform, resampled, voxel_size_mm=VOXEL)
    change = (resampled - step(11.3))[3:-3, 6, 6]
    stated = found[3:-3, 6, 6]
    # over the edge as a whole, of that size or somewhat more: a bound, not a correction; a quarter of a voxel from
    # the grid the spline is nearly right and linear reading is not
    assert 0.5 < np.linalg.norm(stated) / np.linalg.norm(change) < 4
    # nothing far from the edge: the spline's ringing falls by 0.27 from voxel to voxel
    assert np.abs(stated[:2]).max() < 1e-3


def test_noise_adds_next_to_nothing() -> None:
    noise = np.random.default_rng(3).normal(0, 1, (12, 40, 40)).astype(np.float32)
    transform = RigidTransform((1.0, 0.3, 0.0), (0.03, 0.04, 0.02), (0.5, 2.0, 2.0))
    resampled = resample(noise, transform, voxel_size_mm=VOXEL, order=3)
    found = interpolation_residue(noise, transform, resampled, voxel_size_mm=VOXEL)
    inner = (slice(3, -3), slice(4, -4), slice(4, -4))
    # in quadrature to a noise of about 0.8: below 3 %, the accuracy that sigma of a voxel is held to
    ratio = found[inner].std() / resampled[inner].std()
    assert np.hypot(1, ratio) < 1.03
