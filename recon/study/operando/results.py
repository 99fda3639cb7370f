"""What a series leaves for people and programs: summary.json, profiles/*.csv, arrays in series.zarr."""

import csv
import io
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.atomic import write_bytes, write_json, write_text
from deltamu.recon.operando.events import Event
from deltamu.recon.operando.front import FrontPath
from deltamu.recon.operando.zone_charge import ZoneCharges
from deltamu.recon.study.operando.analysis import Analysis, FrontResult
from deltamu.recon.study.operando.corrections import correction_facts, correction_notes, corrections_of
from deltamu.recon.study.operando.frame_pieces import FrameFacts, SeriesRun
from deltamu.recon.study.operando.sources import Sources, regions_of, zones_of
from deltamu.recon.study.results import finite_or_null, peak_memory_bytes

SCHEMA = 1
Float = NDArray[np.float64]


def write_series_results(
    run: SeriesRun, sources: Sources, facts: FrameFacts, analysis: Analysis, maps: Sequence[tuple[int, int]]
) -> None:
    """Write results.npz (for the report), tables and the summary, each file atomically."""
    for name, table in _tables(sources, run, facts, analysis).items():
        write_text(run.output / "profiles" / f"{name}.csv", table)
    stream = io.BytesIO()
    np.savez_compressed(stream, **_arrays(run, sources, facts, analysis, maps))
    write_bytes(run.output / "series.zarr" / "results.npz", stream.getvalue())
    write_json(run.output / "summary.json", finite_or_null(_summary(run, sources, facts, analysis, maps)))


