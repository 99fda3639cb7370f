"""Depth profiles, lithium and charge of every change, with their standard errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.lithium import charge_closure, charge_density, inventory, lithium_concentration
from deltamu.recon.change.peak import find_peak, noise_floor
from deltamu.recon.change.profile import DepthProfile, profile_from_sums
from deltamu.recon.change.profile_plan import ProfilePlan, plan_integral, plan_profile
from deltamu.recon.change.profile_sums import (
    ProfileSums,
    bin_weights,
    empty_sums,
    layer_mean,
    slab_sums,
    volume_integral,
)
from deltamu.recon.change.regions import RegionLayout
from deltamu.recon.change.uncertainty import (
    StateNoise,
    integral_readout,
    profile_with_errors,
    readout_standard_error,
)
from deltamu.recon.solvers.noise import ring_response
from deltamu.recon.study.change_evidence import (
    casing_floor,
    shape_facts,
    significance_facts,
    transport_facts,
)
from deltamu.recon.study.charge_balance import balance_facts, budget_facts
from deltamu.recon.study.comparison import Registered, layer_settings
from deltamu.recon.study.from_scans import ScannedState, fbp_options, shared_variance
from deltamu.recon.study.region_profiles import (
    measure_regions,
    plan_regions,
    region_facts,
    region_table,
    split_rings,
)
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.subtraction import resolution_mm
from deltamu.recon.study.systematics import Systematics, find_systematics
from deltamu.recon.study.view_subsets import SubsetMeans, layer_rows, sector_means, subset_means
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]
ROWS_AT_A_TIME = 16
# what holds for a change whatever its registration
_KEPT = ("eroded_bins", "error_kind", "charge_cycled_mAh")


@dataclass(frozen=True)
class ProfilePlans:
    """The two sets of bins: the core for the profile, the whole pellet with its blur for the charge."""

    core: ProfilePlan
    whole: ProfilePlan
    separator: ProfilePlan

    @property
    def both(self) -> tuple[ProfilePlan, ProfilePlan]:
        """Core and whole."""
        return self.core, self.whole


@dataclass(frozen=True)
class ErrorSources:
    """What the errors of a change follow from, for the bins of the core and of the whole pellet.

    Attributes
    ----------
    noise : two sequences of StateNoise
    systematics : two Systematics
    moving : two (bin,) arrays
        Attenuation of the moving state, cm⁻¹.
    regional : sequence of (subset, region, bin) arrays
        Of both states; empty where the views are not at hand.
    """

    noise: Sequence[Sequence[StateNoise]]
    systematics: Sequence[Systematics]
    moving: Sequence[Float]
    regional: Sequence[Float]


@dataclass(frozen=True)
class MeasuredChange:
    """One change as it stands in summary.json, and its profiles as tables by the name of their file."""

    facts: Mapping[str, Any]
    tables: Mapping[str, str]


def plan_profiles(context: RunContext, stack: LayerStack) -> ProfilePlans:
    """Lay out the bins of the cathode and of the separator, the layer that must not change."""
    layers, options = layer_settings(context), context.study.profile
    shape = context.plan.state(context.study.reference).volume
    fwhm = resolution_mm(context, stack)
    common: dict[str, Any] = {"fwhm_mm": fwhm, "radius_fraction": options.core_fraction}
    bin_mm = None if options.bin_um is None else options.bin_um / 1000
    plans = ProfilePlans(
        plan_profile(stack[layers.cathode], shape, bin_mm=bin_mm, **common),
        plan_integral(stack[layers.cathode], shape, fwhm_mm=fwhm),
        plan_profile(stack[layers.separator], shape, margin_mm=0.0, **common),
    )
    for warning in plans.core.warnings:
        context.warn(f"profile: {warning}")
    return plans


def measure_changes(
    context: RunContext, stack: LayerStack, registered: Registered, scanned: Mapping[str, ScannedState]
) -> dict[str, MeasuredChange]:
    """Measure every change of the study."""
    plans = plan_profiles(context, stack)
    layout = plan_regions(context, plans.whole)
    needed = dict.fromkeys(
        state for change in context.study.changes for state in reversed(split_change(change))
    )
    subsets = {
        state: subset_means(context, scanned[state], registered, plans.both, layout)
        for state in needed
        if state in scanned
    }
    found = {}
    for index, change in enumerate(context.study.changes):
        errors = _error_sources(context, change, plans, registered, scanned, subsets)
        found[change] = _measure(context, change, stack, plans, layout, errors)
        balance = balance_facts(context, change, stack, registered, scanned, found[change].facts, change_sums)
        found[change] = replace(found[change], facts={**found[change].facts, "balance": balance})
        if not axially_determined(registered.facts, split_change(change)):
            found[change] = _without_numbers(context, change, found[change])
        context.progress("profile", "", index + 1, len(context.study.changes))
    return found


def _error_sources(
    context: RunContext,
    change: str,
    plans: ProfilePlans,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    subsets: Mapping[str, SubsetMeans],
) -> ErrorSources:
    """Gather what the errors of a change follow from, for the core's and for the whole pellet's bins."""
    states = split_change(change)
    if all(state in subsets for state in states):
        noise = [_noise_of_states(context, plans.both[i], states, scanned, subsets, i) for i in range(2)]
        moving = [subsets[states[0]].plans[i].mean(axis=0) for i in range(2)]
        regional = [subsets[state].regions for state in states]
    else:
        delta_mu = open_image(context.store / "changes" / change / "delta_mu")
        noise = [[StateNoise(sector_means(plan, delta_mu, layer_rows(plan)))] for plan in plans.both]
        moving, regional = [np.zeros(plan.bins) for plan in plans.both], []
    return ErrorSources(
        noise, find_systematics(context, registered, states, plans.both, moving), moving, regional
    )


def _measure(
    context: RunContext,
    change: str,
    stack: LayerStack,
    plans: ProfilePlans,
    layout: RegionLayout,
    errors: ErrorSources,
) -> MeasuredChange:
    core, whole = (change_sums(context, change, plan) for plan in plans.both)
    in_core = errors.systematics[0]
    profile = profile_with_errors(
        plans.core, core, errors.noise[0], moving_attenuation=errors.moving[0],
        shift_sigma_mm=in_core.shift_sigma_mm, interpolation_shift=in_core.interpolation_shift,
    )  # fmt: skip
    regions = measure_regions(context, change, plans.whole, layout)
    noise_facts = _noise_facts(context, change, plans)
    facts = {
        **_profile_facts(profile, core, errors.noise[0], plans.core, in_core),
        **noise_facts,
        **_charge_facts(context, change, plans.whole, whole, errors),
        **_shape_facts(profile, plans.core, in_core),
        **_region_facts(plans.whole, layout, regions, whole, errors),
        "charge_budget": budget_facts(
            context,
            change,
            plans.whole,
            whole,
            errors.noise[1],
            errors.systematics[1],
            floor=noise_facts["noise_floor"],
            sum_over=change_sums,
        ),
        "significance": significance_facts(context, change, stack, _roles(context)),
    }
    tables = {
        change: profile_table(context, change, profile),
        f"{change}.regions": region_table(change, plans.whole, layout, regions, errors.regional),
    }
    return MeasuredChange(facts, tables)


def _noise_facts(context: RunContext, change: str, plans: ProfilePlans) -> dict[str, Any]:
    separator = profile_from_sums(plans.separator, change_sums(context, change, plans.separator))
    radii = context.study.registration.housing_radius_mm
    return {
        "noise_floor": noise_floor(separator),
        "noise_floor_casing": casing_floor(context, change, plans.core, radii),
    }


def _shape_facts(profile: DepthProfile, plan: ProfilePlan, systematics: Systematics) -> dict[str, Any]:
    joint = systematics.covariance(plan)
    alone = np.maximum(profile.standard_error**2 - np.diag(joint), 0.0)
    covariance = np.diag(alone) + joint
    thickness = plan.layer.thickness_mm
    return {
        **shape_facts(profile, thickness, covariance),
        "transport": transport_facts(profile, thickness, covariance),
    }


def _region_facts(
    plan: ProfilePlan,
    layout: RegionLayout,
    means: tuple[Float, Float],
    sums: ProfileSums,
    errors: ErrorSources,
) -> dict[str, Any]:
    found = region_facts(plan, layout, means, sums, errors.noise[1], errors.systematics[1], errors.regional)
    rings = sum(name.startswith("ring_") for name in layout.names)
    regions, radial = split_rings(found, plan.layer.radius_mm, rings)
    return {"regions": regions, "radial": radial}


def _roles(context: RunContext) -> dict[str, str]:
    layers = layer_settings(context)
    return {layers.cathode: "changing", layers.separator: "inert", layers.collector: "inert"}


def _without_numbers(context: RunContext, change: str, measured: MeasuredChange) -> MeasuredChange:
    context.warn(
        f"{change}: the shift along the axis is not determined by the data, so neither Δμ at a depth nor "
        "lithium and charge can be stated; give registration.mask parts with a mark or an end inside the field"
    )
    return MeasuredChange(without_numbers(measured.facts), measured.tables)


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


def change_sums(context: RunContext, change: str, plan: ProfilePlan) -> ProfileSums:
    """Sum a change over the bins of a plan, some rows at a time."""
    group = context.store / "changes" / change
    delta_mu, sigma = (open_image(group / name) for name in ("delta_mu", "sigma"))
    sums = empty_sums(plan)
    first, stop = layer_rows(plan)
    for begin in range(first, stop, ROWS_AT_A_TIME):
        rows = slice(begin, min(begin + ROWS_AT_A_TIME, stop))
        sums = sums + slab_sums(plan, begin, delta_mu[rows], sigma[rows])
    return sums


def _noise_of_states(
    context: RunContext,
    plan: ProfilePlan,
    states: Sequence[str],
    scanned: Mapping[str, ScannedState],
    subsets: Mapping[str, SubsetMeans],
    which: int,
) -> list[StateNoise]:
    found = []
    for name in states:
        state = scanned[name]
        response = ring_response(state.scan.shape[2], radii_px=plan.radii_px, **fbp_options(context, state))
        found.append(
            StateNoise(
                subsets[name].plans[which], response, shared_variance(context, state).astype(np.float64)
            )
        )
    return found


def _profile_facts(
    profile: DepthProfile,
    sums: ProfileSums,
    noise: Sequence[StateNoise],
    plan: ProfilePlan,
    systematics: Systematics,
) -> dict[str, Any]:
    peak = find_peak(profile)
    within = bin_weights(sums, plan.within)
    eroded = np.any(plan.eroded)
    whole = {
        "mean_delta_mu": layer_mean(sums, plan.within),
        "standard_error": float(
            np.hypot(readout_standard_error(sums, within, noise), systematics.readout_error(plan, within))
        ),
    }
    return {
        # a cathode too thin to leave anything after erosion is averaged whole
        "mean_delta_mu": profile.layer_mean if eroded else whole["mean_delta_mu"],
        "standard_error": profile.layer_standard_error if eroded else whole["standard_error"],
        "peak_delta_mu": peak.delta_mu,
        "peak_standard_error": peak.standard_error,
        "peak_depth_mm": peak.depth_mm,
        "peak_depth_standard_error_mm": peak.depth_standard_error_mm,
        "eroded_bins": int(np.count_nonzero(plan.eroded)),
        "error_kind": profile.error_kind,
        "uneroded": whole,
    }


def _charge_facts(
    context: RunContext, change: str, plan: ProfilePlan, sums: ProfileSums, errors: ErrorSources
) -> dict[str, Any]:
    lithium, voxel = context.study.lithium, plan.layer.voxel_size_mm
    readout = integral_readout(sums, voxel)
    error = np.hypot(
        readout_standard_error(sums, readout, errors.noise[1]),
        errors.systematics[1].readout_error(plan, readout),
    )
    found = inventory(
        volume_integral(sums, voxel),
        float(error),
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
    cycled = lithium.charge_mah.get(change)
    if cycled:
        closure = charge_closure(found, cycled)
        facts |= {
            "charge_cycled_mAh": cycled,
            "charge_closure": closure.ratio,
            "charge_closure_standard_error": closure.standard_error,
        }
    return facts


def profile_table(context: RunContext, change: str, profile: DepthProfile) -> str:
    """Write a profile as CSV with its units in comments."""
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
        ]
    )[filled]
    head = [
        f"# change {change}, layer {layer_settings(context).cathode}",
        "# depth in mm from the separator; mean, standard_error and spread of the attenuation change in cm^-1",
        f"# lithium for natural density of 6Li {lithium.li6_fraction:g} at {lithium.wavelength_angstrom:g} angstrom",
        "depth_mm,mean,standard_error,spread,count,eroded,lithium_mol_cm3,charge_mAh_cm3",
    ]
    form = "{:.6f},{:.8g},{:.8g},{:.8g},{:.0f},{:.0f},{:.8g},{:.8g}"
    return "\n".join([*head, *(form.format(*row) for row in columns)]) + "\n"
