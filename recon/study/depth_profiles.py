"""Depth profiles, lithium and charge of every change, with their standard errors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.peak import noise_floor
from deltamu.recon.change.profile import profile_from_sums
from deltamu.recon.change.profile_plan import ProfilePlan, plan_integral, plan_profile
from deltamu.recon.change.profile_sums import ProfileSums, volume_integral
from deltamu.recon.change.regions import RegionLayout
from deltamu.recon.change.uncertainty import profile_with_errors
from deltamu.recon.study.blurred_faces import BlurredFaces, find_blurred_faces
from deltamu.recon.study.change_evidence import casing_floor, significance_facts
from deltamu.recon.study.change_sums import change_sums
from deltamu.recon.study.charge_balance import balance_facts, budget_facts, charge_factor
from deltamu.recon.study.comparison import Registered, layer_settings
from deltamu.recon.study.counting_errors import counting_columns, counting_facts, exact_profile
from deltamu.recon.study.error_sources import ErrorSources, find_error_sources
from deltamu.recon.study.exact_errors import exact_errors
from deltamu.recon.study.from_scans import ScannedState
from deltamu.recon.study.laplace_layers import laplace_table
from deltamu.recon.study.profile_facts import (
    axially_determined,
    charge_facts,
    profile_facts,
    profile_table,
    shape_and_transport,
    without_numbers,
)
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
from deltamu.recon.study.swelling import state_thickness, swelling_facts
from deltamu.recon.study.view_subsets import subset_means

Float = NDArray[np.float64]


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
    pairs = [split_change(change) for change in context.study.changes]
    exact = exact_errors(context, pairs, registered, scanned, plans.both, layout)
    faces = find_blurred_faces(context, plans.core, subsets, list(needed))
    thickness = {state: state_thickness(context, stack, registered, faces, state) for state in needed}
    found = {}
    for index, change in enumerate(context.study.changes):
        core, whole = (change_sums(context, change, plan) for plan in plans.both)
        errors = find_error_sources(
            context, change, plans.both, (core, whole), registered, scanned, subsets, faces,
            exact=exact.get(split_change(change)),
        )  # fmt: skip
        found[change] = _measure(context, change, stack, plans, layout, (core, whole), errors)
        balance = balance_facts(context, change, stack, registered, scanned, found[change].facts)
        swelling = swelling_facts(change, thickness, *_areal(change, plans.whole, whole, faces))
        found[change] = replace(
            found[change], facts={**found[change].facts, "balance": balance, "swelling": swelling}
        )
        if not axially_determined(registered.facts, split_change(change)):
            found[change] = _without_numbers(context, change, found[change])
        context.progress("profile", "", index + 1, len(context.study.changes))
    return found


def _measure(
    context: RunContext,
    change: str,
    stack: LayerStack,
    plans: ProfilePlans,
    layout: RegionLayout,
    sums: tuple[ProfileSums, ProfileSums],
    errors: ErrorSources,
) -> MeasuredChange:
    core, whole = sums
    in_core = errors.systematics[0]
    profile = profile_with_errors(
        plans.core, core, errors.noise[0], moving_attenuation=in_core.moving_attenuation,
        shift_sigma_mm=in_core.shift_sigma_mm, interpolation_shift=in_core.interpolation_shift,
        **exact_profile(errors.exact),
    )  # fmt: skip
    regions = measure_regions(context, change, plans.whole, layout)
    noise_facts = _noise_facts(context, change, plans)
    budget = budget_facts(context, change, plans.whole, whole, errors, floor=noise_facts["noise_floor"])
    facts = {
        **profile_facts(profile, core, plans.core, errors),
        **noise_facts,
        **charge_facts(context, change, plans.whole, whole, budget["total_mAh"]),
        **shape_and_transport(profile, plans.core, in_core),
        **_region_facts(plans.whole, layout, regions, whole, errors),
        "charge_budget": budget,
        "counting": counting_facts(plans.both, sums, errors, charge_factor(context)),
        "significance": significance_facts(context, change, stack, _roles(context)),
    }
    tables = {
        change: profile_table(context, change, profile, counting_columns(errors, core)),
        f"{change}.regions": region_table(change, plans.whole, layout, regions, errors),
    }
    if context.study.profile.depth == "laplace":
        tables[f"{change}.laplace"] = laplace_table(context, change, plans.core)
    return MeasuredChange(facts, tables)


def _areal(change: str, plan: ProfilePlan, sums: ProfileSums, faces: BlurredFaces) -> tuple[float, float]:
    """∫Δμ dd over the whole layer and its blur, and ∫μ dd of the origin inside it, mean over the pellet."""
    layer = plan.layer
    area = np.pi * (0.1 * layer.radius_mm) ** 2
    origin = faces.mean_attenuation[split_change(change)[1]]
    return volume_integral(sums, layer.voxel_size_mm) / area, 0.1 * layer.thickness_mm * origin


def _noise_facts(context: RunContext, change: str, plans: ProfilePlans) -> dict[str, Any]:
    separator = profile_from_sums(plans.separator, change_sums(context, change, plans.separator))
    radii = context.study.registration.housing_radius_mm
    return {
        "noise_floor": noise_floor(separator),
        "noise_floor_casing": casing_floor(context, change, plans.core, radii),
    }


def _region_facts(
    plan: ProfilePlan,
    layout: RegionLayout,
    means: tuple[Float, Float],
    sums: ProfileSums,
    errors: ErrorSources,
) -> dict[str, Any]:
    found = region_facts(plan, layout, means, sums, errors)
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
