"""Resampling: device against CPU."""

import numpy as np
import pytest

from deltamu.kernels.warp import spline_coefficients, warp

TURNED = np.array([[0.99, 0.05, -0.03, 0.4], [-0.05, 0.98, 0.02, 1.2], [0.03, -0.01, 1.01, -0.7]])
# short axes are filtered with the whole mirror image, long ones are cut off after 40 samples
SHAPES = [(5, 9, 47), (1, 2, 3), (44, 3, 6)]


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_voxels_as_on_the_cpu(device, agree, shape, order):
    volume = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    output_shape = tuple(n + 2 for n in shape)
    found = warp(device.asarray(volume), TURNED, output_shape=output_shape, order=order)
    # coefficients are kept in 32 bits between the two passes of the filter
    agree(found, warp(volume, TURNED, output_shape=output_shape, order=order), 2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_same_coefficients_as_on_the_cpu(device, agree, shape):
    volume = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    given = device.asarray(volume)
    agree(spline_coefficients(given), spline_coefficients(volume), 1e-6)
    assert (given.get() == volume).all(), "the input was written to"


def test_unknown_voxels_stay_unknown(device, agree):
    volume = np.random.default_rng(3).normal(size=(4, 5, 6)).astype(np.float32)
    volume[1, 2, 3] = np.nan
    identity = np.eye(3, 4)
    agree(warp(device.asarray(volume), identity, output_shape=(4, 5, 6)), volume, 0)
    with pytest.raises(ValueError, match="not finite"):
        warp(device.asarray(volume), identity, output_shape=(4, 5, 6), order=3)
