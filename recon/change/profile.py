"""Depth profiles of a change."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.difference import Change
from deltamu.recon.change.layer_stack import Layer
from deltamu.recon.change.profile_plan import ProfilePlan, plan_profile
from deltamu.recon.change.profile_sums import (
    ProfileSums,
    bin_weights,
    empty_sums,
    layer_mean,
    slab_sums,
    voxel_spread,
)

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DepthProfile:
    """Mean change against depth.

    Attributes
    ----------
    depth_mm : (bin,) array
        Mean over the voxels of a bin; its middle where it has none. In a layer tilted by less than a voxel
        across the pellet the voxels of a bin do not lie evenly about its middle.
    mean, standard_error, spread : (bin,) arrays
        cm⁻¹; spread is the standard deviation of the voxels of a bin. NaN in empty bins.
    count : (bin,) int64 array
    eroded, within : (bin,) bool arrays
        Bins further than one FWHM from both surfaces; bins inside the layer.
    layer_mean, layer_standard_error : float
        Over the eroded bins, every voxel counting alike; NaN where no bin is eroded.
    systematic_error : (bin,) array or None
        From the registration; already added in quadrature to `standard_error`.
    error_kind : str
        Where the standard errors come from: "views" (subsets of views and the open beam), "voxels" (voxels
        taken as independent) or "none".
    warnings : tuple of str
    """

    depth_mm: Float
    mean: Float
    standard_error: Float
    spread: Float
    count: NDArray[np.int64]
    eroded: NDArray[np.bool_]
    within: NDArray[np.bool_]
    layer_mean: float
    layer_standard_error: float
    systematic_error: Float | None = None
    error_kind: str = "voxels"
    warnings: tuple[str, ...] = ()


def depth_profile(
    change: Change,
    layer: Layer,
    *,
    fwhm_mm: float,
    slab_rows: int = 16,
    **layout: Any,
) -> DepthProfile:
    """Average a change that is in memory over bins of depth.

    Parameters
    ----------
    change : Change
    layer : Layer
    fwhm_mm : float
        Resolution.
    **layout
        As for `plan_profile`.

    Returns
    -------
    DepthProfile
        With standard errors that take voxels as independent: too large for FBP, whose noise is
        anti-correlated, and blind to the open beam. `uncertainty.profile_with_errors` gives the honest ones.
    """
    plan = plan_profile(layer, change.delta_mu.shape, fwhm_mm=fwhm_mm, **layout)
    sums = empty_sums(plan)
    for start in range(0, plan.shape[0], slab_rows):
        part = slice(start, min(start + slab_rows, plan.shape[0]))
        sigma = None if change.sigma is None else change.sigma[part]
        sums = sums + slab_sums(plan, start, change.delta_mu[part], sigma)
    return profile_from_sums(plan, sums)


def profile_from_sums(plan: ProfilePlan, sums: ProfileSums) -> DepthProfile:
    """Means and spreads of the bins, with standard errors that take voxels as independent."""
    spread = voxel_spread(sums)
    error = np.divide(spread, np.sqrt(np.maximum(sums.count, 1)))
    weights = bin_weights(sums, plan.eroded)
    scatter = float(np.nansum((weights * np.nan_to_num(error)) ** 2))
    return DepthProfile(
        np.divide(sums.depth, sums.count, out=plan.depth_mm.copy(), where=sums.count > 0),
        sums.mean,
        error,
        spread,
        sums.count,
        plan.eroded,
        plan.within,
        layer_mean(sums, plan.eroded),
        np.sqrt(scatter) if plan.eroded.any() else float("nan"),
        None,
        "voxels",
        plan.warnings + _missing_warning(sums),
    )


def _missing_warning(sums: ProfileSums) -> tuple[str, ...]:
    lost, kept = int(sums.missing.sum()), int(sums.count.sum())
    if lost == 0:
        return ()
    return (f"{lost} of {lost + kept} voxels of the profile have no value and are left out",)
