"""Standard errors of what is read from a change: bins of depth, layer means, volume integrals.

The noise of filtered back-projection is anti-correlated, so the voxels of a mean must not be taken as
independent. A read-out is a vector of weights over the bins of a plan; its error has three parts, added in
quadrature: counting noise, from reconstructions of interleaved subsets of the views; the open beam and the
gain drift, which are alike in every view and invisible to subsets; and the error of the registration.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile import DepthProfile, profile_from_sums
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums, bin_weights
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
SMOOTHING_BINS = 3


@dataclass(frozen=True, eq=False)
class StateNoise:
    """What is known of the noise of one of the two states of a change.

    Attributes
    ----------
    subset_means : (subset, bin) array
        Mean attenuation of the bins in the reconstruction of each interleaved subset of the views, on the
        reference grid, cm⁻¹. The full reconstruction is their mean.
    ring_response : (radius, column) array or None
        FBP at the radii of the plan (`radii_px`) of a line integral of 1 at a column in every view
        (`solvers.noise.ring_response`), cm⁻¹.
    open_beam_variance : (row, column) array or None
        Variance of the line integrals that is the same in every view, on the rows of the volume.
    """

    subset_means: Float
    ring_response: Float | None = None
    open_beam_variance: Float | None = None

    def __post_init__(self) -> None:
        if self.subset_means.ndim != 2 or len(self.subset_means) < 2:
            raise InputError(
                f"subset_means: found shape {self.subset_means.shape}, expected two or more subsets"
            )
        if (self.ring_response is None) != (self.open_beam_variance is None):
            raise InputError(
                "ring_response and open_beam_variance: only one was given, expected both or none"
            )
        if self.ring_response is not None and self.open_beam_variance is not None:
            columns = self.ring_response.shape[1], self.open_beam_variance.shape[1]
            if columns[0] != columns[1]:
                raise InputError(
                    f"ring_response has {columns[0]} columns, open_beam_variance {columns[1]}; expected equal"
                )


def disc_mean_standard_error(sigma: float, *, pixel: float, views: int, radius: float) -> float:
    """Standard error of the mean over a disc in one slice, from uncorrelated noise of the line integrals.

    Parameters
    ----------
    sigma : float
        Standard deviation of a line integral.
    pixel, radius : float
        In one unit of length; the result is its inverse.

    Notes
    -----
    sigma·sqrt(a·[ln(πR/a) + γ + 3 ln 2 − 2] / (π² M R³)) for exact FBP with a ramp up to the Nyquist
    frequency and R much larger than a pixel: the error falls as R^−1.5, not as 1/R.
    """
    constant = np.euler_gamma + 3 * np.log(2) - 2
    bracket = np.log(np.pi * radius / pixel) + constant
    return float(sigma * np.sqrt(pixel * bracket / (np.pi**2 * views * radius**3)))


def subset_variance(subset_means: Float, readout: Float) -> float:
    """Variance of a read-out of the full reconstruction, from its scatter between subsets of the views."""
    used = readout != 0
    values = subset_means[:, used] @ readout[used]
    return float(np.var(values, ddof=1) / len(values))


def subset_bin_variance(subset_means: Float, shape: Float) -> Float:
    """Variance of every bin's mean, with the few subsets' scatter steadied by the neighbouring bins.

    Parameters
    ----------
    shape : (bin,) array
        Variance that voxels taken as independent would have: only its ratio to the subsets' is averaged, over
        three bins on either side, because correlation changes slowly with depth and noise may not.
    """
    raw: Float = np.asarray(np.var(subset_means, axis=0, ddof=1) / len(subset_means), np.float64)
    usable = np.isfinite(raw) & np.isfinite(shape) & (shape > 0)
    ratio = np.divide(raw, shape, out=np.full(raw.shape, np.nan), where=usable)
    steady = raw.copy()
    for index in np.flatnonzero(usable):
        window = ratio[max(0, index - SMOOTHING_BINS) : index + SMOOTHING_BINS + 1]
        steady[index] = np.nanmean(window) * shape[index]
    return steady


def open_beam_readout_variance(sums: ProfileSums, readout: Float, noise: StateNoise) -> float:
    """Variance of a read-out from noise that is the same in every view: Σ_row Σ_s (Σ_r m·K)²·v.

    The m are the weights of the read-out's voxels by row and radius about the rotation axis.

    Raises
    ------
    InputError
        If the response was made for other radii, or the variance for other rows.
    """
    if noise.ring_response is None or noise.open_beam_variance is None:
        return 0.0
    expected = sums.rings.shape[1:]
    found = (noise.open_beam_variance.shape[0], noise.ring_response.shape[0])
    if found != expected:
        raise InputError(
            f"open_beam_variance has {found[0]} rows and ring_response {found[1]} radii; "
            f"expected {expected[0]} rows and the {expected[1]} radii of the plan"
        )
    share = np.divide(readout, sums.count, out=np.zeros(sums.count.shape), where=sums.count > 0)
    weights = np.tensordot(share, sums.rings, axes=1)
    rows = np.flatnonzero(weights.any(axis=1))
    response = weights[rows] @ noise.ring_response
    return float(np.sum(response**2 * noise.open_beam_variance[rows]))


def readout_standard_error(sums: ProfileSums, readout: Float, states: Sequence[StateNoise]) -> float:
    """Standard error of Σ readout·(bin means), counting noise and open beam of all states together."""
    variance = 0.0
    for noise in states:
        variance += subset_variance(noise.subset_means, readout)
        variance += open_beam_readout_variance(sums, readout, noise)
    return float(np.sqrt(variance))


def integral_readout(sums: ProfileSums, voxel_size_mm: float) -> Float:
    """Weights over the bins that make the volume integral, cm³."""
    return sums.count.astype(np.float64) * (0.1 * voxel_size_mm) ** 3


def registration_readout_error(
    plan: ProfilePlan, mean_attenuation: Float, readout: Float, shift_sigma_mm: float
) -> float:
    """Error of a read-out when the moving state may be displaced along the axis.

    A displacement moves every bin at once: the changes of the bins are added before the absolute value is
    taken, and over a whole layer only the difference between its two neighbours remains.

    Parameters
    ----------
    mean_attenuation : (bin,) array
        Mean attenuation of the moving state in the bins of the plan, cm⁻¹.
    shift_sigma_mm : float
        Standard deviation of the displacement.
    """
    slope = np.gradient(mean_attenuation, plan.depth_mm)
    used = readout != 0
    return float(shift_sigma_mm * abs(slope[used] @ readout[used]))


def profile_with_errors(
    plan: ProfilePlan,
    sums: ProfileSums,
    states: Sequence[StateNoise],
    *,
    moving_attenuation: Float | None = None,
    shift_sigma_mm: float = 0.0,
    interpolation_shift: Float | None = None,
    noise_variance: Float | None = None,
    layer_noise_variance: float | None = None,
) -> DepthProfile:
    """Depth profile with standard errors from the views, the open beam, the registration and the interpolation.

    Parameters
    ----------
    states : sequence of StateNoise
        Of both states of the change.
    moving_attenuation : (bin,) array, optional
        Mean attenuation of the moving state, for the part of the registration.
    shift_sigma_mm : float
        Standard deviation of the displacement along the axis that registration leaves.
    interpolation_shift : (bin,) array, optional
        How another interpolation would change the means of the bins, cm⁻¹.
    noise_variance, layer_noise_variance : (bin,) array and float, optional
        Exact variances from counting and open beam, of the bins and of the mean over the eroded ones; they take
        the place of the scatter between subsets.
    """
    for noise in states:
        if noise.subset_means.shape[1] != plan.bins:
            raise InputError(
                f"subset_means: found {noise.subset_means.shape[1]} bins, the plan has {plan.bins}"
            )
    naive = profile_from_sums(plan, sums)
    layer = bin_weights(sums, plan.eroded)
    if noise_variance is None:
        variance = _subset_noise(plan, sums, states, naive.standard_error**2)
        layer_error = readout_standard_error(sums, layer, states) if layer.any() else float("nan")
    else:
        variance = np.where(sums.count > 0, noise_variance, np.nan)
        layer_error = float("nan" if layer_noise_variance is None else np.sqrt(layer_noise_variance))
    systematic = np.zeros(plan.bins)
    if moving_attenuation is not None and shift_sigma_mm > 0:
        systematic = shift_sigma_mm * np.abs(np.gradient(moving_attenuation, plan.depth_mm))
        moved = registration_readout_error(plan, moving_attenuation, layer, shift_sigma_mm)
        layer_error = float(np.hypot(layer_error, moved))
    if interpolation_shift is not None:
        systematic = np.hypot(systematic, interpolation_shift)
        layer_error = float(np.hypot(layer_error, layer @ interpolation_shift))
    variance = variance + systematic**2
    return replace(
        naive,
        standard_error=np.sqrt(variance),
        layer_standard_error=layer_error,
        systematic_error=systematic if systematic.any() else None,
        error_kind="views",
    )


def _subset_noise(
    plan: ProfilePlan, sums: ProfileSums, states: Sequence[StateNoise], independent: Float
) -> Float:
    """Variance of every bin from subsets of the views and the open beam."""
    variance = sum(
        (subset_bin_variance(noise.subset_means, independent) for noise in states), start=np.zeros(plan.bins)
    )
    for index in np.flatnonzero(sums.count):
        readout = np.eye(plan.bins)[index]
        variance[index] += sum(open_beam_readout_variance(sums, readout, noise) for noise in states)
    return variance
