"""`deltamu demo --operando`: a simulated series, the analysis of it, and the comparison with the truth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit

from deltamu.recon.atomic import write_json, write_text
from deltamu.recon.report.operando.page import write_series_report
from deltamu.recon.simulate.operando.designs import SeriesDesign
from deltamu.recon.simulate.operando.series_files import (
    CYCLER_AHEAD_S,
    CYCLER_FILES,
    CYCLER_ZONE,
    simulate_series,
)
from deltamu.recon.simulate.presets import BEAMS
from deltamu.recon.study.operando.pipeline import run_series
from deltamu.recon.study.operando.settings import read_series_study
from deltamu.recon.study.progress import Cancel, Progress, never, silent

# what the simulator calls the zones of the settings
_TRUE_ZONES = {"plated": "plated", "contact": "void", "rim": "rim", "cathode": "cathode", "interlayer": "graphite",
               "anode": "anode"}  # fmt: skip
_TRUE_EVENTS = {"soft_short": "soft short", "hard_short": "hard short", "stage_2": "stage"}


def run_series_demo(
    folder: Path,
    *,
    kind: str,
    seed: int = 1,
    fresh: bool = False,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> str:
    """Simulate, run, compare; return a few lines that say what came out and where it is.

    Parameters
    ----------
    folder : Path
        Made when missing: raw/, truth/, series.toml and result/.
    kind : {"soft-short", "interlayer", "front", "healthy"}
    seed : int
    fresh, progress, cancel
        As for `run_series`.

    Raises
    ------
    InputError
        If the folder holds something else, or there is no such demo.
    """
    folder = Path(folder)
    design = simulate_series(folder, kind=kind, seed=seed, progress=progress, cancel=cancel)
    write_text(folder / "series.toml", series_toml(design))
    output = run_series(
        read_series_study(folder / "series.toml"), progress=progress, cancel=cancel, fresh=fresh, report=False
    )
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    truth = json.loads((folder / "truth" / "truth.json").read_text(encoding="utf-8"))
    summary["truth"] = compare(summary, output, truth)
    write_json(output / "summary.json", summary)
    write_series_report(output)
    progress("report", "", 1, 1)
    return "\n".join([*outcome(summary), f"report: {output / 'report.html'}"])


def series_toml(design: SeriesDesign) -> str:
    """Write down what the experimenter knows of a simulated series."""
    zones = [zone["name"] for zone in design.zones]
    table: dict[str, Any] = {
        "name": f"{design.kind.replace('-', ' ')}, simulated",
        "reference_frames": [0, design.rest_frames],
        "series": {
            "path": "raw", "times_file": "times.csv", "exposure_s": design.frame_s,
            "pixel_size_mm": design.preset.pixel_size_mm,
        },
        "cycler": {
            "path": f"raw/{CYCLER_FILES[design.kind][0]}", "time_zone": CYCLER_ZONE, "offset_s": -CYCLER_AHEAD_S
        },
        "layers": {
            "order": list(design.stack), "thickness_mm": [round(t, 4) for t in design.stack.values()],
            "collimation_um": BEAMS["ideal"].aperture_blur_um, "radius_mm": design.cell.radius_mm, "core_radius_mm": design.core_radius_mm,
        },
        "lithium": {"wavelength_angstrom": design.wavelength_angstrom, "balance": [z for z in zones if z != "cathode"]},
        "zones": list(design.zones),
        "regions": list(design.regions),
    }  # fmt: skip
    if design.front is not None:
        table["front"] = design.front
    return tomlkit.dumps(table)


def compare(summary: dict[str, Any], output: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Put the results beside what the simulator knows."""
    with np.load(output / "series.zarr" / "results.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    result: dict[str, Any] = {
        "events": _compare_events(summary, truth),
        "drift_rms_px": _drift_rms(arrays, truth),
    }
    result["charge"] = {
        zone: _charge_error(arrays, truth, zone, members) for zone, members in _members(summary).items()
    }
    if "front_mm" in truth:
        result["front"] = _compare_front(summary, arrays, truth)
    return result


