"""What blur before the logarithm takes away at a face of a layer.

Detector and beam blur the transmission, and the logarithm is taken afterwards: where a line integral jumps, −ln T
of the blurred transmission is less than the blurred line integral, by half the variance that the blur mixes. What is
missing is quadratic in the jump, so it does not cancel in a change: it is an error of the integral, and it moves the
face towards the side that attenuates more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from deltamu.recon.change.layer_stack import Surface
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
VIEWS = 8
RAYS = 16
POINTS = 24
# inside the layer, beyond the reach of the blur, through which the line to a surface goes
INNER_BINS = 3


@dataclass(frozen=True)
class FaceDeficit:
    """What is missing at one face.

    Attributes
    ----------
    integral_cm2 : float
        Of ∫μ dV; never negative.
    shift_mm : float
        How far the face seems to lie outwards, mean over the pellet: positive where the outside attenuates more.
    """

    integral_cm2: float
    shift_mm: float


def face_deficit(surface: Surface, contrast: float, *, radius_mm: float, blur_fwhm_mm: float) -> FaceDeficit:
    """Find what blur before the logarithm takes away at a face across a cylinder.

    Parameters
    ----------
    surface : Surface
        Tilt and bow spread the jump along a ray, which leaves less to mix.
    contrast : float
        Attenuation inside less that outside, cm⁻¹.
    radius_mm : float
        Of the cylinder.
    blur_fwhm_mm : float
        Of the transmission, along the axis, pixel included.

    Returns
    -------
    FaceDeficit

    Raises
    ------
    InputError
        If the contrast is not finite, or radius or blur are not positive.

    Notes
    -----
    Second order in the line integral of the step: half of ∬ c² K(h − h′) dt dt′ over both points of a ray, with
    K(d) = (E|d + √2 σ ξ| − |d|) / 2 for a normal ξ; averaged over views, integrated over rays. For a flat face
    this is (8/3) c² R³ σ / √π, and the shift 8 c R σ / (3 π^1.5).
    """
    if not (np.isfinite(contrast) and radius_mm > 0 and blur_fwhm_mm > 0):
        raise InputError(
            f"face: contrast {contrast} cm⁻¹, radius {radius_mm} mm and blur {blur_fwhm_mm} mm; expected a finite "
            "contrast and positive lengths"
        )
    mixed = _mixed_volume(surface, radius_mm, blur_fwhm_mm / FWHM_PER_SIGMA)
    integral = 0.5 * contrast**2 * 1e-4 * mixed
    area = np.pi * (0.1 * radius_mm) ** 2
    shift = 0.0 if contrast == 0 else -10 * integral / (contrast * area)
    return FaceDeficit(float(integral), float(shift))


def _mixed_volume(surface: Surface, radius_mm: float, sigma_mm: float) -> float:
    """∫ ds ∬ dt dt′ K(h(t) − h(t′)), mean over views, mm⁴."""
    nodes, weights = np.polynomial.legendre.leggauss(RAYS)
    points, shares = np.polynomial.legendre.leggauss(POINTS)
    total = 0.0
    for angle in np.arange(VIEWS) * np.pi / VIEWS:
        s = radius_mm * nodes[:, None]
        half = radius_mm * np.sqrt(1 - nodes**2)
        t = half[:, None] * points
        y = surface.axis_mm[0] + s * np.cos(angle) + t * np.sin(angle)
        x = surface.axis_mm[1] - s * np.sin(angle) + t * np.cos(angle)
        height = surface.height_mm(y, x)
        mixed = _mixing(height[:, :, None] - height[:, None, :], sigma_mm)
        total += float(radius_mm * weights @ (half**2 * np.einsum("rij,i,j->r", mixed, shares, shares)))
    return total / VIEWS


def _mixing(distance: Float, sigma_mm: float) -> Float:
    """(E|d + √2 σ ξ| − |d|) / 2 of two steps at a distance: σ/√π for none, 0 far away."""
    spread = np.sqrt(2) * sigma_mm
    scaled = distance / (np.sqrt(2) * spread)
    mean = distance * erf(scaled) + spread * np.sqrt(2 / np.pi) * np.exp(-(scaled**2))
    return np.asarray(0.5 * (mean - np.abs(distance)))


def face_contrasts(plan: ProfilePlan, mean: NDArray[np.floating]) -> tuple[float, float]:
    """Step of a state's attenuation at the near and at the far surface of a layer, cm⁻¹.

    Parameters
    ----------
    mean : (bin,) array
        Attenuation by depth. Bins within one width of the blur of a surface are left out; inside the layer a line
        through the next bins is continued to the surface, outside their mean is taken.

    Returns
    -------
    tuple of 2 floats
        Attenuation inside less that outside; 0 where a side has no bin with a value.
    """
    depth, thickness, fwhm = plan.depth_mm, plan.layer.thickness_mm, plan.fwhm_mm
    known = np.isfinite(mean)
    inside = known & (plan.eroded if np.count_nonzero(plan.eroded & known) >= INNER_BINS else plan.within)
    before, behind = known & (depth < -fwhm), known & (depth > thickness + fwhm)
    found = []
    for surface, outside, first in ((0.0, before, 1), (thickness, behind, -1)):
        inner = np.flatnonzero(inside)[::first][:INNER_BINS]
        if inner.size == 0 or not outside.any():
            found.append(0.0)
            continue
        line = np.polyfit(depth[inner] - surface, mean[inner], min(1, inner.size - 1))
        found.append(float(line[-1] - mean[outside].mean()))
    return found[0], found[1]
