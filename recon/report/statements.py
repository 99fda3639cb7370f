"""What the report says in sentences: the headline, and what a reviewer will ask."""

from dataclasses import dataclass
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, change_title, state_title
from deltamu.recon.report.numbers import MISSING, finite, number, percent, uncertain

CORRECTIONS = {
    "dark_and_open_beam": "Dark frames and open beam",
    "dose": "Dose of each frame",
    "spots": "Gamma spots and dead pixels",
    "stripes": "Stripes (rings)",
    "scatter": "Scattered neutrons",
    "hardening": "Beam hardening",
}
UNCORRECTED = {
    "scatter": "Not corrected in this version. A background of 2 % of the open beam lowers Δµ of a 6 mm "
    "Li–S pellet by about 7 %.",
    "hardening": "Not corrected in this version. In a white cold beam Δµ of a 6 mm Li–S pellet comes out "
    "about 11 % too small; "
    "with a single wavelength there is no such bias.",
}


@dataclass(frozen=True)
class Headline:
    """One change in plain words."""

    title: str
    charge: str
    mean: str
    sentence: str


@dataclass(frozen=True)
class Statement:
    """A point of the reviewer's checklist."""

    topic: str
    text: str


def headlines(content: ReportContent) -> tuple[Headline, ...]:
    """Say for every change what happened to the profile layer, how much, and how sure that is."""
    return tuple(_headline(content, change) for change in content.changes)


def statements(content: ReportContent) -> tuple[Statement, ...]:
    """What was corrected and what was not, and the points on which a result depends."""
    points = [*_correction_statements(content), _reconstruction(content)]
    if content.changes:
        points += [
            _registration(content),
            _edges(content),
            _noise(content),
            _lithium(content),
            _boundaries(content),
        ]
    points += [_starvation(content), _scales(content)]
    return tuple(point for point in points if point.text)


def _headline(content: ReportContent, change: str) -> Headline:
    found = content.change(change)
    mean, error = finite(found.get("mean_delta_mu")), finite(found.get("standard_error"))
    later, earlier = (state_title(state) for state in change.split("-"))
    measured = f"mean Δµ = {uncertain(mean, error, signed=True)} cm⁻¹"
    layer = content.profile_layer or "layer"
    charge = uncertain(found.get("charge_mAh"), found.get("charge_standard_error_mAh"), signed=True)
    if mean is None:
        sentence = f"No value could be determined for the {layer} between {earlier} and {later}."
    elif error is not None and abs(mean) <= 2 * error:
        sentence = f"Between {earlier} and {later} the {layer} shows no change beyond two standard errors."
    else:
        direction = "gained" if mean > 0 else "lost"
        sentence = (
            f"From {earlier} to {later} the {layer} {direction} {_lithium_amount(found)}{_closure(found)}."
        )
    return Headline(
        change_title(change), MISSING if charge == MISSING else f"{charge} mAh", measured, sentence
    )


def _lithium_amount(found: Table) -> str:
    amount, error = finite(found.get("lithium_mol")), finite(found.get("lithium_standard_error_mol"))
    if amount is None:
        return "attenuation"
    return f"{uncertain(1e6 * abs(amount), None if error is None else 1e6 * error)} µmol of lithium"


def _closure(found: Table) -> str:
    closure = finite(found.get("charge_closure"))
    return "" if closure is None else f", {percent(closure, digits=3)} of the charge that was cycled"


def _correction_statements(content: ReportContent) -> list[Statement]:
    stated: Table = content.summary.get("corrections") or {}
    return [Statement(name, _correction_text(step, stated.get(step))) for step, name in CORRECTIONS.items()]


def _correction_text(step: str, stated: Any) -> str:
    if isinstance(stated, str) and stated.strip():
        return stated.strip()[0].upper() + stated.strip()[1:].rstrip(".") + "."
    if stated is True:
        return "Corrected."
    if step in UNCORRECTED:
        return UNCORRECTED[step]
    return "Not corrected." if stated is False else "Not stated by this run."


