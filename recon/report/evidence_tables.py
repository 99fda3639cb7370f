"""Tables that say how far the measurement itself can be trusted, from what stands in summary.json."""

from collections.abc import Callable
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.counting_table import counting_table
from deltamu.recon.report.numbers import MISSING, finite, number, percent, uncertain
from deltamu.recon.report.tables import TableView


def evidence_tables(content: ReportContent) -> tuple[TableView, ...]:
    """All of them that this study has numbers for."""
    views = (
        budget_table(content),
        counting_table(content),
        balance_table(content),
        swelling_table(content),
        shape_table(content),
        radial_table(content),
        significance_table(content),
        resolution_table(content),
        scale_table(content),
    )
    return tuple(view for view in views if view is not None and view.rows)


def filled(rows: Any) -> tuple[tuple[str, ...], ...]:
    """Rows that say something."""
    return tuple(row for row in rows if any(cell != MISSING for cell in row[1:]))


def resolution_table(content: ReportContent) -> TableView | None:
    """One column per state: widths of edges and shell correlation, beside bin and voxel."""
    states = [state for state in content.states if content.summary["states"][state].get("resolution")]
    if not states:
        return None
    found: list[Table] = [content.summary["states"][state]["resolution"] for state in states]
    lines: tuple[tuple[str, Callable[[Table], str]], ...] = (
        ("edge, within slices (µm FWHM)", lambda r: _micrometres(r, "edge_in_slice")),
        ("edge, along the axis (µm FWHM)", lambda r: _micrometres(r, "edge_along_axis")),
        ("shell correlation, within slices (µm)", lambda r: _period(r, "shell_correlation_in_slice_mm")),
        ("shell correlation, along the axis (µm)", lambda r: _period(r, "shell_correlation_along_axis_mm")),
        ("shell correlation, all directions (µm)", lambda r: _period(r, "shell_correlation_mm")),
    )
    voxel = number(1000 * float(content.summary["voxel_size_mm"]))
    bins = [1000 * profile.bin_mm for profile in content.profiles.values()]
    width = f"; bins of the depth profile {number(bins[0])} µm" if bins else ""
    return TableView(
        "Resolution",
        ("quantity", *(state_title(state) for state in states)),
        filled((name, *(write(entry) for entry in found)) for name, write in lines),
        f"Voxel {voxel} µm{width}. Edges: rim of the pellet, and the sharpest step along the axis that does not "
        "change. Shell correlation: period at which two halves of the views no longer agree to half a bit per "
        "voxel (van Heel and Schatz 2005); it is set by the noise of single voxels, which means over many do "
        "not have, and takes what both halves share (rings) for signal.",
    )


def _micrometres(entry: Table, key: str) -> str:
    value, error = finite(entry.get(f"{key}_mm")), finite(entry.get(f"{key}_standard_error_mm"))
    return MISSING if value is None else uncertain(1e3 * value, None if error is None else 1e3 * error)


def _period(entry: Table, key: str) -> str:
    value = finite(entry.get(key))
    return MISSING if value is None else number(1e3 * value)


def budget_table(content: ReportContent) -> TableView | None:
    """Error of the charge, line by line."""
    found = {change: content.change(change).get("charge_budget") or {} for change in content.changes}
    lines = {
        change: {line["name"]: line for line in entry.get("lines") or ()} for change, entry in found.items()
    }
    names = list(dict.fromkeys(name for entry in lines.values() for name in entry))
    if not names:
        return None
    rows = [(name, *(_budget_cell(lines[c].get(name)) for c in content.changes)) for name in names]
    rows.append(("all known lines", *(number(found[c].get("total_mAh"), digits=2) for c in content.changes)))
    return TableView(
        "Error budget of the charge (mAh)",
        ("source", *(change_title(change) for change in content.changes)),
        tuple(rows),
        "One standard error each, added in quadrature. Blur before logarithm: the detector blurs the transmission, which takes "
        "from −ln T at every face; estimated from the steps there, not taken off. Mask: margin of three widths of the "
        "blur instead of two. Level: mean Δµ of the separator over the volume of the layer. Not stated: no image shows it, and the study gives no "
        "relative error (lithium.…_relative_error); the sum does not hold it.",
    )


