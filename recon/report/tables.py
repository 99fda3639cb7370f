"""The tables of the report, as text that is ready to be set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import MISSING, finite, fixed, number, percent, uncertain
from deltamu.recon.report.regions import FALSE_DISCOVERY_RATE, changed_fraction, region_means
from deltamu.recon.report.sections import cell_frame

ORDERS = {"increasing": "in order", "decreasing": "in order, backwards"}


@dataclass(frozen=True)
class TableView:
    """A table ready to be set: the first column holds the names of the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{self.title}: row {row[0]!r} has {len(row)} cells, expected {len(self.columns)}"
                )


def results_table(content: ReportContent) -> TableView:
    """One column per change: Δμ, its peak, lithium and charge with standard errors."""
    layer = content.profile_layer or "layer"
    lines: Sequence[tuple[str, Any]] = (
        ("mean Δµ (cm⁻¹)", lambda c: uncertain(c.get("mean_delta_mu"), c.get("standard_error"), signed=True)),
        (
            "peak Δµ (cm⁻¹)",
            lambda c: uncertain(c.get("peak_delta_mu"), c.get("peak_standard_error"), signed=True),
        ),
        (
            "depth of the peak (µm)",
            lambda c: _scaled(c, "peak_depth_mm", "peak_depth_standard_error_mm", 1e3),
        ),
        (
            "lithium (µmol)",
            lambda c: _scaled(c, "lithium_mol", "lithium_standard_error_mol", 1e6, signed=True),
        ),
        (
            "charge by imaging (mAh)",
            lambda c: _scaled(c, "charge_mAh", "charge_standard_error_mAh", 1.0, signed=True),
        ),
        ("charge by the cycler (mAh)", lambda c: number(c.get("charge_cycled_mAh"), digits=4, signed=True)),
        (
            "imaged / cycled charge (%)",
            lambda c: _scaled(c, "charge_closure", "charge_closure_standard_error", 100.0),
        ),
        ("noise floor, rms (cm⁻¹)", lambda c: number(c.get("noise_floor"), digits=2)),
        (f"mean Δµ of the whole {layer}, edges included (cm⁻¹)", lambda c: _uneroded_mean(c)),
        (f"charge of the whole {layer}, edges included (mAh)", lambda c: _uneroded_charge(c)),
    )
    rows = tuple(
        (name, *(write(content.change(change)) for change in content.changes)) for name, write in lines
    )
    return TableView(
        "Results",
        ("quantity", *(change_title(change) for change in content.changes)),
        tuple(row for row in (*rows, *_areal_rows(content)) if any(cell != MISSING for cell in row[1:])),
        f"Mean and peak: inside the {layer} without the margins that blur reaches. ± one standard error, "
        "from counting, the open beam, registration and interpolation; it does not contain the systematic effects "
        "that are listed below. "
        "Charge per area: from the depth profile of the core, all depths and without the margins.",
    )


def _areal_rows(content: ReportContent) -> tuple[tuple[str, ...], ...]:
    """Charge per area of the core, with and without the margins; none without a conversion to lithium."""
    factor = finite((content.summary.get("lithium") or {}).get("mAh_cm3_per_cm1"))
    if factor is None:
        return ()
    return tuple(
        (
            name,
            *(
                number(content.profiles[c].charge_per_area(factor, eroded_only=eroded), digits=4, signed=True)
                for c in content.changes
            ),
        )
        for name, eroded in (
            ("charge per area, all depths (mAh cm⁻²)", False),
            ("charge per area, margins left out (mAh cm⁻²)", True),
        )
    )


def regions_table(content: ReportContent) -> TableView:
    """One row per region: mean Δμ; and what part of the voxels changed."""
    frame = cell_frame(content)
    found = {change: region_means(content, change, frame) for change in content.changes}
    names = list(dict.fromkeys(name for means in found.values() for name in means))
    rows = [
        (name, *(fixed(found[change].get(name), 4, signed=True) for change in content.changes))
        for name in names
    ]
    fractions = [percent(changed_fraction(content, change, frame), digits=3) for change in content.changes]
    if any(text != MISSING for text in fractions):
        rows.append(("voxels that changed", *fractions))
    return TableView(
        "Does the result depend on the region?",
        ("mean Δµ (cm⁻¹)", *(change_title(change) for change in content.changes)),
        tuple(rows),
        f"The same depths as the mean Δµ above; R is the radius of the pellet. Voxels that changed: part of the "
        f"voxels of the {content.profile_layer} that stand out of the noise with "
        f"{percent(FALSE_DISCOVERY_RATE, digits=1)} false discoveries (Benjamini–Hochberg).",
    )


