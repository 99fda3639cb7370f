"""What the report says in sentences: what was corrected, and what a reviewer will ask."""

from dataclasses import dataclass
from typing import Any

from deltamu.recon.report.content import ReportContent, Table, state_title
from deltamu.recon.report.counting_table import counting_sentence, open_beams
from deltamu.recon.report.effects import effect_of
from deltamu.recon.report.numbers import finite, number, percent

GOOD_PART = 0.25

CORRECTIONS = {
    "dark_and_open_beam": "Dark frames and open beam",
    "dose": "Dose of each frame",
    "spots": "Gamma spots and dead pixels",
    "stripes": "Stripes (rings)",
    "scatter": "Scattered neutrons",
    "line_spread": "Tail of the line spread",
    "hardening": "Beam hardening",
    "alignment": "Shifts of views, tilt of the axis",
}
UNCORRECTED = {
    "scatter": "Not corrected. A background of 2 % of the open beam lowers Δµ of a 6 mm "
    "Li–S pellet by about 7 %.",
    "line_spread": "Not corrected. A tail of 5 % of the light and 300 µm lowers Δµ by 1.5 to 2 %; "
    "a black-body grid cannot see it.",
    "hardening": "Not corrected. In a white cold beam Δµ of a 6 mm Li–S pellet comes out "
    "about 11 % too small; "
    "with a single wavelength there is no such bias.",
    "alignment": "Not corrected. All views are taken to stand alike and the axis along the rows; [alignment] measures "
    "and applies both.",
}


@dataclass(frozen=True)
class Statement:
    """A point of the reviewer's checklist."""

    topic: str
    text: str


def statements(content: ReportContent) -> tuple[Statement, ...]:
    """What was corrected and what was not, and the points on which a result depends."""
    points = [*_correction_statements(content), _reconstruction(content)]
    if content.changes:
        points += [
            _registration(content),
            _edges(content),
            _noise(content),
            _errors(content),
            _self_difference(content),
            _region(content),
            _lithium(content),
            _boundaries(content),
        ]
    points += [_starvation(content), _scales(content), _time_of_scan(content), _stability(content)]
    return tuple(point for point in points if point.text)


def _correction_statements(content: ReportContent) -> list[Statement]:
    stated: Table = content.summary.get("corrections") or {}
    return [
        Statement(name, _with_effect(_correction_text(step, stated.get(step)), step, content))
        for step, name in CORRECTIONS.items()
    ]


def _with_effect(text: str, step: str, content: ReportContent) -> str:
    effect = effect_of(step, content.summary["states"])
    return f"{text} {effect[0].upper()}{effect[1:]}." if effect else text


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
    engine = used.get("engine", "deltamu")
    by = "" if engine == "deltamu" else f" by {engine}"
    filter_text = (
        f", filter {used['filter']}, cut-off {used.get('cutoff', 1.0):g}"
        if method in ("", "FBP") and used.get("filter")
        else _method_options(used)
    )
    return Statement(
        "Reconstruction",
        f"{method or 'Method not stated'}{by}{filter_text}; voxel {voxel} µm. Every state was corrected and "
        f"reconstructed with the same settings, {open_beams(content)}.{_priors(content)}",
    )


def _priors(content: ReportContent) -> str:
    """Which states were then reconstructed with another as prior, and what that means for their changes."""
    given = {
        name: facts["reconstruction"]
        for name, facts in content.summary["states"].items()
        if facts.get("reconstruction")
    }
    return "".join(
        f" {name} was registered by that and then reconstructed by {used['method'].upper()} on the grid of "
        f"{used['prior']}, its prior{_method_options(used)}: its changes are regularised, without sigma and z scores "
        "of voxels, and what is said of noise and resolution of filtered back-projection does not hold for its voxels."
        for name, used in given.items()
    )


def _method_options(used: Table) -> str:
    """What an iterative method was told; what it was not told is its default."""
    kept = ("method", "engine", "filter", "cutoff", "padding", "prior")
    told = [f"{key} {value}" for key, value in used.items() if key not in kept and value is not None]
    return f" ({', '.join(told)})" if told else " with its default options"


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
        f"{_model(content)}, on parts that do not change; largest residual {number(max(known), digits=2)} voxel "
        f"({number(micrometres, digits=2)} µm). A shift along the axis makes false change at every face.",
    )


def _model(content: ReportContent) -> str:
    found = (content.summary.get("registration") or {}).values()
    return "Affine" if any(entry.get("strain") for entry in found) else "Rigid"


def _edges(content: ReportContent) -> Statement:
    return Statement(
        "Edges",
        f"Mean and peak leave out the margins that the blur of the neighbouring layers reaches"
        f"{_margins(content)}; lithium and charge take in the whole layer and its blur, because blur "
        "conserves the integral. The table gives both. The width of the blur comes from the fit of the faces; "
        "the table of the resolution has it beside the response of edges and the Fourier shell correlation.",
    )


