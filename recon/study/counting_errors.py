"""The part of the errors that is noise, as the transpose of the reconstruction gives it and as subsets of the views do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums, bin_weights
from deltamu.recon.change.uncertainty import (
    StateNoise,
    integral_readout,
    open_beam_readout_variance,
    subset_variance,
)
from deltamu.recon.study.error_sources import ErrorSources
from deltamu.recon.study.exact_errors import INTEGRAL, PROFILE, ExactErrors

Float = NDArray[np.float64]
# probability with which both are said to disagree though they do not
FALSE_ALARM = 0.002


def exact_profile(exact: ExactErrors | None) -> dict[str, Any]:
    """Exact variances of the bins and of the mean of the core, as `profile_with_errors` takes them."""
    if exact is None:
        return {}
    return {
        "noise_variance": exact.variance(PROFILE),
        "layer_noise_variance": float(exact.variance(f"{PROFILE} mean")[0]),
    }


def integral_noise(sums: ProfileSums, voxel_size_mm: float, errors: ErrorSources) -> tuple[float, float, str]:
    """Errors of ∫Δμ dV by counting and by what is alike in every view, cm², and where the first comes from."""
    readout = integral_readout(sums, voxel_size_mm)
    if errors.exact is not None:
        # the exact one is that of the mean over the same voxels
        name, volume = f"{INTEGRAL} sum", float(readout.sum())
        counting, alike = errors.exact.counting[name][0], errors.exact.open_beam[name][0]
        return float(volume * np.sqrt(counting)), float(volume * np.sqrt(alike)), "exact, by the transpose"
    noise = errors.noise[1]
    counting = sum(subset_variance(state.subset_means, readout) for state in noise)
    alike = sum(open_beam_readout_variance(sums, readout, state) for state in noise)
    return float(np.sqrt(counting)), float(np.sqrt(alike)), "scatter between subsets of the views"


def counting_columns(errors: ErrorSources, sums: ProfileSums) -> dict[str, Float]:
    """Columns of a profile's table, (bin,): counting, the same from subsets of the views, open beam; NaN: not known."""
    unknown = np.full(sums.count.shape, np.nan)
    scatter = _scatter(errors.noise[0]) if errors.regional else unknown
    counting, alike = scatter, unknown
    if errors.exact is not None:
        counting, alike = (np.sqrt(part[PROFILE]) for part in (errors.exact.counting, errors.exact.open_beam))
    return {"counting_error": counting, "counting_error_jackknife": scatter, "open_beam_error": alike}


def _scatter(noise: Sequence[StateNoise]) -> Float:
    parts = [np.var(state.subset_means, axis=0, ddof=1) / len(state.subset_means) for state in noise]
    return np.asarray(np.sqrt(np.sum(parts, axis=0)))


def counting_facts(
    plans: Sequence[ProfilePlan],
    sums: Sequence[ProfileSums],
    errors: ErrorSources,
    charge_factor: float,
) -> dict[str, Any] | None:
    """Noise of the mean of the core and of the charge, exact and from subsets of the views; null without views."""
    if not errors.regional:
        return None
    if errors.exact is None:
        return {"method": "jackknife"}
    exact, (core, whole) = errors.exact, plans
    mean = bin_weights(sums[0], core.eroded if core.eroded.any() else core.within)
    volume = integral_readout(sums[1], whole.layer.voxel_size_mm) * charge_factor
    of_mean = _compared(exact, f"{PROFILE} mean", 1.0, errors.noise[0], mean)
    of_charge = _compared(exact, f"{INTEGRAL} sum", float(volume.sum()), errors.noise[1], volume)
    inside = core.within & (sums[0].count > 0)
    return {
        "method": "adjoint",
        "shared_open_beam": exact.shared,
        "mean_delta_mu": of_mean,
        "charge_mAh": of_charge,
        "jackknife_over_exact": float(
            np.sqrt(np.mean(_scatter(errors.noise[0])[inside] ** 2 / exact.counting[PROFILE][inside]))
        ),
        "agree": bool(of_mean["agree"] and of_charge["agree"]),
    }


def _compared(
    exact: ExactErrors, name: str, scale: float, noise: Sequence[StateNoise], readout: Float
) -> dict[str, Any]:
    """Both errors of one read-out, and whether the scatter of so few subsets explains their difference."""
    parts = np.array([subset_variance(state.subset_means, readout) for state in noise])
    freedom = [len(state.subset_means) - 1 for state in noise]
    known = scale**2 * float(exact.counting[name][0])
    # degrees of freedom of a sum of variances (Welch and Satterthwaite)
    together = float(parts.sum() ** 2 / np.sum(parts**2 / freedom))
    low, high = chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], together) / together
    return {
        "counting": float(np.sqrt(known)),
        "jackknife": float(np.sqrt(parts.sum())),
        "open_beam": float(scale * np.sqrt(exact.open_beam[name][0])),
        "agree": bool(low <= parts.sum() / known <= high),
    }
