"""Weights of rays: the transmission, and nothing where too few neutrons came through."""

import numpy as np
import pytest

from deltamu.recon.preprocess.correction import Correction, line_integral_variance
from deltamu.recon.preprocess.noise import white_noise
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights

ADU_PER_COUNT, ADU = 10.0, 5000.0


def correction():
    shape = (3, 4)
    noise = white_noise(ADU_PER_COUNT, read_variance=0.0, gain_drift=0.0, origin="given")
    return Correction(
        np.zeros(shape, np.float32),
        np.full(shape, ADU, np.float32),
        20.0,
        np.zeros(shape, bool),
        (),
        noise,
        None,
    )


def test_weights_are_the_transmission_and_starved_rays_have_none():
    known = correction()
    # 500 counts in the open beam: 20 counts, twice the floor, are left at a transmission of 0.04
    transmission = np.array([1.0, 0.5, 0.041, 0.039], np.float32)
    line_integrals = np.broadcast_to(-np.log(transmission), (2, 3, 4)).astype(np.float32)
    weights = ray_weights(line_integral_variance(line_integrals, np.ones(2), known), known)
    np.testing.assert_allclose(weights[0, 0], [1.0, 0.5, 0.041, 0.0], rtol=1e-5)
    assert weights.dtype == np.float32


def test_noise_of_weight_one_is_that_of_the_open_beam():
    assert open_beam_noise(correction()) == pytest.approx(np.sqrt(ADU_PER_COUNT / ADU), rel=1e-6)