def _margins(content: ReportContent) -> str:
    """Say how much was left out at the two faces."""
    thickness = finite(content.layers.get(content.profile_layer or "", {}).get("thickness_mm"))
    if thickness is None:
        return ""
    first, last = next(iter(content.profiles.values())).averaged_mm(thickness)
    if first == 0 and last == thickness:
        return " (here nothing would be left: they are taken over the whole layer)"
    return f" ({1000 * first:.0f} µm at d₀, {1000 * (thickness - last):.0f} µm at dₘₐₓ)"


def _noise(content: ReportContent) -> Statement:
    floors = [finite(content.change(change).get("noise_floor")) for change in content.changes]
    known = [floor for floor in floors if floor is not None]
    largest = number(max(known), digits=2) if known else ""
    floor = f" Noise floor where nothing should change: at most {largest} cm⁻¹." if known else ""
    return Statement(
        "Noise",
        "σ of every voxel holds counting noise, the noise of the open beam, which is the same in every "
        "view and does not "
        f"average out, the smoothing by resampling, and what interpolation leaves of edges sharper than the voxels.{floor}",
    )


def _errors(content: ReportContent) -> Statement:
    """Which terms the errors of means and of the charge hold."""
    kinds = {content.change(change).get("error_kind") for change in content.changes}
    if not any(kinds):
        return Statement("Errors of means", "")
    return Statement(
        "Errors of means",
        f"{counting_sentence(content, kinds)} Beside noise: the registration along the axis; the interpolation. The mean of the layer, "
        "peak depth, centre, front and share also hold the place of depth 0 (its fit, and its shift by the blur before the "
        "logarithm) and what another blur of the same width would do. The charge has the lines of its budget. All "
        "are one standard error.",
    )


def _self_difference(content: ReportContent) -> Statement:
    names = " and ".join(state_title(name) for name in content.inert_layers)
    if not names:
        return Statement("Self-difference", "")
    return Statement(
        "Self-difference",
        f"The noise is judged in the layers that must not change ({names}); the noise figure shows it. A second "
        "scan of one state, entered as a state of its own, shows the self-difference of the whole cell.",
    )


def _region(content: ReportContent) -> Statement:
    return Statement(
        "Region",
        "The profile is averaged over the core of the pellet, the charge over all of it; a table above gives the "
        "mean for other regions.",
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
    if content.starved_rows is None:
        return ""
    names = ", ".join(state_title(name) for name in starved_layers(content))
    first, last = content.starved_rows
    return f" (detector rows {first} to {last}{f': {names}' if names else ''})"


def starved_layers(content: ReportContent) -> tuple[str, ...]:
    """Layers of which a good part lies in rows that some state was starved in."""
    heights = content.starved_heights_mm
    if heights is None:
        return ()
    found = []
    for name, layer in content.layers.items():
        middle, thickness = finite(layer.get("height_mm")), finite(layer.get("thickness_mm"))
        if middle is None or not thickness:
            continue
        shared = min(heights[1], middle + thickness / 2) - max(heights[0], middle - thickness / 2)
        if shared > GOOD_PART * thickness:
            found.append(name)
    return tuple(found)


def _scales(content: ReportContent) -> Statement:
    return Statement(
        "Colour scales",
        "One grey scale for all states, one diverging scale for all changes; none is stretched per image.",
    )


def _time_of_scan(content: ReportContent) -> Statement:
    return Statement(
        "Time of the scans",
        "A scan shows the mean over its own duration. Relaxation and self-discharge between the end of cycling "
        "and the end of the scan are part of the change that is shown; they are not known here.",
    )


def _stability(content: ReportContent) -> Statement:
    """First against last projections, and the centre, which a sample that moved would blur."""
    states = content.summary["states"]
    spreads = [finite(found.get("center_spread_px")) for found in states.values()]
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return Statement("Movement during a scan", "")
    return Statement(
        "Movement during a scan",
        f"{_drifts(states)}A sample that moved would let the estimators of the centre disagree; they agree within "
        f"{number(max(known), digits=2)} px. Views that were taken twice at one angle are compared; a warning says where "
        "they differ.",
    )


def _drifts(states: Table) -> str:
    """How much the mean line integral changed from the first to the last projections, beside how much it varies anyway."""
    told = ", ".join(
        f"{number(entry['moment_drift_percent'], digits=2, signed=True)} % in {state_title(state)} (spread over all "
        f"projections {number(entry.get('moment_spread_percent'), digits=2)} %)"
        for state, entry in states.items()
        if finite(entry.get("moment_drift_percent")) is not None
    )
    if not told:
        return ""
    return (
        "From the first to the last tenth of the projections the mean line integral, which is the same at every angle "
        f"of a sample inside the field, changed by {told}. "
    )
