"""The peak of a depth profile, by a local fit, and the noise floor of a layer that does not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.change.profile_sums import ProfileSums
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
HALF_WINDOW_BINS = 3
ENOUGH_BINS = 5


@dataclass(frozen=True)
class Peak:
    """Largest change of a profile, with its sign.

    Attributes
    ----------
    delta_mu, standard_error : float
        cm⁻¹.
    depth_mm, depth_standard_error_mm : float
    fitted : bool
        False where the profile has no turning point inside the window: then the largest bin is given, and
        half a bin for the error of its depth.
    """

    delta_mu: float
    standard_error: float
    depth_mm: float
    depth_standard_error_mm: float
    fitted: bool


def find_peak(profile: DepthProfile, *, surface_error_mm: float = 0.0) -> Peak:
    """Fit a cubic through the bins around the largest change of either sign and take its turning point.

    Parameters
    ----------
    profile : DepthProfile
        The eroded bins are searched, all bins inside the layer where fewer than five are eroded.
    surface_error_mm : float
        Standard error of the position of the surface at depth 0, added in quadrature to that of the depth.

    Raises
    ------
    InputError
        If no bin inside the layer has a value.

    Notes
    -----
    With fewer than six bins a parabola is fitted. Errors follow from those of the bins, taken as independent.
    """
    candidates = profile.eroded if np.count_nonzero(profile.eroded) >= ENOUGH_BINS else profile.within
    bins = np.flatnonzero(candidates & np.isfinite(profile.mean))
    if bins.size == 0:
        raise InputError("peak: the profile has no bin with a value inside the layer")
    top = int(bins[np.argmax(np.abs(profile.mean[bins]))])
    window = bins[np.abs(bins - top) <= HALF_WINDOW_BINS]
    turning = _turning_point(profile, top, window) if window.size >= 3 else None
    if turning is None:
        width = float(np.median(np.diff(profile.depth_mm))) if profile.depth_mm.size > 1 else 0.0
        error = float(np.hypot(0.5 * width, surface_error_mm))
        return Peak(
            float(profile.mean[top]),
            float(profile.standard_error[top]),
            float(profile.depth_mm[top]),
            error,
            False,
        )
    height, height_error, depth, depth_error = turning
    return Peak(height, height_error, depth, float(np.hypot(depth_error, surface_error_mm)), True)


def _turning_point(
    profile: DepthProfile, top: int, window: NDArray[np.integer]
) -> tuple[float, float, float, float] | None:
    """Height, its error, depth and its error of the extremum nearest to the largest bin."""
    degree = 3 if window.size >= 6 else 2
    centre = profile.depth_mm[top]
    scale = float(np.ptp(profile.depth_mm[window])) / 2
    t = (profile.depth_mm[window] - centre) / scale
    sigma = profile.standard_error[window]
    known = np.isfinite(sigma) & (sigma > 0)
    sigma = np.where(known, sigma, np.median(sigma[known]) if known.any() else 1.0)
    matrix = np.vander(t, degree + 1, increasing=True) / sigma[:, None]
    covariance = np.linalg.inv(matrix.T @ matrix)
    polynomial = np.polynomial.Polynomial(covariance @ (matrix.T @ (profile.mean[window] / sigma)))
    roots = np.atleast_1d(polynomial.deriv().roots())
    sign = np.sign(profile.mean[top])
    real = [
        float(r.real)
        for r in roots
        if abs(r.imag) < 1e-9 and t.min() <= r.real <= t.max() and sign * polynomial.deriv(2)(r.real) < 0
    ]
    if not real:
        return None
    at = min(real, key=abs)
    powers = np.arange(degree + 1)
    value = at**powers
    slope = powers * np.where(powers > 0, at ** np.maximum(powers - 1, 0), 0.0)
    depth_error = np.sqrt(slope @ covariance @ slope) / abs(polynomial.deriv(2)(at)) * scale
    return (
        float(polynomial(at)),
        float(np.sqrt(value @ covariance @ value)),
        centre + at * scale,
        float(depth_error),
    )


def noise_floor(profile: DepthProfile) -> float:
    """Root mean square of the bin means of a layer that does not change, cm⁻¹.

    Over its eroded bins, or all bins inside the layer where none is eroded.

    Raises
    ------
    InputError
        If no bin inside the layer has a value.
    """
    chosen = profile.eroded if profile.eroded.any() else profile.within
    values = profile.mean[chosen & np.isfinite(profile.mean)]
    if values.size == 0:
        raise InputError("noise floor: the profile has no bin with a value inside the layer")
    return float(np.sqrt(np.mean(values**2)))


def voxel_rms(sums: ProfileSums, chosen: NDArray[np.bool_]) -> float:
    """Root mean square of the change of the voxels of the chosen bins, cm⁻¹; 0 without voxels."""
    count = int(sums.count[chosen].sum())
    return float(np.sqrt(sums.squares[chosen].sum() / count)) if count else 0.0
