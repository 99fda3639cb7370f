"""Numbers of a change as they stand in summary.json, and its profile as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.lithium import charge_closure, charge_density, inventory, lithium_concentration
from deltamu.recon.change.peak import find_peak
from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums, bin_weights, layer_mean, volume_integral
from deltamu.recon.change.uncertainty import readout_standard_error
from deltamu.recon.study.change_evidence import shape_facts, transport_facts
from deltamu.recon.study.charge_balance import charge_factor
from deltamu.recon.study.comparison import layer_settings
from deltamu.recon.study.cycled_charge import cycled_charges
from deltamu.recon.study.error_sources import ErrorSources
from deltamu.recon.study.exact_errors import PROFILE
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.systematics import Systematics

# what holds for a change whatever its registration
COLUMNS = (
    "depth_mm", "mean", "standard_error", "spread", "count", "eroded", "lithium_mol_cm3", "charge_mAh_cm3",
)  # fmt: skip
Float = NDArray[np.float64]
_KEPT = ("eroded_bins", "error_kind", "charge_cycled_mAh")


def profile_facts(
    profile: DepthProfile, sums: ProfileSums, plan: ProfilePlan, errors: ErrorSources
) -> dict[str, Any]:
    """Mean and peak of the core of the layer; what the blur and the place of its surface may do is in the errors."""
    peak = find_peak(profile, surface_error_mm=errors.surface_sigma_mm)
    whole = _mean_facts(sums, plan, plan.within, errors, "whole")
    # a cathode too thin to leave anything after erosion is averaged whole
    mean = _mean_facts(sums, plan, plan.eroded, errors, "mean") if np.any(plan.eroded) else whole
    return {
        **mean,
        "peak_delta_mu": peak.delta_mu,
        "peak_standard_error": peak.standard_error,
        "peak_depth_mm": peak.depth_mm,
        "peak_depth_standard_error_mm": peak.depth_standard_error_mm,
        "depth_zero_standard_error_mm": errors.surface_sigma_mm,
        "eroded_bins": int(np.count_nonzero(plan.eroded)),
        "error_kind": profile.error_kind if errors.regional else "sectors",
        "uneroded": whole,
    }


def _mean_facts(
    sums: ProfileSums, plan: ProfilePlan, chosen: Any, errors: ErrorSources, which: str
) -> dict[str, float]:
    readout = bin_weights(sums, chosen)
    if errors.exact is None:
        noise = readout_standard_error(sums, readout, errors.noise[0])
    else:
        noise = float(np.sqrt(errors.exact.variance(f"{PROFILE} {which}")[0]))
    return {
        "mean_delta_mu": layer_mean(sums, chosen),
        "standard_error": float(np.hypot(noise, errors.systematics[0].readout_error(plan, readout))),
    }


def shape_and_transport(profile: DepthProfile, plan: ProfilePlan, systematics: Systematics) -> dict[str, Any]:
    """Where in the layer the change sits, and which slow transport its shape speaks for."""
    joint = systematics.profile_covariance(plan)
    alone = np.maximum(profile.standard_error**2 - np.diag(joint), 0.0)
    covariance = np.diag(alone) + joint + systematics.place_covariance()
    thickness = plan.layer.thickness_mm
    return {
        **shape_facts(profile, thickness, covariance),
        "transport": transport_facts(profile, thickness, covariance),
    }


def charge_facts(
    context: RunContext, change: str, plan: ProfilePlan, sums: ProfileSums, error_mAh: float
) -> dict[str, Any]:
    """Lithium and charge of the whole layer, with the sum of the error budget, and the closure.

    Parameters
    ----------
    error_mAh : float
        All known lines of the error budget.
    """
    lithium = context.study.lithium
    found = inventory(
        volume_integral(sums, plan.layer.voxel_size_mm),
        error_mAh / charge_factor(context),
        wavelength_angstrom=lithium.wavelength_angstrom,
        li6_fraction=lithium.li6_fraction,
    )
    facts: dict[str, Any] = {
        "lithium_mol": found.lithium_mol,
        "lithium_standard_error_mol": found.lithium_standard_error_mol,
        "charge_mAh": found.charge_mAh,
        "charge_standard_error_mAh": found.charge_standard_error_mAh,
        "charge_closure": None,
    }
    cycled = cycled_charges(context.study).get(change)
    if cycled:
        closure = charge_closure(found, cycled)
        facts |= {
            "charge_cycled_mAh": cycled,
            "charge_closure": closure.ratio,
            "charge_closure_standard_error": closure.standard_error,
        }
    return facts


def axially_determined(facts: Mapping[str, Mapping[str, Any]], states: Sequence[str]) -> bool:
    """Whether the registrations of both states of a change fix the position along the axis."""
    return not any("translation_z" in facts[state]["undetermined"] for state in states if state in facts)


def without_numbers(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out every measured number of a change whose layers cannot be laid over each other.

    A shift of a micrometre moves the charge by a third of a percent (Δμ of the edges), so an unknown one leaves nothing.
    """
    return {
        key: without_numbers(value) if isinstance(value, Mapping) else value if key in _KEPT else None
        for key, value in facts.items()
    }


def profile_table(
    context: RunContext, change: str, profile: DepthProfile, counting: Mapping[str, Float]
) -> str:
    """Write a profile as CSV with its units in comments.

    Parameters
    ----------
    counting : mapping of column to (bin,) array
        Parts of the standard error; NaN where one is not known.
    """
    lithium = context.study.lithium
    conversion: dict[str, Any] = {
        "wavelength_angstrom": lithium.wavelength_angstrom,
        "li6_fraction": lithium.li6_fraction,
    }
    filled = profile.count > 0
    columns = np.column_stack(
        [
            profile.depth_mm,
            profile.mean,
            profile.standard_error,
            profile.spread,
            profile.count,
            profile.eroded,
            lithium_concentration(profile.mean, **conversion),
            charge_density(profile.mean, **conversion),
            *counting.values(),
        ]
    )[filled]
    head = [
        f"# change {change}, layer {layer_settings(context).cathode}",
        "# depth in mm from the separator; mean, standard_error and spread of the attenuation change in cm^-1",
        f"# lithium for natural density of 6Li {lithium.li6_fraction:g} at {lithium.wavelength_angstrom:g} angstrom",
        ",".join([*COLUMNS, *counting]),
    ]
    form = "{:.6f},{:.8g},{:.8g},{:.8g},{:.0f},{:.0f},{:.8g},{:.8g}"
    rows = (
        ",".join([form.format(*row[: len(COLUMNS)]), *(known(value) for value in row[len(COLUMNS) :])])
        for row in columns
    )
    return "\n".join([*head, *rows]) + "\n"


def known(value: float) -> str:
    """Return a number as it stands in a table; nothing where it is not known."""
    return f"{value:.8g}" if np.isfinite(value) else ""
