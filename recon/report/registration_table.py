"""The table of the registrations: motions, stretches, what they leave and whether they agree with themselves."""

from collections.abc import Sequence
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, state_title
from deltamu.recon.report.numbers import MISSING, finite, fixed, number, scaled, times, uncertain, word
from deltamu.recon.report.tables import TableView

# name, and the axes of every strain, (z, y, x)
STRAINS = (
    ("stretch along z", 0, 0), ("stretch along y", 1, 1), ("stretch along x", 2, 2),
    ("shear of z and y", 0, 1), ("shear of z and x", 0, 2), ("shear of y and x", 1, 2),
)  # fmt: skip


def registration_table(content: ReportContent) -> TableView:
    """One column per registered state: the motion that was found and what is left of it."""
    voxel_um = 1000 * float(content.summary["voxel_size_mm"])
    found: Table = content.summary["registration"]
    details: Table = content.diagnostics.get("registration") or {}
    axes = tuple(enumerate("zyx"))
    lines: list[tuple[str, Any]] = [
        (f"translation along {axis} (µm)", lambda r, i=i: _component(r, "translation", "mm", i, 1e3))
        for i, axis in axes
    ]
    lines += [
        (f"rotation about {axis} (°)", lambda r, i=i: _component(r, "rotation", "deg", i, 1.0))
        for i, axis in axes
    ]
    lines += [
        (f"{name} (%)", lambda r, a=first, b=second: _strain(r, a, b)) for name, first, second in STRAINS
    ]
    lines += [
        (
            "volume against the reference (%)",
            lambda r: scaled(r, "volume_factor", "volume_factor_standard_error", 100.0),
        ),
        ("not determined, held", _undetermined),
        ("residual (voxel)", lambda r: number(r.get("residual_voxel"), digits=2)),
        ("residual (µm)", lambda r: number(times(voxel_um, r.get("residual_voxel")), digits=2)),
        ("iterations", lambda r: word(r.get("iterations"))),
        ("converged", lambda r: word(r.get("converged"))),
        ("rms on parts without change (σ)", lambda r: number(r.get("residual_rms_sigma"), digits=3)),
        ("backwards, largest difference (voxel)", lambda r: _self_check(r, "inverse")),
        ("two halves, largest difference (voxel)", lambda r: _self_check(r, "halves")),
        ("edge residue, near face (cm⁻¹)", lambda r: _edge_residue(r, "near", "peak_per_cm")),
        ("edge residue, near face (mAh/cm²)", lambda r: _edge_residue(r, "near", "areal_mAh_cm2")),
        ("edge residue, far face (cm⁻¹)", lambda r: _edge_residue(r, "far", "peak_per_cm")),
        ("edge residue, far face (mAh/cm²)", lambda r: _edge_residue(r, "far", "areal_mAh_cm2")),
        ("edge residue, whole layer (mAh/cm²)", lambda r: _edge_residue(r, "layer_areal_mAh_cm2")),
    ]
    entries = [{**(details.get(state) or {}), **found[state]} for state in content.moving_states]
    rows = tuple((name, *(write(entry) for entry in entries)) for name, write in lines)
    return TableView(
        f"Registration to {state_title(content.reference)}",
        ("quantity", *(state_title(state) for state in content.moving_states)),
        tuple(row for row in rows if any(cell != MISSING for cell in row[1:])),
        "Motion of a point in the middle of the mask and rotation about it; ± one standard error where it is known. "
        f"{_stretch_note(entries)}Backwards: "
        "registered again with both volumes' roles changed. Two halves: of the mask, in interleaved cubes; ± what their "
        "stated errors explain. Edge residue: the false change that a shift by one standard error along the axis leaves.",
    )


def _stretch_note(entries: Sequence[Table]) -> str:
    """Say what a stretch does to the change, where there is one."""
    if not any("strain" in entry for entry in entries):
        return ""
    return (
        "Stretches and half shears of the body about the axes of the reference, before it turns; Δµ compares the "
        "attenuation of the same point of the body, cm⁻¹ as reconstructed, without the volume factor: per volume of "
        "the reference, an amount is that of the state times the factor. "
    )


def _undetermined(registration: Table) -> str:
    names = registration.get("undetermined")
    return ", ".join(name.replace("_", " ") for name in names) if names else MISSING


def _strain(registration: Table, first: int, second: int) -> str:
    """Write one strain in per cent; `held` where the data do not determine it, nothing for a rigid motion."""
    strain = registration.get("strain")
    if strain is None:
        return MISSING
    error = times(100.0, registration["strain_standard_error"][first][second])
    if error is None:
        return "0, held"
    return uncertain(100.0 * strain[first][second], error, signed=True)


def _self_check(registration: Table, name: str) -> str:
    found = (registration.get("self_check") or {}).get(name) or {}
    if finite(found.get("max_voxel")) is None:
        return MISSING
    said = uncertain(found["max_voxel"], found.get("deviation_voxel"))
    return said if found.get("agree") else f"{said}: disagrees"


def _edge_residue(registration: Table, *keys: str) -> str:
    found: Any = registration.get("edge_residue") or {}
    for key in keys:
        found = (found or {}).get(key)
    return number(found, digits=2)


def _component(registration: Table, motion: str, unit: str, index: int, factor: float) -> str:
    """Write one component of a translation or rotation with its standard error."""
    values = registration.get(f"{motion}_{unit}") or (None,) * 3
    errors = registration.get(f"{motion}_standard_error_{unit}") or (None,) * 3
    value, error = times(factor, values[index]), times(factor, errors[index])
    if error is None:
        return fixed(value, 1 if unit == "mm" else 4, signed=True)
    return uncertain(value, error, signed=True)
