"""Widths of steps whose blur is known in closed form."""

import numpy as np
import pytest
from scipy.special import ndtr

from deltamu.recon.change.edge_response import FWHM_PER_SIGMA, fit_edge, rim_response, surface_response
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.errors import InputError

VOXEL, SIGMA = 0.03, 0.025


def blurred_step(distance, sigma=SIGMA):
    """From 2 to 1, smoothed by a Gaussian; the voxel is sampled at its middle, so it adds no width."""
    return 2.0 - ndtr(distance / sigma)


def test_a_blurred_step_gives_back_its_width() -> None:
    distance = np.linspace(-0.2, 0.2, 161)
    found = fit_edge(distance, blurred_step(distance - 0.013) + 0.4 * distance)
    # the model is exact: only the optimiser's tolerance is left
    assert found.fwhm_mm == pytest.approx(FWHM_PER_SIGMA * SIGMA, rel=1e-4)
    assert found.position_mm == pytest.approx(0.013, abs=1e-5)
    assert found.contrast == pytest.approx(-1.0, rel=1e-3)


def test_the_stated_error_is_that_of_repeated_fits() -> None:
    rng = np.random.default_rng(0)
    distance = np.linspace(-0.2, 0.2, 121)
    fits = [fit_edge(distance, blurred_step(distance) + rng.normal(0, 0.05, 121)) for _ in range(80)]
    stated = np.mean([fit.fwhm_standard_error_mm for fit in fits])
    # 80 repetitions know their scatter to 8 %
    assert stated == pytest.approx(np.std([fit.fwhm_mm for fit in fits]), rel=0.25)


def test_the_rim_of_a_pellet_two_voxels_off_its_stated_axis() -> None:
    y, x = np.indices((96, 96)) * VOXEL
    disc = blurred_step(np.hypot(y - 1.46, x - 1.40) - 1.1)
    volume = np.broadcast_to(disc, (6, 96, 96)).astype(np.float32)
    found = rim_response(volume, axis_mm=(1.42, 1.44), radius_mm=1.1, rows=(0, 6), voxel_size_mm=VOXEL)
    # within a sector the rim of the wrong circle deviates by up to a tenth of a voxel
    assert found.fwhm_mm == pytest.approx(FWHM_PER_SIGMA * SIGMA, rel=0.03)


def test_a_tilted_bowed_surface() -> None:
    axis = (1.4, 1.4)
    surface = Surface((0.7, 0.01, -0.02, 0.01), axis)
    z, y, x = np.indices((48, 94, 94)) * VOXEL
    distance = (z - surface.height_mm(y, x)) * surface.normal_cosine(y, x)
    stack = LayerStack(("a", "b"), (Surface((0.1, 0, 0, 0), axis), surface, Surface((1.3, 0, 0, 0), axis)), axis, 1.3, VOXEL, separator="a")  # fmt: skip
    found = surface_response(blurred_step(distance).astype(np.float32), stack, surface)
    # bins of a fifth of a voxel widen a step by 1 %
    assert found.fwhm_mm == pytest.approx(FWHM_PER_SIGMA * SIGMA, rel=0.02)


def test_what_holds_no_edge_is_refused() -> None:
    distance = np.linspace(-0.2, 0.2, 161)
    with pytest.raises(InputError, match="both sides"):
        fit_edge(distance + 1, blurred_step(distance))
    with pytest.raises(InputError, match="at least 30"):
        fit_edge(distance[:10] + 0.19, blurred_step(distance[:10]))
    with pytest.raises(InputError, match="stands out"):
        fit_edge(distance, np.random.default_rng(1).normal(0, 1, 161))
    with pytest.raises(InputError, match="sectors of the rim"):
        rim_response(np.ones((3, 96, 96), np.float32), axis_mm=(1.4, 1.4), radius_mm=1.0, rows=(0, 3), voxel_size_mm=VOXEL)  # fmt: skip
