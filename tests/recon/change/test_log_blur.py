"""What blur before the logarithm takes away, against a blurred transmission made point by point."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from deltamu.recon.change.layer_stack import Surface
from deltamu.recon.change.log_blur import FWHM_PER_SIGMA, face_deficit
from deltamu.recon.errors import InputError

RADIUS, SIGMA, CONTRAST = 3.0, 0.0157, 1.2
FLAT = Surface((1.0, 0.0, 0.0, 0.0), (0.2, -0.1))


def deficit_by_hand(surface: Surface) -> float:
    """∫ (blurred line integral − (−ln of blurred transmission)) ds dz of a step across a cylinder, cm²."""
    step = 0.002
    z = np.arange(0.8, 1.2, step)
    found = []
    for angle in np.linspace(0, np.pi, 6, endpoint=False):
        total = 0.0
        for s in (np.arange(60) + 0.5) / 30 * RADIUS - RADIUS:
            half = np.sqrt(RADIUS**2 - s**2)
            t = ((np.arange(200) + 0.5) / 100 - 1) * half
            y = surface.axis_mm[0] + s * np.cos(angle) + t * np.sin(angle)
            x = surface.axis_mm[1] - s * np.sin(angle) + t * np.cos(angle)
            below = np.searchsorted(np.sort(surface.height_mm(y, x)), z) / t.size
            line = 0.1 * CONTRAST * 2 * half * below
            lost = gaussian_filter1d(line, SIGMA / step, mode="nearest") + np.log(
                gaussian_filter1d(np.exp(-line), SIGMA / step, mode="nearest")
            )
            total += lost.sum() * step * (RADIUS / 30) * 0.01
        found.append(total)
    return float(np.mean(found))


@pytest.mark.parametrize(
    "surface", [FLAT, Surface((1.0, 0.004, -0.003, 0.0017), (0.2, -0.1))], ids=["flat", "tilted and bowed"]
)
def test_the_deficit_is_that_of_a_blurred_transmission(surface) -> None:
    found = face_deficit(surface, CONTRAST, radius_mm=RADIUS, blur_fwhm_mm=SIGMA * FWHM_PER_SIGMA)
    # second order in a line integral of 0.72: the fourth is below 2 %; sums over steps leave 1 %
    assert found.integral_cm2 == pytest.approx(deficit_by_hand(surface), rel=0.03)


def test_a_flat_face_has_a_closed_form() -> None:
    found = face_deficit(FLAT, CONTRAST, radius_mm=RADIUS, blur_fwhm_mm=SIGMA * FWHM_PER_SIGMA)
    integral = 8 / 3 * CONTRAST**2 * 0.3**3 * 0.1 * SIGMA / np.sqrt(np.pi)
    assert found.integral_cm2 == pytest.approx(integral, rel=1e-3)
    # the inside attenuates more: it seems smaller
    assert -found.shift_mm == pytest.approx(8 * CONTRAST * 0.3 * SIGMA / (3 * np.pi**1.5), rel=1e-3)


def test_no_step_takes_nothing_and_a_step_of_nan_is_refused() -> None:
    assert face_deficit(FLAT, 0.0, radius_mm=RADIUS, blur_fwhm_mm=0.04).shift_mm == 0.0
    with pytest.raises(InputError, match="contrast"):
        face_deficit(FLAT, float("nan"), radius_mm=RADIUS, blur_fwhm_mm=0.04)
