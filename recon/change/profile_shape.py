"""Where in the layer the change sits: centre of mass, front, and the share on the separator's side."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
LEAST_BINS = 3


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error."""

    value: float
    standard_error: float


@dataclass(frozen=True)
class ProfileShape:
    """Where a profile has its change.

    Attributes
    ----------
    center_of_mass_mm : Estimate
        Mean depth, weighted by the change.
    front_mm : Estimate or None
        Depth at which the change has fallen to half of its largest value, on the side of the collector where
        there is one, otherwise on that of the separator; None where the profile falls to half nowhere.
    front_side : {"collector", "separator"} or None
        Side on which the fall was found.
    separator_half_share : Estimate
        Part of the change in the half of the layer at the separator.
    """

    center_of_mass_mm: Estimate
    front_mm: Estimate | None
    front_side: str | None
    separator_half_share: Estimate


def profile_shape(
    profile: DepthProfile, thickness_mm: float, *, covariance: Float | None = None
) -> ProfileShape:
    """Describe where the change of a layer sits.

    Parameters
    ----------
    profile : DepthProfile
        All bins inside the layer and the margins that blur reaches are used: blur conserves the integral.
    thickness_mm : float
        Of the layer.
    covariance : (bin, bin) array, optional
        Of the means; by default the bins are taken as independent, with their standard errors.

    Raises
    ------
    InputError
        If fewer than three bins have values, or the whole change does not stand out of its error: the centre of
        nothing is not a number.
    """
    known = np.isfinite(profile.mean) & np.isfinite(profile.standard_error)
    if np.count_nonzero(known) < LEAST_BINS:
        raise InputError(f"profile: found {np.count_nonzero(known)} bins with a value, expected at least 3")
    errors = np.diag(profile.standard_error[known] ** 2)
    spread = errors if covariance is None else covariance[np.ix_(known, known)]
    depth, mean = profile.depth_mm[known], profile.mean[known]
    total = float(mean.sum())
    if abs(total) <= 2 * np.sqrt(spread.sum()):
        raise InputError("profile: its whole change does not stand out of the noise; it has no centre")
    front, side = _front(profile, spread, known)
    return ProfileShape(
        _ratio(depth, mean, spread),
        front,
        side,
        _ratio(_before_half(profile, thickness_mm)[known], mean, spread),
    )


def _ratio(weights: Float, mean: Float, covariance: Float) -> Estimate:
    """Σ w·m / Σ m with its first-order error."""
    total = mean.sum()
    value = float(weights @ mean / total)
    gradient = (weights - value) / total
    return Estimate(value, float(np.sqrt(max(float(gradient @ covariance @ gradient), 0.0))))


def _before_half(profile: DepthProfile, thickness_mm: float) -> Float:
    """Part of every bin that lies before the middle of the layer."""
    depth = profile.depth_mm
    width = float(np.median(np.diff(depth)))
    return np.asarray(np.clip((0.5 * thickness_mm - depth) / width + 0.5, 0.0, 1.0))


def _front(profile: DepthProfile, covariance: Float, known: Mask) -> tuple[Estimate | None, str | None]:
    """Fall to half of the largest change: looked for towards the collector first."""
    inside = profile.eroded if np.count_nonzero(profile.eroded) >= LEAST_BINS else profile.within
    chosen = np.flatnonzero(inside[known])
    if chosen.size < LEAST_BINS:
        return None, None
    depth, mean = profile.depth_mm[known][chosen], profile.mean[known][chosen]
    spread = covariance[np.ix_(chosen, chosen)]
    mean = mean * np.sign(mean.sum())
    top = int(np.argmax(mean))
    for step, side in ((1, "collector"), (-1, "separator")):
        found = _half_crossing(depth, mean, spread, top, step)
        if found is not None:
            return found, side
    return None, None


def _half_crossing(depth: Float, mean: Float, covariance: Float, top: int, step: int) -> Estimate | None:
    half = 0.5 * mean[top]
    i = top
    while 0 <= i + step < mean.size and mean[i + step] > half:
        i += step
    j = i + step
    if not 0 <= j < mean.size:
        return None
    slope = (mean[j] - mean[i]) / (depth[j] - depth[i])
    part = (half - mean[i]) / (mean[j] - mean[i])
    # of the height of the crossing line minus half the peak, over the slope
    gradient = np.zeros(mean.size)
    gradient[i] += 1 - part
    gradient[j] += part
    gradient[top] -= 0.5
    error = np.sqrt(max(float(gradient @ covariance @ gradient), 0.0)) / abs(slope)
    return Estimate(float(depth[i] + part * (depth[j] - depth[i])), float(error))