def balance_table(content: ReportContent) -> TableView | None:
    """Charge of every layer that takes part; a starved one is not determinable."""
    found = {change: content.change(change).get("balance") or {} for change in content.changes}
    layers = list(
        dict.fromkeys(n for entry in found.values() for n, item in entry.items() if isinstance(item, dict))
    )
    if not layers:
        return None
    rows = [(state_title(n), *(_balance_cell(found[c].get(n)) for c in content.changes)) for n in layers]
    sums = (number(found[c].get("sum_mAh"), signed=True) for c in content.changes)
    rows.append(("sum", *(text if text != MISSING else "not determinable" for text in sums)))
    return TableView(
        "Lithium balance (mAh)",
        ("layer", *(change_title(change) for change in content.changes)),
        tuple(rows),
        "The separator without the blur of its neighbours; its error and the anode's from the spread of twelve sectors.",
    )


def _budget_cell(line: Table | None) -> str:
    if line is None:
        return MISSING
    return "not stated" if finite(line.get("error_mAh")) is None else number(line["error_mAh"], digits=2)


def _balance_cell(entry: Table | None) -> str:
    if not entry:
        return MISSING
    if finite(entry.get("charge_mAh")) is None:
        return "not determinable"
    return uncertain(entry["charge_mAh"], entry.get("charge_standard_error_mAh"), signed=True)


def swelling_table(content: ReportContent) -> TableView | None:
    """Thickness and amount: what of a change is swelling, and what is lithium."""
    lines: tuple[tuple[str, Callable[[Table], str]], ...] = (
        ("change of the thickness (µm)", _thickness_change),
        ("∫µ dd, to over from", lambda c: number((c.get("swelling") or {}).get("amount_ratio"), digits=4)),
        ("mean µ, to over from", lambda c: number((c.get("swelling") or {}).get("concentration_ratio"), digits=4)),
    )  # fmt: skip
    return _by_change(
        content,
        "Swelling or lithium?",
        lines,
        "Thickness of the layer of the profile in each state alone. Swelling along d thins out the attenuation and leaves its "
        "integral over the thickness as it is: the first ratio is lithium alone, the second also holds the swelling.",
    )


def _thickness_change(change: Table) -> str:
    found = change.get("swelling") or {}
    value = finite(found.get("thickness_change_um"))
    if value is None:
        return MISSING
    return uncertain(value, found.get("thickness_change_standard_error_um"), signed=True)


def shape_table(content: ReportContent) -> TableView | None:
    """Where in the layer the change sits, and which slow transport its shape speaks for."""
    lines: tuple[tuple[str, Callable[[Table], str]], ...] = (
        ("centre of mass (µm)", lambda c: _micrometres(c, "center_of_mass")),
        ("half-height front (µm)", lambda c: _micrometres(c, "front")),
        ("front falls towards", lambda c: str(c.get("front_side") or MISSING)),
        ("share in the separator's half (%)", _share),
        ("ν, limited by ions", lambda c: _nu(c, "ions")),
        ("ν, limited by electrons", lambda c: _nu(c, "electrons")),
        ("rms residual, ions (cm⁻¹)", lambda c: _transport(c, "ions", "rms_residual")),
        ("rms residual, electrons (cm⁻¹)", lambda c: _transport(c, "electrons", "rms_residual")),
        ("front from the separator at", lambda c: _front_place(c, "ions_front")),
        ("front from the collector at", lambda c: _front_place(c, "electrons_front")),
        (
            "rms residual, front from the separator (cm⁻¹)",
            lambda c: _transport(c, "ions_front", "rms_residual"),
        ),
        (
            "rms residual, front from the collector (cm⁻¹)",
            lambda c: _transport(c, "electrons_front", "rms_residual"),
        ),
        ("preferred", _preferred),
    )
    return _by_change(
        content,
        "Where the change sits",
        lines,
        "Depth from the separator. ν² is the resistance of transport through the layer over that of the reaction, in "
        "the profile ν cosh(ν(1 − x)) / sinh ν (ions slow) or its mirror image (electrons slow); fronts are logistic, "
        "their place is relative depth. Each side takes the better of its two shapes by Akaike's criterion for few data. "
        "'Neither' where no side is clearly better, or its shapes leave more than half (a front: a tenth) of the "
        "profile's own variation; so does the band between two fronts, which looks the same from either side.",
    )


def radial_table(content: ReportContent) -> TableView | None:
    """Mean change against the distance from the axis, at the depths of the mean of the layer."""
    found = {change: content.change(change).get("radial") or [] for change in content.changes}
    rings = max((len(rows) for rows in found.values()), default=0)
    if rings == 0:
        return None
    rows = [
        (_radius(found, k), *(_ring(found[change], k) for change in content.changes)) for k in range(rings)
    ]
    columns = ("radius (mm)", *(change_title(change) for change in content.changes))
    return TableView("Radial profile of the mean Δµ (cm⁻¹)", columns, filled(rows))


