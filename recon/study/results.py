"""What a run leaves for people and programs: summary.json, diagnostics.json, profiles/*.csv."""

import math
import platform
import resource
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

from deltamu.recon.atomic import write_json, write_text
from deltamu.recon.materials.lithium import charge_per_attenuation, kappa
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.aligning import alignment_text
from deltamu.recon.study.change_chain import Comparison
from deltamu.recon.study.checkpoint import PieceKey, checkpoint
from deltamu.recon.study.from_scans import STARVED_ROW, ScannedState, frame_facts
from deltamu.recon.study.hardened_rows import leaves_out_casing
from deltamu.recon.study.preprocess_facts import keep_bad_pixels, preprocess_facts
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings_preprocess import PreprocessSettings
from deltamu.recon.volumes.volume import Volume

SCHEMA = 1
_DOSES = {
    "air": "each frame by air beside the sample",
    "file": "each frame by what a monitor counted",
    "region": "each frame by a part that looks the same in every view",
}
LIBRARIES = ("numpy", "scipy", "zarr", "h5py", "tifffile", "matplotlib")


def write_results(
    context: RunContext,
    sources: Mapping[str, Scan | Volume],
    scanned: Mapping[str, ScannedState],
    compared: Comparison | None,
) -> None:
    """Write the machine-readable results of a run, each file atomically."""
    facts = {name: frame_facts(context, state) for name, state in scanned.items()}
    _warn_of_starvation(context, facts)
    for state in scanned.values():
        keep_bad_pixels(context, state)
    if compared is not None:
        _remove_profiles(context, keep=compared.profiles)
        for change, table in compared.profiles.items():
            write_text(context.output / "profiles" / f"{change}.csv", table)
    write_json(context.output / "diagnostics.json", _diagnostics(context, sources, scanned, facts, compared))
    checkpoint("summary", PieceKey("summary"))
    write_json(context.output / "summary.json", _summary(context, sources, scanned, compared))


def _remove_profiles(context: RunContext, *, keep: Mapping[str, str]) -> None:
    """Remove profiles of changes that are no longer in the study."""
    for file in (context.output / "profiles").glob("*.csv"):
        if file.stem not in keep:
            file.unlink()


def _summary(
    context: RunContext,
    sources: Mapping[str, Scan | Volume],
    scanned: Mapping[str, ScannedState],
    compared: Comparison | None,
) -> dict[str, Any]:
    study = context.study
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "version": metadata.version("deltamu"),
        "device": context.plan.device,
        "device_reason": context.plan.device_reason,
        "name": study.name,
        "reference": study.reference,
        "voxel_size_mm": context.plan.state(study.reference).voxel_size_mm,
        "warnings": context.warnings,
        "timing_s": _timing(context),
        "peak_memory_bytes": peak_memory_bytes(),
        "reconstruction": study.reconstruction.model_dump(),
        "corrections": _corrections(context, scanned),
        "states": {name: _state(context, name, source, scanned) for name, source in sources.items()},
    }
    if compared is not None and study.layers is not None:
        lithium = study.lithium
        summary |= {
            "profile_layer": study.layers.cathode,
            "layer_order": list(study.layers.order),
            "lithium": {
                "wavelength_angstrom": lithium.wavelength_angstrom,
                "li6_fraction": lithium.li6_fraction,
                "kappa_cm2_per_mol": kappa(lithium.wavelength_angstrom, lithium.li6_fraction),
                "mAh_cm3_per_cm1": charge_per_attenuation(lithium.wavelength_angstrom, lithium.li6_fraction),
            },
            "registration": compared.registration,
            "layers": compared.layers,
            "changes": compared.changes,
        }
        for state, resolution in compared.resolution.items():
            summary["states"][state]["resolution"] = resolution
    return finite_or_null(summary)  # type: ignore[no-any-return]


def _state(
    context: RunContext,
    name: str,
    source: Scan | Volume,
    scanned: Mapping[str, ScannedState],
) -> dict[str, Any]:
    if isinstance(source, Volume):
        return {"source": source.name, "unit": source.unit, "notes": list(source.notes)}
    state = scanned[name]
    degrees = np.degrees(source.angles)
    return {
        "projections": int(source.shape[0]),
        "angles_deg": {"first": float(degrees[0]), "last": float(degrees[-1]), "order": angle_order(degrees)},
        "center_px": state.center,
        "center_spread_px": float(state.centering["spread"]),
        "tilt_deg": float(state.centering["tilt_deg"]),
        "tilt_error_deg": state.centering.get("tilt_error_deg"),
        **preprocess_facts(context, state),
        **({"alignment": dict(state.alignment.facts)} if state.alignment.facts else {}),
        **_prior_facts(context, name),
        "notes": list(source.notes),
    }


