"""The tables that compare a simulated study with its truth."""

from collections.abc import Mapping
from typing import Any

from deltamu.recon.report.content import ReportContent, change_title, state_title
from deltamu.recon.report.numbers import MISSING, finite, number
from deltamu.recon.report.tables import TableView

TRUTH_NAMES = {
    "mean_error": "error of the mean Δµ (cm⁻¹)",
    "true_mean": "true mean Δµ (cm⁻¹)",
    "missing_fraction": "part of the voxels without a value",
    "mean_error_percent": "error of the mean Δµ (%)",
    "profile_rmse_percent": "rms error of the profile (% of the peak)",
    "peak_depth_error_um": "error of the depth of the peak (µm)",
    "charge_error_percent": "error of the charge (%)",
    "max_error_voxel": "largest registration error in the pellet (voxel)",
    "axial_error_voxel": "registration error along the axis (voxel)",
    "center_error_px": "error of the centre of rotation (px)",
    "robust_sd": "robust standard deviation of z (1 expected)",
    "beyond_three_percent": "voxels with |z| > 3 (%, 0.27 expected)",
    "unknown_percent": "voxels without a z score (%)",
    "voxels": "voxels with a z score",
}


def truth_tables(content: ReportContent) -> tuple[TableView, ...]:
    """Comparison with the simulated truth: changes, registration, states; only what was compared."""
    truth: Mapping[str, Any] = content.summary.get("truth") or {}
    titles = {
        "changes": ("Changes against the truth", change_title),
        "registration": ("Registration against the truth", state_title),
        "states": ("Centre against the truth", state_title),
    }
    views = []
    for key, (title, name) in titles.items():
        found = {
            item: _flat(errors)
            for item, errors in (truth.get(key) or {}).items()
            if isinstance(errors, Mapping)
        }
        quantities = list(dict.fromkeys(quantity for errors in found.values() for quantity in errors))
        rows = tuple(
            (_truth_name(q), *(_truth_number(q, found[item].get(q)) for item in found)) for q in quantities
        )
        if rows:
            views.append(TableView(title, ("quantity", *(name(item) for item in found)), rows))
    return tuple(views)


def _flat(errors: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of nested tables under one name each."""
    found: dict[str, float] = {}
    for key, value in errors.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}: ")
        elif finite(value) is not None:
            found[prefix + key] = float(value)
    return found


def _truth_number(quantity: str, error: Any) -> str:
    """Write an error with its sign; rms and largest errors and counts have none."""
    if quantity.endswith(": voxels"):
        return MISSING if error is None else f"{int(error)}"
    signed = not any(word in quantity for word in ("rms", "max", "axial", "z_score"))
    return number(error, digits=3, signed=signed)


def _truth_name(quantity: str) -> str:
    prefix, _, key = quantity.rpartition(": ")
    name = TRUTH_NAMES.get(key, key.replace("_", " "))
    if prefix.startswith("z_score: "):
        return f"{state_title(prefix.removeprefix('z_score: '))}: {name}"
    return f"{name}, edges included" if prefix == "uneroded" else f"{prefix} {name}".strip()