def _members(summary: dict[str, Any]) -> dict[str, list[str]]:
    lithium = summary["lithium"]
    return {name: [name] if name != "balance" else lithium["balance"] for name in lithium["zones"]}


def _charge_error(arrays: dict[str, Any], truth: dict[str, Any], zone: str, members: list[str]) -> float:
    """Percent by which the charge of a zone is too large, over all windows."""
    known = truth["zone_charge_mAh"]
    frames = np.sum([known[_TRUE_ZONES[member]] for member in members], axis=0)
    found, middles = arrays[f"window/{zone}/mah"], arrays["window/times_s"]
    half = float(np.median(np.diff(middles))) / 2
    times = np.asarray(truth["times_s"])
    true = np.array([frames[np.abs(times - middle) <= half].mean() for middle in middles])
    return float(100 * (np.sum(found * true) / np.sum(true**2) - 1))


def _drift_rms(arrays: dict[str, Any], truth: dict[str, Any]) -> list[float]:
    true = np.asarray(truth["drift_px"])
    first = arrays["drift_px"][:10].mean(axis=0) - true[:10].mean(axis=0)
    return [float(value) for value in np.sqrt(np.mean((arrays["drift_px"] - true - first) ** 2, axis=0))]


def _compare_events(summary: dict[str, Any], truth: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    found = list(summary["events"])
    for name, time in truth["events_s"].items():
        match = next((event for event in found if event["kind"] == _TRUE_EVENTS[name]), None)
        found = [event for event in found if event is not match]
        late = None if match is None else (match["time_s"] - time) / 60
        rows.append({"event": _TRUE_EVENTS[name], "time_s": time, "found_late_min": late})
    rows += [{"event": event["kind"], "time_s": None, "found_late_min": None} for event in found]
    return rows


def _compare_front(summary: dict[str, Any], arrays: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    front = summary["front"]
    thickness = front["thickness_mm"]
    times = arrays["front/by_rate/times_s"]
    true = np.interp(times, truth["times_s"], truth["front_mm"][front["region"]])
    inside = (true > 0.15 * thickness) & (true < 0.85 * thickness)
    error = 1e3 * (arrays["front/by_rate/depth_mm"] - true)[inside]
    velocity = float(np.polyfit(times[inside] / 3600, 1e3 * true[inside], 1)[0])
    found = front["velocity_um_per_h"]
    return {
        "position_rms_um": float(np.sqrt(np.nanmean(error**2))),
        "positions_missing": int(np.count_nonzero(~np.isfinite(error))),
        "velocity_um_per_h": velocity,
        "velocity_error_percent": None if found is None else 100 * (found / velocity - 1),
    }


def outcome(summary: dict[str, Any]) -> list[str]:
    """Say in a few lines what came out, next to the truth."""
    truth, lines = summary["truth"], []
    for row in truth["events"]:
        if row["time_s"] is None:
            lines.append(f"{row['event']}: found, and not in the truth")
        elif row["found_late_min"] is None:
            lines.append(f"{row['event']}: not found")
        else:
            lines.append(f"{row['event']}: {row['found_late_min']:+.1f} min from the truth")
    for zone, error in truth["charge"].items():
        last = summary["lithium"]["zones"][zone]
        lines.append(
            f"{zone}: {last['last_mAh']:+.3f} ± {last['sigma_mAh']:.3f} mAh at the end ({error:+.1f} % over the series)"
        )
    if "front" in truth:
        front = truth["front"]
        lines.append(
            f"front: {summary['front']['velocity_um_per_h']:.2f} µm/h ({front['velocity_error_percent']:+.1f} %), position "
            f"{front['position_rms_um']:.1f} µm rms from the truth"
        )
    return lines