def _prior_facts(context: RunContext, name: str) -> dict[str, Any]:
    """How a state with a prior was reconstructed on the grid of the reference."""
    prior = context.study.states[name].reconstruction
    return {} if prior is None else {"reconstruction": prior.model_dump()}


def angle_order(degrees: Any) -> str:
    """Say whether angles rise, fall, or are interleaved (golden ratio and the like)."""
    steps = np.diff(degrees)
    if steps.size == 0 or np.all(steps >= 0):
        return "increasing"
    return "decreasing" if np.all(steps <= 0) else "interleaved"


def _diagnostics(
    context: RunContext,
    sources: Mapping[str, Scan | Volume],
    scanned: Mapping[str, ScannedState],
    facts: Mapping[str, Any],
    compared: Comparison | None,
) -> dict[str, Any]:
    states = {}
    for name, state in scanned.items():
        centering = state.centering
        starved = np.flatnonzero(np.asarray(facts[name]["starved_fraction"]) > STARVED_ROW)
        noise = state.correction.noise
        states[name] = {
            "center": {
                "candidates": centering["candidates"],
                "consensus_px": state.center,
                "search_px": centering["search"],
            },
            "dose": facts[name]["dose"],
            "starved_rows": [int(row) for row in starved],
            "noise": {
                "origin": noise.origin,
                "adu_per_count": noise.adu_per_count,
                "read_variance": noise.read_variance,
                "gain_drift": noise.gain_drift,
            },
        }
    inputs = {
        name: {"path": str(context.study.state_path(name)), "fingerprint": _fingerprint(source)}
        for name, source in sources.items()
    }
    provenance = {
        "version": metadata.version("deltamu"),
        "device": context.plan.device,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "inputs": inputs,
    }
    found = {"schema": SCHEMA, "states": states, "provenance": provenance}
    if compared is not None:
        found["registration"] = compared.registration_diagnostics
    return finite_or_null(found)  # type: ignore[no-any-return]


def _fingerprint(source: Scan | Volume) -> str:
    return source.fingerprint if isinstance(source, Scan) else source.name


def _corrections(context: RunContext, scanned: Mapping[str, ScannedState]) -> dict[str, Any]:
    if not scanned:
        return {}
    options = context.study.preprocess
    stripes = {
        "auto": f"only where rings stand above the noise of the open beam, by the filter {options.stripe_method!r}",
        "on": f"filter {options.stripe_method!r} (gains: mean over the angles; wavelet: Münch 2009; others: Vo 2018)",
    }
    return {
        "dark_and_open_beam": "clipped means over the frames, gamma spots left out",
        "dose": _DOSES.get(options.dose, False),
        "spots": _spots_text(options),
        "stripes": stripes.get(options.stripes, False),
        "scatter": options.scatter.as_text(),
        "line_spread": options.line_spread.as_text(),
        "hardening": options.hardening.as_text(
            context.study.lithium.wavelength_angstrom, casing_left_out=leaves_out_casing(context.study)
        ),
        "alignment": alignment_text(context.study),
    }


def _spots_text(options: PreprocessSettings) -> str | bool:
    kind = "bright and dark spots" if options.dark_spots else "bright spots"
    return f"selective local median of {kind}" if options.spots else False


def _warn_of_starvation(context: RunContext, facts: Mapping[str, Any]) -> None:
    for name, frames in facts.items():
        rows = np.flatnonzero(np.asarray(frames["starved_fraction"]) > STARVED_ROW)
        if rows.size:
            context.warn(
                f"{name}: {rows.size} detector rows ({rows[0]} to {rows[-1]}) are starved of neutrons, "
                f"{100 * float(np.mean(frames['starved_fraction'])):.2g} % of all pixels of the views; "
                "attenuation there is biased low and its lithium cannot be determined; σ of a change is unknown beside them"
            )


def _timing(context: RunContext) -> dict[str, float]:
    """Seconds per stage over all starts of the run, from the journal."""
    timing: dict[str, float] = {}
    for key, piece in context.journal.pieces.items():
        timing[key.stage] = timing.get(key.stage, 0.0) + float((piece.payload or {}).get("seconds", 0.0))
    return {stage: round(seconds, 2) for stage, seconds in timing.items()}


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far."""
    scale = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * scale


def finite_or_null(value: Any) -> Any:
    """Replace what JSON cannot say (NaN, infinity) by null, and numpy numbers by Python's."""
    if isinstance(value, Mapping):
        return {str(key): finite_or_null(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [finite_or_null(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
