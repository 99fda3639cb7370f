"""Stages around the reconstruction that keep arrays where they are."""

import numpy as np
import pytest

from deltamu.recon.change.difference import difference
from deltamu.recon.change.resampling import resample
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.preprocess.stripes import remove_stripes


def rings():
    rng = np.random.default_rng(1)
    return (rng.normal(size=(40, 3, 30)) + 3 * rng.normal(size=(3, 30))).astype(np.float32)


@pytest.mark.parametrize(("method", "mode"), [("sorting", "on"), ("sorting", "auto"), ("gains", "on")])
def test_stripes_are_removed_there(device, agree, method, mode):
    expected = remove_stripes(rings(), method=method, mode=mode, size=5)
    assert (expected != rings()).any()
    # a median chooses one of the values; a mean over the angles may be summed in another order
    tolerance = 1e-6 if method == "gains" else 0
    agree(remove_stripes(device.asarray(rings()), method=method, mode=mode, size=5), expected, tolerance)


def test_filters_that_are_not_there_are_named(device):
    with pytest.raises(InputError, match="'sorting'"):
        remove_stripes(device.asarray(rings()), method="large", size=5)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("z_range", [None, (2, 6), (40, 42)])
def test_a_state_is_resampled_and_subtracted_there(device, agree, order, z_range):
    rng = np.random.default_rng(2)
    reference, moving = rng.normal(size=(2, 9, 8, 10)).astype(np.float32)
    motion = RigidTransform((2.0, -1.0, 3.0), (0.01, 0.02, -0.03))
    options = {"voxel_size_mm": 0.05, "order": order, "z_range": z_range, "reference_shape": (50, 8, 10)}
    expected = resample(moving, motion, **options)
    found = resample(device.asarray(moving), motion, **options)
    agree(found, expected, 2e-6)
    if z_range == (2, 6):
        part = reference[2:6]
        change = difference(device.asarray(part), found, sigma_reference=0.1, sigma_moving=0.2)
        on_cpu = difference(part, expected, sigma_reference=0.1, sigma_moving=0.2)
        agree(change.delta_mu, on_cpu.delta_mu, 2e-6)
        agree(change.z_score, on_cpu.z_score, 2e-6)
        assert change.missing == on_cpu.missing
