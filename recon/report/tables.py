"""The tables of the report, as text that is ready to be set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import (
    MISSING,
    finite,
    fixed,
    number,
    percent,
    scaled,
    uncertain,
    word,
)
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
            lambda c: scaled(c, "peak_depth_mm", "peak_depth_standard_error_mm", 1e3),
        ),
        (
            "lithium (µmol)",
            lambda c: scaled(c, "lithium_mol", "lithium_standard_error_mol", 1e6, signed=True),
        ),
        (
            "charge by imaging (mAh)",
            lambda c: scaled(c, "charge_mAh", "charge_standard_error_mAh", 1.0, signed=True),
        ),
        ("charge by the cycler (mAh)", lambda c: number(c.get("charge_cycled_mAh"), digits=4, signed=True)),
        (
            "imaged / cycled charge (%)",
            lambda c: scaled(c, "charge_closure", "charge_closure_standard_error", 100.0),
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
    areal = (
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
    closures = (_eroded_closure(content, change, factor) for change in content.changes)
    return (*areal, ("imaged / cycled charge, margins left out (%)", *closures))


def _eroded_closure(content: ReportContent, change: str, factor: float) -> str:
    """Closure of what lies between the margins: how much of the charge depends on the edges."""
    closure, profile = finite(content.change(change).get("charge_closure")), content.profiles[change]
    whole = profile.charge_per_area(factor, eroded_only=False)
    if closure is None or not whole:
        return MISSING
    return number(100 * closure * profile.charge_per_area(factor, eroded_only=True) / whole, digits=3)


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


def layers_table(content: ReportContent) -> TableView:
    """One row per layer: thickness and shape of its faces."""
    rows = tuple(
        (
            name.replace("_", " "),
            scaled(layer, "thickness_mm", "thickness_standard_error_mm", 1e3),
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
        word(found["projections"]),
        _angles(found.get("angles_deg") or {}),
        _center(found),
        uncertain(found.get("tilt_deg"), found.get("tilt_error_deg"), signed=True),
        percent(found.get("dose_rms")),
        percent(found.get("spots_fraction")),
        percent(found.get("starved_fraction")),
        {"flats": "repeated flats", "views": "subsets of views"}.get(
            str(found.get("noise_origin")), word(found.get("noise_origin"))
        ),
    )


def _angles(angles: Table) -> str:
    first, last = number(angles.get("first"), digits=4), number(angles.get("last"), digits=5)
    order = str(angles.get("order") or "")
    return f"{first} to {last}" + (f", {ORDERS.get(order, order)}" if order else "")


def _center(found: Table) -> str:
    center, spread = found.get("center_px"), finite(found.get("center_spread_px"))
    return fixed(center, 2) if spread is None else f"{fixed(center, 2)} ± {fixed(spread, 2)}"


def _uneroded_mean(change: Table) -> str:
    whole = change.get("uneroded") or {}
    return uncertain(whole.get("mean_delta_mu"), whole.get("standard_error"), signed=True)


def _uneroded_charge(change: Table) -> str:
    return scaled(change.get("uneroded") or {}, "charge_mAh", "charge_standard_error_mAh", 1.0, signed=True)