def states_table(content: ReportContent) -> TableView:
    """One row per state: what was measured and how well it could be corrected."""
    columns = (
        "state",
        "projections",
        "angles (°)",
        "centre (px)",
        "tilt (°)",
        "dose rms",
        "spots",
        "starved",
        "σ from",
    )
    rows = tuple(_state_row(state, content.summary["states"][state]) for state in content.states)
    note = "Spots: pixels replaced. Starved: line integrals with too few counts to take a logarithm."
    return TableView("States", columns, rows, note)


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
        ("residual (voxel)", lambda r: number(r.get("residual_voxel"), digits=2)),
        ("residual (µm)", lambda r: number(_times(voxel_um, r.get("residual_voxel")), digits=2)),
        ("iterations", lambda r: _word(r.get("iterations"))),
        ("converged", lambda r: _word(r.get("converged"))),
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
        "Motion of the middle of the grid and rotation about it; ± one standard error where it is known. Backwards: "
        "registered again with both volumes' roles changed. Two halves: of the mask, in interleaved cubes; ± what their "
        "stated errors explain. Edge residue: the false change that a shift by one standard error along the axis leaves.",
    )


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


def layers_table(content: ReportContent) -> TableView:
    """One row per layer: thickness and shape of its faces."""
    rows = tuple(
        (
            name.replace("_", " "),
            _scaled(layer, "thickness_mm", "thickness_standard_error_mm", 1e3),
            uncertain(layer.get("tilt_deg"), layer.get("tilt_standard_error_deg")),
            uncertain(layer.get("bow_um"), layer.get("bow_standard_error_um")),
            fixed(layer.get("radius_mm"), 3),
        )
        for name, layer in content.layers.items()
    )
    columns = ("layer", "thickness (µm)", "tilt (°)", "bow (µm)", "radius (mm)")
    return TableView("Layers", columns, rows, "Faces: plane and paraboloid, fitted jointly over all states.")


def _state_row(state: str, found: Table) -> tuple[str, ...]:
    if "projections" not in found:
        source = f"volume: {found.get('source') or 'reconstructed elsewhere'}"
        return (state_title(state), MISSING, source, *([MISSING] * 6))
    return (
        state_title(state),
        _word(found["projections"]),
        _angles(found.get("angles_deg") or {}),
        _center(found),
        uncertain(found.get("tilt_deg"), found.get("tilt_error_deg"), signed=True),
        percent(found.get("dose_rms")),
        percent(found.get("spots_fraction")),
        percent(found.get("starved_fraction")),
        {"flats": "repeated flats", "views": "subsets of views"}.get(
            str(found.get("noise_origin")), _word(found.get("noise_origin"))
        ),
    )


def _angles(angles: Table) -> str:
    first, last = number(angles.get("first"), digits=4), number(angles.get("last"), digits=5)
    order = str(angles.get("order") or "")
    return f"{first} to {last}" + (f", {ORDERS.get(order, order)}" if order else "")


def _center(found: Table) -> str:
    center, spread = found.get("center_px"), finite(found.get("center_spread_px"))
    return fixed(center, 2) if spread is None else f"{fixed(center, 2)} ± {fixed(spread, 2)}"


def _component(registration: Table, motion: str, unit: str, index: int, factor: float) -> str:
    """Write one component of a translation or rotation with its standard error."""
    values = registration.get(f"{motion}_{unit}") or (None,) * 3
    errors = registration.get(f"{motion}_standard_error_{unit}") or (None,) * 3
    value, error = _times(factor, values[index]), _times(factor, errors[index])
    if error is None:
        return fixed(value, 1 if unit == "mm" else 4, signed=True)
    return uncertain(value, error, signed=True)


def _scaled(table: Table, key: str, error_key: str, factor: float, *, signed: bool = False) -> str:
    return uncertain(_times(factor, table.get(key)), _times(factor, table.get(error_key)), signed=signed)


def _times(factor: float, value: Any) -> float | None:
    found = finite(value)
    return None if found is None else factor * found


def _uneroded_mean(change: Table) -> str:
    whole = change.get("uneroded") or {}
    return uncertain(whole.get("mean_delta_mu"), whole.get("standard_error"), signed=True)


def _uneroded_charge(change: Table) -> str:
    return _scaled(change.get("uneroded") or {}, "charge_mAh", "charge_standard_error_mAh", 1.0, signed=True)


def _word(value: Any) -> str:
    """Write a count, a word or yes and no."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)
