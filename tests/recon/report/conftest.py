"""A finished study on disk, small and made up: discs in a housing with a smooth change in the cathode."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltamu.recon.volumes.image import create_image, finish_image, slab_rows, write_slab
from deltamu.recon.volumes.open import write_map

LAYERS = ("collector_anode", "anode", "separator", "cathode", "collector_cathode")
THICKNESS_MM = (0.9, 0.39, 0.5, 0.4, 0.9)
ATTENUATION = (1.286, 10.169, 2.568, 1.363, 1.286)
KAPPA = 62.219


@dataclass(frozen=True)
class FakeStudy:
    """What the study is made of; `amount` scales the change of each state."""

    states: tuple[str, ...] = ("pristine", "discharged", "charged")
    changes: tuple[str, ...] = ("discharged-pristine", "charged-pristine", "charged-discharged")
    amount: tuple[float, ...] = (0.0, 1.3, 0.5)
    shape: tuple[int, int, int] = (48, 96, 96)
    voxel_mm: float = 0.0725
    radius_mm: float = 2.6
    noise: float = 0.1
    nan_rows: int = 0
    warnings: tuple[str, ...] = ()
    truth: bool = False
    upside_down: bool = False
    seed: int = 0


def heights_of_faces(study: FakeStudy) -> np.ndarray:
    """Height z of the six faces over (y, x): tilted by 0.3 degrees and bowed by 15 µm."""
    y, x = lateral_mm(study)
    middle = 0.5 * (study.shape[0] - 1) * study.voxel_mm
    bend = np.tan(np.radians(0.3)) * x + 0.015 * (np.hypot(y, x) / study.radius_mm) ** 2
    faces = np.concatenate([[0.0], np.cumsum(THICKNESS_MM)]) - 0.5 * sum(THICKNESS_MM) + middle
    faces = faces[::-1] if study.upside_down else faces
    return faces[:, None, None] + bend


def lateral_mm(study: FakeStudy) -> tuple[np.ndarray, np.ndarray]:
    y, x = ((np.arange(n) - 0.5 * (n - 1)) * study.voxel_mm for n in study.shape[1:])
    return y[:, None] + 0 * x, x[None, :] + 0 * y[:, None]


def change_profile(depth_mm: np.ndarray, state: int) -> np.ndarray:
    """A peak whose place depends on the state, 1 at its top."""
    return np.exp(-0.5 * ((depth_mm / 0.4 - (0.35 if state == 1 else 0.62)) / 0.27) ** 2)


def build_study(folder: Path, study: FakeStudy) -> Path:
    """Write the store, the summary, the diagnostics, the profiles and the settings."""
    rng = np.random.default_rng(study.seed)
    faces = heights_of_faces(study)
    z = np.arange(study.shape[0])[:, None, None] * study.voxel_mm
    inside = np.hypot(*lateral_mm(study)) < study.radius_mm
    low, high = np.minimum(faces[:-1], faces[1:]), np.maximum(faces[:-1], faces[1:])
    labels = sum((i + 1) * ((z >= low[i]) & (z < high[i]) & inside) for i in range(5)).astype(np.uint8)
    depth = np.where(labels == 4, np.abs(z - faces[3]), np.nan).astype(np.float32)
    base = np.concatenate([[0.0], ATTENUATION])[labels].astype(np.float32) + housing(study)
    volumes = {
        state: base + rng.normal(0, study.noise, study.shape).astype(np.float32)
        + np.nan_to_num(study.amount[i] * change_profile(depth, i)).astype(np.float32)
        - (labels == 2) * np.float32(0.3 * study.amount[i])
        for i, state in enumerate(study.states)
    }  # fmt: skip
    store = folder / "study.zarr"
    for index, (state, values) in enumerate(volumes.items()):
        moved = np.roll(values, (0, 2 * index, -index), (0, 1, 2))
        write_image(store / "states" / state, "attenuation", moved, study, "cm^-1")
        if index > 0:
            write_image(store / "registered" / state, "attenuation", values, study, "cm^-1")
    profiles = {}
    for change in study.changes:
        to, start = change.split("-")
        delta = volumes[to] - volumes[start]
        if study.nan_rows:
            delta[: study.nan_rows] = np.nan
            delta[:, :3] = np.nan
        write_image(store / "changes" / change, "delta_mu", delta, study, "cm^-1")
        write_image(
            store / "changes" / change, "z_score", delta / np.float32(study.noise * np.sqrt(2)), study, "1"
        )
        profiles[change] = profile_rows(delta, depth, study)
    write_image(store / "layers", "labels", labels, study, "1")
    write_image(store / "layers" / "cathode", "depth", depth, study, "mm")
    for i, name in enumerate(LAYERS):
        near, far = (faces[i], faces[i + 1]) if i > 2 else (faces[i + 1], faces[i])
        for side, surface in (("near", near), ("far", far)):
            write_map(store / "layers" / name / side, surface, pixel_size_mm=study.voxel_mm, unit="mm")
    (folder / "profiles").mkdir()
    for change, rows in profiles.items():
        write_profile(folder / "profiles" / f"{change}.csv", change, rows)
    (folder / "summary.json").write_text(json.dumps(summary_of(study, profiles)))
    (folder / "diagnostics.json").write_text(json.dumps(diagnostics_of(study, rng)))
    (folder / "study.toml").write_text('name = "a fake"\n[states.pristine]\nscan = "raw/<pristine>"\n')
    return folder


def housing(study: FakeStudy) -> np.ndarray:
    radius = np.hypot(*lateral_mm(study)) / study.radius_mm
    sleeve = np.where((radius >= 1) & (radius < 4 / 3), 1.68, 0.0)
    return (sleeve + np.where((radius >= 4 / 3) & (radius < 2), 0.111, 0.0)).astype(np.float32)


def write_image(group: Path, name: str, values: np.ndarray, study: FakeStudy, unit: str) -> None:
    image = create_image(
        group, name, shape=study.shape, voxel_size_mm=study.voxel_mm, unit=unit, dtype=values.dtype
    )
    for slab in range(image.slabs):
        write_slab(image, slab, np.ascontiguousarray(values[slab_rows(image, slab)]))
    finish_image(image)


def profile_rows(delta: np.ndarray, depth: np.ndarray, study: FakeStudy) -> list[tuple[float, ...]]:
    rows = []
    core = np.hypot(*lateral_mm(study)) < 0.8 * study.radius_mm
    edges = np.arange(0, THICKNESS_MM[3] + 1e-9, study.voxel_mm)
    for low, high in pairwise(edges):
        chosen = delta[(depth >= low) & (depth < high) & core & np.isfinite(delta)]
        count = max(chosen.size, 1)
        mean = float(chosen.mean()) if chosen.size else np.nan
        spread = float(chosen.std()) if chosen.size else np.nan
        error = 3 * study.noise / np.sqrt(count)
        kept = low >= 0.045 and high <= THICKNESS_MM[3] - 0.045
        rows.append(
            (
                0.5 * (low + high),
                mean,
                error,
                spread,
                count,
                int(kept),
                mean / KAPPA,
                mean * 430.76,
            )
        )
    return rows


def write_profile(path: Path, change: str, rows: list[tuple[float, ...]]) -> None:
    lines = [f"# change {change}, layer cathode", "# depth mm; mean, standard_error, spread cm^-1"]
    lines.append("depth_mm,mean,standard_error,spread,count,eroded,lithium_mol_cm3,charge_mAh_cm3")
    path.write_text("\n".join(lines + [",".join(f"{value:.7g}" for value in row) for row in rows]) + "\n")


def summary_of(study: FakeStudy, profiles: dict[str, list[tuple[float, ...]]]) -> dict[str, Any]:
    changes = {change: change_of(rows, study) for change, rows in profiles.items()}
    summary: dict[str, Any] = {
        "schema": 1, "version": "0.1.0", "device": "cpu", "name": "Li–S cell <A&B>",
        "reference": study.states[0],
        "profile_layer": "cathode", "layer_order": list(LAYERS), "voxel_size_mm": study.voxel_mm,
        "warnings": list(study.warnings), "timing_s": {"correction": 12.3, "reconstruction": 70.2},
        "peak_memory_bytes": 1_610_612_736,
        "reconstruction": {"method": "fbp", "filter": "hann", "cutoff": 1.0, "padding": "zero"},
        "corrections": {"dark_and_open_beam": "clipped means",
                        "dose": "by air beside the sample",
                        "spots": "selective local median", "stripes": "only where rings stand out",
                        "scatter": False, "hardening": False},
        "lithium": {"wavelength_angstrom": 2.6, "li6_fraction": 0.0759, "kappa_cm2_per_mol": KAPPA,
                    "mAh_cm3_per_cm1": 430.76},
        "states": {state: state_of(i) for i, state in enumerate(study.states)},
        "registration": {
            state: {"translation_mm": [0.0123, -0.0456, 0.0789], "rotation_deg": [1.234, -0.056, 0.078],
                    "translation_standard_error_mm": [None, None, 0.00012],
                    "rotation_standard_error_deg": [None, None, 0.0011],
                    "residual_voxel": 0.0213, "iterations": 14, "converged": True}
            for state in study.states[1:]
        },
        "layers": {
            name: {"label": i + 1, "thickness_mm": THICKNESS_MM[i], "thickness_standard_error_mm": 0.00083,
                   "tilt_deg": 0.3021, "tilt_standard_error_deg": 0.0042,
                   "bow_um": 14.7, "bow_standard_error_um": 0.6,
                   "radius_mm": study.radius_mm,
                   "axis_mm": [0.5 * (n - 1) * study.voxel_mm for n in study.shape[1:]],
                   "inert": name in ("separator", "collector_cathode")}
            for i, name in enumerate(LAYERS)
        },
        "changes": changes,
    }  # fmt: skip
    if study.truth:
        errors = {"mean_error_percent": 0.731, "profile_rmse_percent": 1.42, "peak_depth_error_um": -4.27,
                  "charge_error_percent": -1.93, "uneroded": {"mean_error_percent": 2.81}}  # fmt: skip
        summary["truth"] = {
            "changes": dict.fromkeys(study.changes, errors),
            "registration": {
                state: {"max_error_voxel": 0.0317, "axial_error_voxel": 0.0112} for state in study.states[1:]
            },
        }
    return summary


def state_of(index: int) -> dict[str, Any]:
    return {
        "projections": 625, "angles_deg": {"first": 0.0, "last": 179.712, "order": "increasing"},
        "center_px": 259.204 + index, "center_spread_px": 0.031, "tilt_deg": -0.0123, "dose_rms": 0.0102,
        "spots_fraction": 0.00031, "starved_fraction": 0.0413, "noise_origin": "flats",
        "resolution": {
            "edge_in_slice_mm": 0.19, "edge_in_slice_standard_error_mm": 0.02, "edge_along_axis_mm": 0.16,
            "shell_correlation_mm": 0.3, "shell_correlation_in_slice_mm": 0.4, "shell_correlation_along_axis_mm": 0.25,
        },
    }  # fmt: skip


def change_of(rows: list[tuple[float, ...]], study: FakeStudy) -> dict[str, Any]:
    kept = np.array([row for row in rows if row[5]])
    peak = kept[np.argmax(np.abs(kept[:, 1]))]
    area = np.pi * (study.radius_mm / 10) ** 2
    mean = float(kept[:, 1].mean())
    lithium = mean / KAPPA * area * 0.04
    return {
        "mean_delta_mu": mean, "standard_error": 0.0031, "peak_delta_mu": float(peak[1]),
        "peak_standard_error": 0.0042,
        "peak_depth_mm": float(peak[0]), "peak_depth_standard_error_mm": 0.0021, "noise_floor": 0.0123,
        "lithium_mol": lithium, "lithium_standard_error_mol": abs(lithium) * 0.004,
        "charge_mAh": lithium / 3.73114e-5,
        "charge_standard_error_mAh": abs(lithium) / 3.73114e-5 * 0.004, "charge_closure": 0.9873, "charge_closure_standard_error": 0.0041,
        "charge_cycled_mAh": lithium / 3.73114e-5 / 0.9873,
        "uneroded": {"mean_delta_mu": 0.95 * mean, "standard_error": 0.0028, "lithium_mol": 0.99 * lithium,
                     "charge_mAh": 0.99 * lithium / 3.73114e-5},
    }  # fmt: skip


def diagnostics_of(study: FakeStudy, rng: np.random.Generator) -> dict[str, Any]:
    states = {}
    for index, state in enumerate(study.states):
        candidates = [
            {"method": method, "row": row, "center": 259.204 + index + float(rng.normal(0, 0.03))}
            for method in ("opposite_views", "centroid", "sharpness", "entropy")
            for row in (12, 40, 64, 88, 116)
        ]  # fmt: skip
        candidates[3]["center"] = 271.5
        states[state] = {
            "center": {
                "candidates": candidates,
                "consensus_px": 259.204 + index,
                "search_px": [230.0, 280.0],
            },
            "dose": list(1 + 0.01 * np.sin(np.arange(625) / 40) + rng.normal(0, 0.002, 625)),
            "starved_rows": list(range(35, 49)),
            "noise": {"origin": "flats", "adu_per_count": 0.2},
        }
    inputs = {
        state: {"path": f"raw/{state}", "fingerprint": "sha256:0123456789abcdef"} for state in study.states
    }
    registration = {state: {"iterations": 14, "residual_voxel": 0.0213} for state in study.states[1:]}
    provenance = {"version": "0.1.0", "device": "cpu", "libraries": {"numpy": "2.1"}, "inputs": inputs}
    return {"schema": 1, "states": states, "registration": registration, "provenance": provenance}


@pytest.fixture(scope="session")
def studies() -> dict[FakeStudy, Path]:
    """Studies that were already written in this session."""
    return {}


@pytest.fixture
def make_study(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, studies: dict[FakeStudy, Path]
) -> Callable[..., Path]:
    """Return a folder with a finished study that a test may change; keywords say what it is made of."""

    def make(**changed: Any) -> Path:
        study = replace(FakeStudy(), **changed)
        if study not in studies:
            studies[study] = build_study(tmp_path_factory.mktemp("made_up"), study)
        return Path(shutil.copytree(studies[study], tmp_path / f"study{len(list(tmp_path.iterdir()))}"))

    return make
