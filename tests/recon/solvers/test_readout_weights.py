"""Weights of many read-outs at a time, against those that are worked out voxel by voxel in every view."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp_adjoint import readout_variance, readout_weights
from deltamu.recon.solvers.line_noise import LineNoise, correlated_product, correlated_square
from deltamu.recon.solvers.readout_weights import readout_rays

SIZE, VIEWS, CENTER = 80, 400, 39.8
ANGLES = np.arange(VIEWS) * np.pi / VIEWS
OPTIONS = {"center": CENTER, "pixel_size_mm": 0.1, "filter": "hann"}
KERNEL = np.outer([0.2, 0.6, 0.2], [0.1, 0.8, 0.1])
Y, X = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
SHAPES = {
    "disc": np.hypot(Y, X) < 25,
    "beside the axis": np.hypot(Y - 5, X - 3) < 17,
    "sector": (np.hypot(Y, X) < 25) & (Y > 0) & (X > 0),
    "strip": (np.hypot(Y, X) < 25) & (abs(0.9 * Y + 0.43 * X) < 3),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_variances_are_those_of_every_voxel_and_view(shape) -> None:
    voxels = np.stack([SHAPES[shape], 0.3 * SHAPES[shape]]).astype(np.float32)
    variance = (1e-3 + 3e-3 * np.exp(-(((np.arange(SIZE) - CENTER) / 25) ** 2))) * np.ones((VIEWS, 2, 1))
    beam = np.full((2, SIZE), 1e-4)
    exact = readout_weights(voxels, ANGLES, columns=SIZE, **OPTIONS)
    rays = readout_rays(ANGLES, columns=SIZE, size=SIZE, reach_px=33, **OPTIONS)
    assert rays.views.size < VIEWS / 3
    noise = LineNoise(
        0, rays.first_column, np.sqrt(variance[rays.views][:, :, rays.columns]).transpose(1, 0, 2).astype(np.float32),
        np.sqrt(beam[:, rays.columns]).astype(np.float32), np.zeros((2, rays.ramp.shape[1]), np.float32), None,
        rays.share, KERNEL,
    )  # fmt: skip
    weights, row = noise.seen(rays.weights(voxels, (0, 0)), 0)
    counted = readout_variance(exact, variance, autocorrelation=KERNEL)
    alike = readout_variance(exact, 0 * variance, open_beam_variance=beam, autocorrelation=KERNEL)
    # views that stand for their neighbours, and the projector's interpolation: less than 1 % of an error
    assert noise.counting_variance(weights, row) == pytest.approx(counted, rel=0.02)
    assert noise.open_beam_variance(noise.gathered(weights, row)) == pytest.approx(alike, rel=0.02)


def test_a_gain_is_a_pixels_own_and_hardening_multiplies_errors() -> None:
    weights = np.random.default_rng(0).standard_normal((3, 4, 6)).astype(np.float32)
    sigma, one = np.ones((3, 4, 6), np.float32), np.ones((3, 6), np.float32)
    plain = LineNoise(5, 2, sigma, 0 * one, one, None, 1.0, KERNEL)
    harder = LineNoise(5, 2, sigma, 0 * one, one, 2 * sigma, 1.0, KERNEL)
    (a, row), (b, _) = plain.seen(weights, 5), harder.seen(weights, 5)
    assert harder.counting_variance(b, row) == pytest.approx(4 * plain.counting_variance(a, row))
    assert plain.open_beam_variance(plain.gathered(a, row)) == pytest.approx(
        np.sum(weights.sum(axis=1) ** 2), rel=1e-5
    )
    # rows that the detector does not have are left out
    part, first = plain.seen(weights, 7)
    assert first == 7
    assert len(part) == 1


def test_correlated_products_are_the_double_sum() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 4, 3, 9)).astype(np.float32)
    kernel = rng.random((3, 5))
    kernel = kernel + kernel[::-1, ::-1]
    expected = 0.0
    for dz in (-1, 0, 1):
        for ds in (-2, -1, 0, 1, 2):
            here = a[max(0, -dz) : 4 - max(0, dz), :, max(0, -ds) : 9 - max(0, ds)]
            there = b[max(0, dz) : 4 + min(0, dz), :, max(0, ds) : 9 + min(0, ds)]
            expected += kernel[dz + 1, ds + 2] * np.sum(here * there)
    assert correlated_product(a, b, kernel) == pytest.approx(expected, rel=1e-4)
    assert correlated_square(a, b, kernel) == pytest.approx(
        correlated_product(a * b, a * b, kernel), rel=1e-4
    )


def test_refusals() -> None:
    with pytest.raises(InputError, match="reach_px"):
        readout_rays(ANGLES, columns=SIZE, size=SIZE, reach_px=0, **OPTIONS)
    sigma, one = np.ones((3, 4, 6), np.float32), np.ones((3, 5), np.float32)
    with pytest.raises(InputError, match="open_beam"):
        LineNoise(0, 0, sigma, one, one, None, 1.0, KERNEL)
