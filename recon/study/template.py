"""The commented study.toml that `deltamu new` and `deltamu demo` write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltamu.recon.atomic import write_text


@dataclass(frozen=True)
class StudyDraft:
    """What is known about a study before a person edits it.

    Attributes
    ----------
    name : str
    states : mapping of state name to the lines of its table
    reference : str
    scan : mapping
        Reader options that hold for all the scans.
    layers : mapping or None
        The stack; written as a commented example when it is not known.
    changes : tuple of str
    charge_mah : mapping
        Charge that the cycler counted, per change.
    beam : mapping of table to its values
        Corrections for the beam (scatter, line_spread, hardening); commented examples for those left out.
    """

    name: str
    states: Mapping[str, Mapping[str, Any]]
    reference: str
    scan: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Any] | None = None
    changes: tuple[str, ...] = ()
    charge_mah: Mapping[str, float] = field(default_factory=dict)
    wavelength_angstrom: float = 2.6
    housing_radius_mm: tuple[float, float] | None = None
    beam: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


EXAMPLE_LAYERS = {
    "order": ["collector_a", "anode", "separator", "cathode", "collector_c"],
    "thickness_mm": [0.9, 0.39, 0.5, 0.4, 0.9],
    "radius_mm": 3.0,
}


def write_draft(path: Path, draft: StudyDraft) -> Path:
    """Write a draft as a commented study.toml, atomically."""
    write_text(path, draft_text(draft))
    return path


def draft_text(draft: StudyDraft) -> str:
    """Return the text of a commented study.toml."""
    parts = [_head(draft), _scan(draft), *(_state(name, table) for name, table in draft.states.items())]
    parts += [_layers(draft), _options(draft), _registration(draft), _lithium(draft)]
    return "\n\n".join(parts) + "\n"


def _head(draft: StudyDraft) -> str:
    changes = ", ".join(_value(change) for change in draft.changes)
    lines = [
        "# A deltamu study. `deltamu check study.toml` validates it, `deltamu run study.toml` computes it.",
        f"name = {_value(draft.name)}",
        'output = "result"              # folder of the results, relative to this file',
        f"reference = {_value(draft.reference)}        # the state on whose grid everything is compared",
        f"changes = [{changes}]          # each is to-from: the attenuation of the first minus that of the second",
    ]
    return "\n".join(lines)


def _scan(draft: StudyDraft) -> str:
    lines = [
        "[scan]                         # options of the reader that hold for all states; a state's own win"
    ]
    lines += _assignments(draft.scan)
    if "pixel_size_mm" not in draft.scan:
        lines.append("# pixel_size_mm = 0.027        # needed unless the files state it")
    return "\n".join(lines)


def _state(name: str, table: Mapping[str, Any]) -> str:
    return "\n".join([f"[states.{name}]", *_assignments(table)])


def _layers(draft: StudyDraft) -> str:
    table = draft.layers or EXAMPLE_LAYERS
    mark = "" if draft.layers else "# "
    lines = [
        "[layers]                       # the stack along the rotation axis, in the order of increasing detector row;",
        "# the first and the last layer may be cut by the field of view. d = 0 at the separator side of the cathode.",
        *_assignments(table),
        'cathode = "cathode"',
        'separator = "separator"',
    ]
    return "\n".join(line if line.startswith("#") else mark + line for line in lines)


BEAM_EXAMPLES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "scatter": (
        'black_body: frames behind a grid, states.NAME.black_body = "path" (and black_body_dots = "mask.tif"); or "uniform" with fraction = 0.02',
        {"method": "none"},
    ),
    "line_spread": (
        "wide tail of the line spread, as measured on an edge",
        {"tail_fraction": 0.05, "tail_fwhm_um": 300.0},
    ),
    "hardening": (
        '"spectrum" (shortest_angstrom, shape, scale_angstrom of a gamma distribution) or "polynomial"; at '
        "lithium.wavelength_angstrom",
        {"method": "none", "scattering_ratio_angstrom": 0.131},
    ),
}


def _beam(draft: StudyDraft) -> str:
    """Tables of the corrections for the beam; commented where nothing is known."""
    parts = []
    for name, (about, example) in BEAM_EXAMPLES.items():
        mark = "" if name in draft.beam else "# "
        lines = [f"[preprocess.{name}]", *_assignments(draft.beam.get(name, example))]
        parts.append("\n".join([f"# {about}", *(mark + line for line in lines)]))
    return "\n\n".join(parts)


def _options(draft: StudyDraft) -> str:
    return f"{_PREPROCESS}\n\n{_beam(draft)}\n\n{_RECONSTRUCTION}"


_PREPROCESS = """[preprocess]
dose = "air"                   # each frame's dose from air beside the sample, found automatically; "file" (states.NAME.dose_file, or header:KEYWORD), "region", "none"
# air_columns = [[0, 20], [490, 512]]
spots = true                   # gamma spots and dead pixels
# dark_spots = true            # and spots that are darker than their surroundings
stripes = "auto"               # only when rings stand above the noise of the open beam; "on", "off"
stripe_method = "gains"        # errors of single pixels; "sorting", "large", "dead", "all" (Vo 2018), "wavelet" (Münch 2009)
# counts_per_adu = 0.2         # detected neutrons per grey level; estimated from the flats when not given"""