def _table(columns: Mapping[str, Float]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([f"{value:.7g}" if np.isfinite(value) else "" for value in row])
    return stream.getvalue()


def _tables(sources: Sources, run: SeriesRun, facts: FrameFacts, analysis: Analysis) -> dict[str, str]:
    tables = {"frames": _table(_frame_columns(sources, run, facts))}
    if analysis.window_charges is not None:
        tables["lithium"] = _table(_charge_columns(analysis.window_charges))
    for name, current in analysis.currents.items():
        middles = current.edges_mm.mean(axis=1)
        columns = {f"{middle:.3f}_mm": current.ma_cm2[:, index] for index, middle in enumerate(middles)}
        tables[f"current_{name}"] = _table({"time_s": current.times_s, **columns})
    if analysis.front is not None:
        front = analysis.front
        tables["front"] = _table(
            {
                "time_s": front.by_rate.times_s,
                "maximum_rate_mm": front.by_rate.depth_mm, "maximum_rate_sigma_mm": front.by_rate.sigma_mm,
                "half_height_mm": front.by_half.depth_mm, "half_height_sigma_mm": front.by_half.sigma_mm,
            }
        )  # fmt: skip
    for name, kymograph in analysis.kymographs.items():
        columns = {"time_s": kymograph.times_s}
        for row, position in enumerate(kymograph.position_mm):
            columns[f"{position:.4f}_mm"] = kymograph.ratio.ratio[:, row]
        tables[f"kymograph_{name}"] = _table(columns)
    return tables


def _frame_columns(sources: Sources, run: SeriesRun, facts: FrameFacts) -> dict[str, Float]:
    columns = {
        "time_s": run.series.times_s, "dose": facts.dose, "spots_fraction": facts.spots_fraction,
        "drift_rows_px": facts.drift_px[:, 0], "drift_columns_px": facts.drift_px[:, 1],
    }  # fmt: skip
    if sources.cycling is not None:
        cycling = sources.cycling
        columns |= {
            "voltage_V": cycling.voltage_v,
            "current_mA": cycling.current_ma,
            "charge_mAh": cycling.charge_mah,
        }
    return columns


def _charge_columns(charges: ZoneCharges) -> dict[str, Float]:
    columns = {"time_s": charges.times_s}
    for name in charges.mah:
        columns[f"{name}_mAh"] = charges.mah[name]
        columns[f"{name}_sigma_mAh"] = charges.sigma_mah[name]
    return columns


def _arrays(
    run: SeriesRun, sources: Sources, facts: FrameFacts, analysis: Analysis, maps: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """Everything that the figures need beside the maps."""
    arrays: dict[str, Any] = {
        "reference": run.reference.transmission, "reference_profile": _reference_profile(run),
        "boundaries_px": run.reference.geometry.model.boundaries, "frame_times_s": run.series.times_s,
        "strip_edges_mm": run.reference.strips.edges_mm, "offsets_px": run.reference.geometry.offsets_px,
        "map_bounds": np.array(maps), "drift_px": facts.drift_px, "dose": facts.dose,
    }  # fmt: skip
    if sources.cycling is not None:
        record = sources.cycling
        arrays |= {
            "record_times_s": record.record_times_s, "record_voltage_v": record.record.voltage_v,
            "voltage_v": record.voltage_v, "charge_mah": record.charge_mah, "current_ma": record.current_ma,
        }  # fmt: skip
    for name, kymograph in analysis.kymographs.items():
        arrays |= {
            f"kymograph/{name}/ratio": kymograph.ratio.ratio.astype(np.float32),
            f"kymograph/{name}/sigma": kymograph.ratio.sigma.astype(np.float32),
            f"kymograph/{name}/times_s": kymograph.times_s,
        }
    if analysis.window_charges is not None and analysis.frame_charges is not None:
        arrays |= _charge_arrays("window", analysis.window_charges) | _charge_arrays(
            "frame", analysis.frame_charges
        )
    for name, current in analysis.currents.items():
        arrays |= {
            f"current/{name}/ma_cm2": current.ma_cm2, f"current/{name}/sigma_ma_cm2": current.sigma_ma_cm2,
            "current/edges_mm": current.edges_mm, "current/times_s": current.times_s,
        }  # fmt: skip
    if analysis.front is not None:
        arrays |= _front_arrays(analysis.front)
    return arrays


def _reference_profile(run: SeriesRun) -> Float:
    """Mean transmission along the rows, over the columns of the first region."""
    weights = regions_of(run.study)[0].weights(run.reference.strips)
    columns = run.reference.strips.weights(run.series.shape[2])
    return np.asarray((run.reference.transmission @ columns).astype(np.float64) @ weights)


def _charge_arrays(kind: str, charges: ZoneCharges) -> dict[str, Any]:
    arrays: dict[str, Any] = {f"{kind}/times_s": charges.times_s}
    for name in charges.mah:
        arrays[f"{kind}/{name}/mah"] = charges.mah[name]
        arrays[f"{kind}/{name}/sigma_mah"] = charges.sigma_mah[name]
        arrays[f"{kind}/{name}/strips_mah"] = charges.strips_mah[name]
    return arrays


def _front_arrays(front: FrontResult) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "front/depth_mm": front.depth_mm, "front/rate": front.rate, "front/rate_sigma": front.rate_sigma
    }  # fmt: skip
    for name, path in (("by_rate", front.by_rate), ("by_half", front.by_half)):
        arrays |= _path_arrays(name, path)
    return arrays


def _path_arrays(name: str, path: FrontPath) -> dict[str, Any]:
    return {
        f"front/{name}/times_s": path.times_s, f"front/{name}/depth_mm": path.depth_mm,
        f"front/{name}/sigma_mm": path.sigma_mm,
    }  # fmt: skip


def _summary(
    run: SeriesRun, sources: Sources, facts: FrameFacts, analysis: Analysis, maps: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    study, series = run.study, run.series
    notes = [*sources.notes, *run.correction.notes, *correction_notes(run), *analysis.notes]
    if not run.reference.drift.rows.usable and study.preprocess.drift:
        notes.append(
            "drift: the rows that do not change have no edges to see it by; it is not corrected along the rows"
        )
    return {
        "schema": SCHEMA,
        "kind": "series",
        "version": metadata.version("deltamu"),
        "name": study.name,
        "warnings": notes,
        "timing_s": _timing(run),
        "peak_memory_bytes": peak_memory_bytes(),
        "frames": {
            "count": series.shape[0], "rows": series.shape[1], "columns": series.shape[2],
            "pixel_size_mm": series.pixel_size_mm, "step_s": series.step_s, "start": series.start and series.start.isoformat(),
            "reference": list(study.reference_frames), "averaged": study.average_frames,
            "dose_rms": float(np.std(facts.dose)), "spots_fraction": float(facts.spots_fraction.mean()),
            "drift_px": {"rows": _range(facts.drift_px[:, 0]), "columns": _range(facts.drift_px[:, 1])},
            "drift_sigma_px": {"rows": run.reference.drift.rows.sigma_px, "columns": run.reference.drift.columns.sigma_px},
        },
        "corrections": corrections_of(run),
        "correction_facts": correction_facts(run),
        "stack": _stack(run),
        "zones": {z.name: {"label": z.label, "rows": list(z.rows(run.reference.geometry))} for z in zones_of(study)},
        "regions": {r.name: {"label": r.label, "columns_mm": [list(c) for c in r.columns_mm]} for r in regions_of(study)},
        "lithium": _lithium(run, sources, analysis),
        "front": None if analysis.front is None or study.front is None else _front(study.front.layer, study.front.near, study.front.region, analysis.front),
        "colors": study.report.colors,
        "events": [_event(event) for event in analysis.events],
        "maps": [{"frames": list(bounds), "time_s": float(series.times_s[bounds[0] : bounds[1]].mean())} for bounds in maps],
    }  # fmt: skip


def _timing(run: SeriesRun) -> dict[str, float]:
    timing: dict[str, float] = {}
    for key, piece in run.journal.pieces.items():
        timing[key.stage] = round(
            timing.get(key.stage, 0.0) + float((piece.payload or {}).get("seconds", 0.0)), 2
        )
    return timing


def _range(values: Float) -> list[float]:
    return [float(values.min()), float(values.max())]


def _stack(run: SeriesRun) -> dict[str, Any]:
    geometry = run.reference.geometry
    return {
        "layers": list(geometry.names),
        "axis_column": geometry.strips.axis_px,
        "boundaries_px": geometry.model.boundaries.tolist(),
        "boundary_sigma_um": (1e3 * geometry.boundary_sigma_px * geometry.pixel_size_mm).tolist(),
        "thickness_mm": geometry.thickness_mm,
        "tilt_deg": geometry.tilt_deg,
        "bow_um": geometry.bow_um,
        "blur_fwhm_um": 2.3548e3 * geometry.model.blur_sigma * geometry.pixel_size_mm,
        "misfit": geometry.misfit,
    }


def _lithium(run: SeriesRun, sources: Sources, analysis: Analysis) -> dict[str, Any] | None:
    charges = analysis.window_charges
    if charges is None:
        return None
    counted = None if sources.cycling is None else _counted_at(sources, run, charges.times_s)
    # after a short the current no longer tells how much lithium moves
    short = min((event.time_s for event in analysis.events if event.kind.endswith("short")), default=np.inf)
    sound = charges.times_s + 30 * run.study.lithium.window_min <= short
    zones: dict[str, Any] = {}
    for name in charges.mah:
        zones[name] = {
            "last_mAh": float(charges.mah[name][-1]), "sigma_mAh": float(charges.sigma_mah[name][-1]),
            "closure": None if counted is None else _closure(charges.mah[name][sound], counted[sound]),
        }  # fmt: skip
    settings = run.study.lithium
    return {
        "wavelength_angstrom": settings.wavelength_angstrom, "li6_fraction": settings.li6_fraction,
        "window_min": settings.window_min, "balance": list(settings.balance),
        "closure_until_s": float(charges.times_s[sound][-1]) if sound.any() else None,
        "cycler_mAh": None if counted is None else float(counted[-1]), "zones": zones,
    }  # fmt: skip


def _counted_at(sources: Sources, run: SeriesRun, times_s: Float) -> Float:
    """MAh of the cycler, less what the reference frames had already."""
    assert sources.cycling is not None
    charge = sources.cycling.charge_mah
    first, stop = run.study.reference_frames
    known = np.isfinite(charge)
    if not known.any():
        return np.full(times_s.size, np.nan)
    at = np.interp(times_s, run.series.times_s[known], charge[known])
    return np.asarray(at - np.nan_to_num(np.nanmean(charge[first:stop]) if known[first:stop].any() else 0.0))


def _closure(images: Float, counted: Float) -> float | None:
    """Slope of the charge of the images against that of the cycler, through the origin; without a sign."""
    square = float(np.nansum(counted**2))
    return abs(float(np.nansum(images * counted))) / square if square > 0 else None


def _front(layer: str, near: str, region: str, front: FrontResult) -> dict[str, Any]:
    velocity = front.velocity
    result: dict[str, Any] = {
        "layer": layer, "near": near, "region": region, "thickness_mm": front.thickness_mm,
        "expected_um_per_h": front.expected_um_h, "velocity_um_per_h": None,
    }  # fmt: skip
    if velocity is not None:
        result |= {
            "velocity_um_per_h": velocity.um_per_h, "sigma_um_per_h": velocity.sigma_um_per_h,
            "interval_um_per_h": list(velocity.interval_um_per_h), "between_s": [velocity.first_s, velocity.last_s],
            "rms_um": velocity.rms_um, "frames": velocity.frames,
        }  # fmt: skip
    return result


def _event(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "time_s": event.time_s,
        "sigma_s": event.sigma_s,
        "signals": list(event.signals),
        "evidence": [
            {"signal": e.signal, "supports": e.supports, "text": e.text, "time_s": e.change.time_s, "sigma_s": e.change.sigma_s}
            for e in event.evidence
        ],
    }  # fmt: skip