def _reconstruction(content: ReportContent) -> Statement:
    used: Table = content.summary.get("reconstruction") or {}
    voxel = f"{1000 * float(content.summary['voxel_size_mm']):g}"
    method = str(used.get("method") or "").upper()
    filter_text = (
        f", filter {used['filter']}, cut-off {used.get('cutoff', 1.0):g}" if used.get("filter") else ""
    )
    return Statement(
        "Reconstruction",
        f"{method or 'Method not stated'}{filter_text}; voxel {voxel} µm. The same for all states.",
    )


def _registration(content: ReportContent) -> Statement:
    found = [
        finite(entry.get("residual_voxel")) for entry in (content.summary.get("registration") or {}).values()
    ]
    known = [value for value in found if value is not None]
    if not known:
        return Statement("Registration", "")
    micrometres = 1000 * float(content.summary["voxel_size_mm"]) * max(known)
    return Statement(
        "Registration",
        f"Rigid, on parts that do not change; largest residual {number(max(known), digits=2)} voxel "
        f"({number(micrometres, digits=2)} µm). A shift along the axis makes false change at every face.",
    )


def _edges(content: ReportContent) -> Statement:
    return Statement(
        "Edges",
        "Mean and peak leave out the margins that the blur of the neighbouring layers reaches; lithium "
        "and charge take "
        "in the whole layer and its blur, because blur conserves the integral. The table gives both.",
    )


def _noise(content: ReportContent) -> Statement:
    floors = [finite(content.change(change).get("noise_floor")) for change in content.changes]
    known = [floor for floor in floors if floor is not None]
    largest = number(max(known), digits=2) if known else ""
    floor = f" Noise floor where nothing should change: at most {largest} cm⁻¹." if known else ""
    return Statement(
        "Noise",
        "σ of every voxel holds counting noise, the noise of the open beam, which is the same in every "
        "view and does not "
        f"average out, and the smoothing by resampling.{floor}",
    )


def _lithium(content: ReportContent) -> Statement:
    used: Table = content.summary.get("lithium") or {}
    if not used:
        return Statement("Lithium", "No conversion was made.")
    parts = [
        f"Neutron wavelength {number(used.get('wavelength_angstrom'))} Å, "
        f"{percent(used.get('li6_fraction'), digits=3)} ⁶Li"
    ]
    if finite(used.get("kappa_cm2_per_mol")) is not None:
        parts.append(f"κ = {number(used['kappa_cm2_per_mol'], digits=5)} cm² mol⁻¹")
    return Statement(
        "Lithium",
        f"{', '.join(parts)}. The number of moles is only as good as these: commercial lithium is often "
        "depleted in ⁶Li, "
        "and the wavelength must be the one at which the images were taken.",
    )


def _boundaries(content: ReportContent) -> Statement:
    return Statement(
        "Swelling and moving boundaries",
        "Δµ is a change per voxel. A layer that swells or moves changes it without any lithium; in an "
        "indium anode the "
        "boundary moves. The integral over the layer is not affected by swelling along d.",
    )


def _starvation(content: ReportContent) -> Statement:
    fractions = {
        state: finite(found.get("starved_fraction")) for state, found in content.summary["states"].items()
    }
    known = {state: value for state, value in fractions.items() if value}
    if not known:
        return Statement("Starved pixels", "None." if any(v is not None for v in fractions.values()) else "")
    text = ", ".join(f"{percent(value)} in {state_title(state)}" for state, value in known.items())
    return Statement(
        "Starved pixels",
        f"{text}. Behind strong absorbers (an indium anode seen edge-on) too few neutrons arrive; "
        "attenuation there is "
        f"too low and is not quantitative{_starved_rows(content)}.",
    )


def _starved_rows(content: ReportContent) -> str:
    rows = [
        row
        for found in (content.diagnostics.get("states") or {}).values()
        for row in found.get("starved_rows") or ()
        if isinstance(row, int)
    ]
    return f" (detector rows {min(rows)} to {max(rows)})" if rows else ""


def _scales(content: ReportContent) -> Statement:
    return Statement(
        "Colour scales",
        "One grey scale for all states, one diverging scale for all changes; none is stretched per image.",
    )
