"""T8: what a shift along the axis makes of a step that did not change."""

import numpy as np
import pytest
from scipy.special import ndtr

from deltamu.recon.change.difference import difference
from deltamu.recon.change.edge_response import FWHM_PER_SIGMA
from deltamu.recon.change.lithium import areal_charge
from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import RigidTransform


@pytest.mark.parametrize(
    ("step", "peak", "charge"),
    [(1.205, 0.1415, 0.2595), (7.60, 0.8925, 1.637)],
    ids=["argyrodite to cathode", "indium to argyrodite"],
)
def test_a_shift_of_five_micrometres_makes_false_lithium(step, peak, charge) -> None:
    voxel, shift, sigma = 0.005, 0.005, 0.040 / FWHM_PER_SIGMA
    z = np.arange(96) * voxel
    profile = step * ndtr((z - 0.24) / sigma)
    volume = np.broadcast_to(profile[:, None, None], (96, 5, 5)).astype(np.float32)
    moved = resample(volume, RigidTransform(translation_mm=(shift, 0.0, 0.0)), voxel_size_mm=voxel, order=3)
    false = difference(volume, moved).delta_mu[2:-16, 2, 2]
    # the largest value lies between voxels and the shift is a third of sigma: 1 %
    assert false.max() == pytest.approx(peak, rel=0.015)
    assert false.sum() * 0.1 * voxel == pytest.approx(step * 0.1 * shift, rel=1e-3)
    assert areal_charge(z[2:-16], false, wavelength_angstrom=2.6) == pytest.approx(charge, rel=2e-3)