_RECONSTRUCTION = """# [alignment]
# views = true                 # shift of every view in both directions: jumps, drift, jitter; the slices take longer
# tilt = true                  # of the rotation axis, in the plane of the detector and along the beam;
#                              # states.NAME.tilt_deg gives the one in the plane of the detector instead

[reconstruction]
method = "fbp"
filter = "hann"                # ram-lak, shepp-logan, cosine, hamming, hann, parzen
cutoff = 1.0                   # fraction of the Nyquist frequency
padding = "zero"               # "edge" for samples wider than the detector
# engine = "astra"             # or "tomopy": fbp, sirt and more by another program, when it is installed
# method = "fista-tv"          # or sirt, os-sart, cgls, mlem, osem, pdhg-tv; σ of voxels is then not available
# iterations = 60              # the most; relative_change = 1e-3 and discrepancy = 1.0 may stop earlier
# strength = 0.5               # of total variation, in multiples of what the noise of the data calls for

# a state of few views, reconstructed on the grid of the reference with the reference as prior
# [states.NAME.reconstruction]
# method = "piccs"
# prior = "pristine"           # the reference"""


def _registration(draft: StudyDraft) -> str:
    lines = [
        "[registration]",
        '# mask = ["separator", "collector_c"]   # parts without change; by default these two',
    ]
    if draft.housing_radius_mm:
        inner, outer = draft.housing_radius_mm
        lines.append(
            f"housing_radius_mm = [{inner}, {outer}]   # joined with the mask where both agree; a disagreement is reported"
        )
    lines.append(
        "# correct_scale = true          # bring states onto the scale of the reference by gain and offset of these parts"
    )
    lines.append('# metric = "mutual-information"   # for states of two kinds, such as neutrons and X-rays')
    lines.append(
        '# model = "affine"                # the body may also stretch and shear; reported with errors'
    )
    moving = [name for name in draft.states if name != draft.reference]
    if moving:
        lines.append(
            f"# start = {{{moving[0]} = [0.1, 0.0, 0.0, 0.5, 0.0, 0.0]}}   # where the search begins: shift (z, y, x) in mm and turn in degrees"
        )
    lines += ["", "[profile]", "core_fraction = 0.8            # of the pellet's radius that is averaged"]
    lines.append(
        "# blur_fwhm_um = 45.0          # resolution along the axis, as fitted to the surfaces when not given\n"
        "# false_discovery_rate = 0.05   # of the voxels that are said to have changed\n"
        '# depth = "laplace"             # along field lines between the labels; labels = "labels.tif" of your own\n'
        '# regions = {crack = "crack.tif"}   # masks (y, x) on the grid of the reference, .npy or TIFF'
    )
    return "\n".join(lines)


def _lithium(draft: StudyDraft) -> str:
    lines = [
        "[lithium]",
        f"wavelength_angstrom = {draft.wavelength_angstrom}",
        "li6_fraction = 0.0759          # natural; commercial lithium is often depleted in lithium-6",
    ]
    if draft.charge_mah:
        charges = ", ".join(f"{_value(change)} = {charge}" for change, charge in draft.charge_mah.items())
        lines.append(
            f"charge_mah = {{{charges}}}   # counted by the cycler, positive for lithium into the cathode"
        )
    else:
        lines.append('# charge_mah = {"discharged-pristine" = 4.6}   # counted by the cycler')
        lines.append(
            '# cycler = {path = "cycler.csv", state_hours = {pristine = 0.0, discharged = 10.5}}   # or its record: time, current'
        )
    lines.append(
        "# cross_section_relative_error = 0.02   # enters the error budget of the charge; scatter_…, hardening_… likewise"
    )
    return "\n".join(lines)


def _assignments(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]


def _value(value: Any) -> str:
    """TOML and JSON write strings, numbers, booleans and flat lists alike."""
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)
