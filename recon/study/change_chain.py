"""From reconstructed states to measured changes: the order of the stages, and what they leave for the results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.scales import ScaleComparison
from deltamu.recon.study.comparison import (
    Registered,
    approximate_stack,
    layer_settings,
    locate_layers,
    resample_states,
)
from deltamu.recon.study.depth_profiles import MeasuredChange, measure_changes
from deltamu.recon.study.flattened_change import flatten_changes
from deltamu.recon.study.from_scans import ScannedState
from deltamu.recon.study.registering import register_states
from deltamu.recon.study.registering_affine import STRETCH_FACTS
from deltamu.recon.study.registration_edges import edge_residues
from deltamu.recon.study.registration_residual import write_residuals
from deltamu.recon.study.resolution import measure_resolution
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.scales import measure_scales
from deltamu.recon.study.subtraction import subtract


@dataclass(frozen=True)
class Comparison:
    """What comparing the states found, as it stands in summary.json, diagnostics.json and the profiles."""

    registration: Mapping[str, Any]
    registration_diagnostics: Mapping[str, Any]
    layers: Mapping[str, Any]
    changes: Mapping[str, Any]
    profiles: Mapping[str, str]
    resolution: Mapping[str, Mapping[str, float | None]]


def compare_states(
    context: RunContext, scanned: Mapping[str, ScannedState], hashes: Mapping[str, str]
) -> Comparison:
    """Register, resample, find the layers, subtract and measure."""
    with context.stage("stack"):
        approximate = approximate_stack(context, hashes[context.study.reference])
    with context.stage("register"):
        facts = register_states(context, approximate, hashes)
    with context.stage("resample"):
        registered = resample_states(context, facts, scanned, hashes)
    with context.stage("layers"):
        stack = locate_layers(context, approximate, registered)
    with context.stage("scale"):
        scales = measure_scales(context, stack, registered)
    with context.stage("change"):
        residuals = write_residuals(context, approximate, registered)
        subtract(context, stack, registered, scanned, scales)
    flatten_changes(context, stack, registered)
    with context.stage("profile"):
        measured = measure_changes(context, stack, registered, scanned)
    resolution = measure_resolution(context, stack, registered, scanned)
    found = _collect(context, registered, stack, measured, resolution)
    edges = edge_residues(context, stack, registered)
    told = {
        state: {**facts, "edge_residue": edges[state], "residual_rms_sigma": residuals[state]}
        for state, facts in found.registration.items()
    }
    return replace(found, registration=_with_scales(told, scales))


def _with_scales(
    registration: Mapping[str, Any], scales: Mapping[str, ScaleComparison | None]
) -> dict[str, Any]:
    return {
        state: {**facts, "scale": asdict(scale) if (scale := scales.get(state)) else None}
        for state, facts in registration.items()
    }


def _collect(
    context: RunContext,
    registered: Registered,
    stack: LayerStack,
    measured: Mapping[str, MeasuredChange],
    resolution: Mapping[str, Mapping[str, float | None]],
) -> Comparison:
    return Comparison(
        registration={name: _registration(facts) for name, facts in registered.facts.items()},
        registration_diagnostics={
            name: {
                key: facts[key]
                for key in (
                    "iterations",
                    "residual_voxel",
                    "correlation",
                    "overlap",
                    "mask",
                    "housing",
                )
            }
            for name, facts in registered.facts.items()
        },
        layers={name: _layer(context, stack, name) for name in stack.order},
        changes={change: found.facts for change, found in measured.items()},
        profiles={name: table for found in measured.values() for name, table in found.tables.items()},
        resolution=resolution,
    )


def _registration(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Motion of the reference's middle, with the uncertainties of its parameters."""
    uncertainty = facts["uncertainty"]
    stretch = {key: facts[key] for key in STRETCH_FACTS if key in facts}
    if stretch:
        stretch["strain"] = facts["transform"]["strain"]
    return {
        **stretch,
        "translation_mm": facts["transform"]["translation_mm"],
        "rotation_deg": facts["transform"]["rotation_deg"],
        "center_mm": facts["transform"]["center_mm"],
        "translation_standard_error_mm": [uncertainty[f"translation_{axis}"] for axis in "zyx"],
        "rotation_standard_error_deg": [uncertainty[f"rotation_{axis}"] for axis in "zyx"],
        "residual_voxel": facts["residual_voxel"],
        "iterations": facts["iterations"],
        "converged": facts["converged"],
        "undetermined": facts["undetermined"],
        "gain": facts["gain"],
        "offset": facts["offset"],
        "self_check": facts["self_check"],
    }


def _layer(context: RunContext, stack: LayerStack, name: str) -> dict[str, Any]:
    layer, settings = stack[name], layer_settings(context)
    held = context.study.registration.mask or (settings.separator, settings.collector)
    return {
        "label": layer.label,
        "thickness_mm": layer.thickness_mm,
        "thickness_standard_error_mm": layer.thickness_standard_error_mm,
        "tilt_deg": layer.tilt_deg,
        "tilt_standard_error_deg": layer.near.tilt_standard_error_deg,
        "azimuth_deg": layer.near.azimuth_deg,
        "bow_um": layer.bow_um,
        "bow_standard_error_um": layer.near.bow_standard_error_um(stack.radius_mm),
        "axis_mm": list(stack.axis_mm),
        "radius_mm": stack.radius_mm,
        "fitted": bool(layer.near.fitted and layer.far.fitted),
        "inert": name in held,
        "height_mm": float(np.mean([layer.near.coefficients[0], layer.far.coefficients[0]])),
    }