def significance_table(content: ReportContent) -> TableView | None:
    """Voxels that stand out of the noise, layer by layer."""
    layers = list(
        dict.fromkeys(
            layer
            for change in content.changes
            for layer, entry in (content.change(change).get("significance") or {}).items()
            if isinstance(entry, dict)
        )
    )
    lines = [line for layer in layers for line in _layer_lines(layer)]
    lines += [
        ("noise floor, separator (cm⁻¹)", lambda c: number(c.get("noise_floor"), digits=2)),
        ("noise floor, casing (cm⁻¹)", lambda c: number(c.get("noise_floor_casing"), digits=2)),
    ]
    return _by_change(
        content,
        "What stands out of the noise",
        tuple(lines),
        "Rate of false discoveries controlled by Benjamini and Hochberg (1995), away from the faces; a layer without "
        "change should have none. Voxels are correlated over about one resolution width, which the method "
        "tolerates; the threshold for any dependence stands in summary.json. Floors: rms of mean Δµ, by depth.",
    )


def _layer_lines(layer: str) -> list[tuple[str, Callable[[Table], str]]]:
    return [
        (f"{state_title(layer)}: voxels that changed", lambda c: _discoveries(c, layer, "changed_fraction")),
        (f"{state_title(layer)}: |z| from", lambda c: _threshold(c, layer)),
    ]


def _by_change(
    content: ReportContent, title: str, lines: tuple[tuple[str, Callable[[Table], str]], ...], note: str
) -> TableView | None:
    if not content.changes:
        return None
    rows = filled((name, *(write(content.change(c)) for c in content.changes)) for name, write in lines)
    return TableView(title, ("quantity", *(change_title(c) for c in content.changes)), rows, note)


def _share(change: Table) -> str:
    value, error = (
        finite(change.get(key)) for key in ("separator_half_share", "separator_half_share_standard_error")
    )
    return MISSING if value is None else uncertain(100 * value, None if error is None else 100 * error)


def _transport(change: Table, limit: str, key: str) -> str:
    return number(((change.get("transport") or {}).get(limit) or {}).get(key), digits=3)


def _nu(change: Table, limit: str) -> str:
    fit = (change.get("transport") or {}).get(limit) or {}
    value, error = finite(fit.get("nu")), finite(fit.get("nu_standard_error"))
    if value == 0 or (value is not None and error is not None and error > 10 * value):
        return "not above 0"
    return uncertain(value, error)


def _front_place(change: Table, key: str) -> str:
    fit = (change.get("transport") or {}).get(key) or {}
    value = finite(fit.get("position"))
    return MISSING if value is None else uncertain(value, finite(fit.get("position_standard_error")))


def _preferred(change: Table) -> str:
    found = change.get("transport") or {}
    if finite(found.get("bins")) is None:
        return MISSING
    return str(found.get("preferred") or "neither")


def _radius(found: dict[str, list[Table]], index: int) -> str:
    rows = max(found.values(), key=len)
    return number(rows[index].get("radius_mm"))


def _ring(rows: list[Table], index: int) -> str:
    if index >= len(rows):
        return MISSING
    return uncertain(rows[index].get("mean_delta_mu"), rows[index].get("standard_error"), signed=True)


def _discoveries(change: Table, layer: str, key: str) -> str:
    return percent(((change.get("significance") or {}).get(layer) or {}).get(key), digits=3)


def _threshold(change: Table, layer: str) -> str:
    return number(((change.get("significance") or {}).get(layer) or {}).get("threshold_z"))


def scale_table(content: ReportContent) -> TableView | None:
    """Gain and offset of every registered state on the parts without change."""
    found = {
        state: (entry or {}).get("scale")
        for state, entry in (content.summary.get("registration") or {}).items()
    }
    rows = tuple(
        (
            state_title(state),
            uncertain(scale.get("gain"), scale.get("gain_standard_error")),
            uncertain(scale.get("offset"), scale.get("offset_standard_error"), signed=True),
            str(scale.get("parts")),
        )
        for state, scale in found.items()
        if scale
    )
    if not rows:
        return None
    return TableView(
        "Same scale as the reference?",
        ("state", "gain", "offset (cm⁻¹)", "parts"),
        rows,
        "On layers and housing that do not change, by ring and sector; errors from the scatter of the parts. Corrected only "
        "where registration.correct_scale asks for it.",
    )
