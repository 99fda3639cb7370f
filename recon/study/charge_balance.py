"""The error budget of a layer's charge, and the lithium balance of the layers of the cell."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.charge_budget import BudgetLine, charge_budget
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.profile_plan import ProfilePlan, plan_integral, plan_profile
from deltamu.recon.change.profile_sums import ProfileSums, volume_integral
from deltamu.recon.change.uncertainty import integral_readout, subset_variance
from deltamu.recon.materials.lithium import charge_per_attenuation
from deltamu.recon.study.change_sums import change_sums
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.counting_errors import integral_noise
from deltamu.recon.study.error_sources import ErrorSources
from deltamu.recon.study.from_scans import ScannedState, starved_rows
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.subtraction import resolution_mm
from deltamu.recon.study.view_subsets import layer_rows, sector_means
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]
# of a layer's rows: with more of them starved its charge is not stated
STARVED_PART = 0.05
# −ln T through the middle of a layer beyond which 2 % of background or blur decides what is seen, not the layer
OPAQUE = 4.0


def charge_factor(context: RunContext) -> float:
    """Charge in mAh of ∫Δμ dV in cm²."""
    lithium = context.study.lithium
    return charge_per_attenuation(lithium.wavelength_angstrom, lithium.li6_fraction)


def budget_facts(
    context: RunContext,
    change: str,
    plan: ProfilePlan,
    sums: ProfileSums,
    errors: ErrorSources,
    *,
    floor: float,
) -> dict[str, Any]:
    """Error of the charge of the profile layer, line by line, as it stands in summary.json.

    Parameters
    ----------
    plan, sums
        Of the whole pellet.
    floor : float
        Noise floor of the separator, cm⁻¹.
    """
    factor, voxel = charge_factor(context), plan.layer.voxel_size_mm
    charge = factor * volume_integral(sums, voxel)
    volume = np.pi * (0.1 * plan.layer.radius_mm) ** 2 * 0.1 * plan.layer.thickness_mm
    lines = [
        *_noise_lines(sums, voxel, errors, factor),
        *_systematic_lines(plan, integral_readout(sums, voxel), errors, factor),
        BudgetLine(
            "mask",
            abs(factor * _wider_integral(context, change, plan) - charge),
            "margin of three widths of the blur instead of two",
        ),
        BudgetLine(
            "level", float(factor * volume * floor), "mean Δμ of the separator, over the layer's volume"
        ),
        *_stated_lines(context, charge),
    ]
    return asdict(charge_budget(lines))


def _noise_lines(
    sums: ProfileSums, voxel_size_mm: float, errors: ErrorSources, factor: float
) -> list[BudgetLine]:
    counting, alike, how = integral_noise(sums, voxel_size_mm, errors)
    return [
        BudgetLine("counting", factor * counting, how),
        BudgetLine("open beam", factor * alike, "open beam and gain drift, alike in every view"),
    ]


def _systematic_lines(
    plan: ProfilePlan, readout: Float, errors: ErrorSources, factor: float
) -> list[BudgetLine]:
    found, excess = errors.systematics[1], factor * errors.log_blur_cm2
    return [
        BudgetLine("registration", factor * found.registration_error(plan, readout), "shift along the axis"),
        BudgetLine("interpolation", factor * found.interpolation_error(readout), "spline against linear"),
        BudgetLine(
            "blur before logarithm",
            abs(excess),
            "from the steps at both faces and the width of the blur; the charge holds about "
            f"{excess:+.2g} mAh of it, not taken off",
        ),
    ]


def _wider_integral(context: RunContext, change: str, plan: ProfilePlan) -> float:
    """∫Δμ dV with a wider margin, cm²."""
    wider = plan_profile(
        plan.layer, plan.shape, fwhm_mm=plan.fwhm_mm, margin_mm=3 * plan.fwhm_mm,
        radius_mm=plan.layer.radius_mm + 3 * plan.fwhm_mm,
    )  # fmt: skip
    return volume_integral(change_sums(context, change, wider), plan.layer.voxel_size_mm)


def _stated_lines(context: RunContext, charge: float) -> list[BudgetLine]:
    """Lines that no image shows: relative errors as the study states them."""
    lithium, corrected = context.study.lithium, context.study.preprocess
    stated = {
        "cross section": (lithium.cross_section_relative_error, "wavelength and isotopes as stated"),
        "scatter": (lithium.scatter_relative_error, f"correction: {corrected.scatter.method}"),
        "hardening": (lithium.hardening_relative_error, f"correction: {corrected.hardening.method}"),
    }
    return [
        BudgetLine(
            name,
            None if part is None else abs(charge) * part,
            f"{note}; lithium.{name.replace(' ', '_')}_relative_error",
        )
        for name, (part, note) in stated.items()
    ]


def balance_facts(
    context: RunContext,
    change: str,
    stack: LayerStack,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    cathode: Mapping[str, Any],
) -> dict[str, Any]:
    """Charge of cathode, separator and anode; a layer behind starved rows is called not determinable."""
    layers = layer_settings(context)
    facts: dict[str, Any] = {
        layers.cathode: {
            "determinable": True,
            "charge_mAh": cathode["charge_mAh"],
            "charge_standard_error_mAh": cathode["charge_standard_error_mAh"],
            "reason": None,
        }
    }
    for name in (layers.separator, layers.anode):
        if name is not None:
            facts[name] = _layer_charge(context, change, stack, name, registered, scanned)
    known = [entry["charge_mAh"] for entry in facts.values()]
    facts["sum_mAh"] = None if None in known or layers.anode is None else float(sum(known))
    return facts


def _layer_charge(
    context: RunContext,
    change: str,
    stack: LayerStack,
    name: str,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
) -> dict[str, Any]:
    layers, shape = layer_settings(context), context.plan.state(context.study.reference).volume
    fwhm = resolution_mm(context, stack)
    plan = plan_integral(stack[name], shape, fwhm_mm=fwhm)
    if name == layers.separator:
        if stack[name].thickness_mm < 4 * fwhm + stack.voxel_size_mm:
            return _not_determinable(
                f"all of its {1e3 * stack[name].thickness_mm:.0f} µm lie within two FWHM of {1e3 * fwhm:.0f} µm of "
                "its neighbours"
            )
        # what lies within the blur of the neighbours is counted there
        plan = plan_profile(stack[name], shape, fwhm_mm=fwhm, margin_mm=-2 * fwhm, radius_mm=plan.radius_mm)
    reason = _why_not(context, change, plan, registered, scanned)
    if reason is not None:
        return _not_determinable(reason)
    sums, voxel, factor = change_sums(context, change, plan), stack.voxel_size_mm, charge_factor(context)
    delta_mu = open_image(context.store / "changes" / change / "delta_mu")
    sectors = sector_means(plan, delta_mu, layer_rows(plan))
    error = np.sqrt(subset_variance(sectors, integral_readout(sums, voxel)))
    return {
        "determinable": True,
        "charge_mAh": factor * volume_integral(sums, voxel),
        "charge_standard_error_mAh": float(factor * error),
        "reason": None,
    }


def _not_determinable(reason: str) -> dict[str, Any]:
    return {
        "determinable": False, "charge_mAh": None, "charge_standard_error_mAh": None,
        "reason": f"not determinable: {reason}",
    }  # fmt: skip


def _why_not(
    context: RunContext,
    change: str,
    plan: ProfilePlan,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
) -> str | None:
    """Why the charge of a layer cannot be stated; None where it can."""
    starved = _starved_part(context, change, plan, registered, scanned)
    if starved > STARVED_PART:
        return f"starved in {100 * starved:.0f} % of its rows"
    depth = max(_line_integral(context, state, plan) for state in split_change(change))
    return f"opaque, −ln T of {depth:.1f} through its middle" if depth > OPAQUE else None


def _line_integral(context: RunContext, state: str, plan: ProfilePlan) -> float:
    """−ln T along a diameter of the pellet in the middle row of a layer."""
    layer, voxel = plan.layer, plan.layer.voxel_size_mm
    row = round(0.5 * (layer.near.coefficients[0] + layer.far.coefficients[0]) / voxel)
    y, x = (np.arange(n) * voxel - a for n, a in zip(plan.shape[1:], layer.axis_mm, strict=True))
    inside = np.hypot(y[:, None], x[None, :]) < 0.9 * layer.radius_mm
    values = np.asarray(state_image(context, state)[row : row + 1])[0][inside]
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=float) * 0.2 * layer.radius_mm) if known.size else float("inf")


def _starved_part(
    context: RunContext,
    change: str,
    plan: ProfilePlan,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
) -> float:
    """Largest part of a layer's rows that is starved in a state of the change."""
    voxel, layer = plan.layer.voxel_size_mm, plan.layer
    low, high = sorted((layer.near.coefficients[0], layer.far.coefficients[0]))
    parts = [0.0]
    for state in split_change(change):
        if state in scanned:
            rows = starved_rows(context, scanned[state])
            ends = np.array([[z, *layer.axis_mm] for z in (low, high)])
            moved = registered.transforms[state].apply(ends) if state in registered.transforms else ends
            first, stop = sorted(np.clip(np.rint(moved[:, 0] / voxel), 0, rows.size - 1).astype(int))
            parts.append(float(np.mean(rows[first : stop + 1])))
    return max(parts)
