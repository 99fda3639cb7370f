"""The tables of the report, as text that is ready to be set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import MISSING, finite, fixed, number, percent, uncertain, vector

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
        ("imaged / cycled charge", lambda c: percent(c.get("charge_closure"), digits=3)),
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
        tuple(row for row in rows if any(cell != MISSING for cell in row[1:])),
        f"Mean and peak: inside the {layer} without the margins that blur reaches. ± one standard error, "
        "from counting "
        "and open-beam noise; systematic effects are listed below.",
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
    """One row per registered state: the motion that was found and what is left of it."""
    voxel = float(content.summary["voxel_size_mm"])
    rows = []
    for state in content.moving_states:
        found: Table = content.summary["registration"][state]
        details: Table = (content.diagnostics.get("registration") or {}).get(state) or {}
        residual = finite(found.get("residual_voxel"))
        micrometres = _times(1000 * voxel, residual)
        shift = [_times(1000, value) for value in found.get("translation_mm") or (None,) * 3]
        rows.append((
            state_title(state), vector(shift, 1), vector(found.get("rotation_deg"), 4),
            number(residual, digits=2), number(micrometres, digits=2),
            _word(found.get("iterations", details.get("iterations"))),
            _word(found.get("converged", details.get("converged"))),
        ))  # fmt: skip
    columns = (
        "state",
        "translation z, y, x (µm)",
        "rotation z, y, x (°)",
        "residual (voxel)",
        "residual (µm)",
        "iterations",
        "converged",
    )
    return TableView(f"Registration to {state_title(content.reference)}", columns, tuple(rows))


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


TRUTH_NAMES = {
    "mean_error_percent": "error of the mean Δµ (%)",
    "profile_rmse_percent": "rms error of the profile (% of the peak)",
    "peak_depth_error_um": "error of the depth of the peak (µm)",
    "charge_error_percent": "error of the charge (%)",
    "max_error_voxel": "largest registration error in the pellet (voxel)",
    "axial_error_voxel": "registration error along the axis (voxel)",
    "center_error_px": "error of the centre of rotation (px)",
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
    """Write an error with its sign; rms and largest errors have none."""
    return number(error, digits=3, signed=not any(word in quantity for word in ("rms", "max", "axial")))


def _truth_name(quantity: str) -> str:
    prefix, _, key = quantity.rpartition(": ")
    name = TRUTH_NAMES.get(key, key.replace("_", " "))
    return f"{name}, edges included" if prefix == "uneroded" else f"{prefix} {name}".strip()


def _state_row(state: str, found: Table) -> tuple[str, ...]:
    if "projections" not in found:
        source = f"volume: {found.get('source') or 'reconstructed elsewhere'}"
        return (state_title(state), MISSING, source, *([MISSING] * 6))
    return (
        state_title(state),
        _word(found["projections"]),
        _angles(found.get("angles_deg") or {}),
        _center(found),
        number(found.get("tilt_deg"), digits=2, signed=True),
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
