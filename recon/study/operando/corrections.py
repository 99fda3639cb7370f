"""What was corrected in the frames of a series, in words and numbers for the summary."""

from typing import Any

import numpy as np

from deltamu.recon.operando.reference import SeriesReference
from deltamu.recon.study.operando.frame_pieces import SeriesRun


def corrections_of(run: SeriesRun) -> dict[str, Any]:
    """Each step: how it was done, or False."""
    options = run.study.preprocess
    return {
        "dark_and_open_beam": "clipped means over the frames, gamma spots left out" if len(run.series.flats)
        else "no open beam: the level beside the cell",
        "dose": "air beside the cell" if run.correction.air_columns else False,
        "spots": "by the frames before and after" if options.spots else False,
        "drift": "by parts that do not change" if options.drift else False,
        "scatter": options.scatter.as_text(),
        "line_spread": options.line_spread.as_text(),
        "hardening": options.hardening.as_text(
            run.study.lithium.wavelength_angstrom, casing_left_out=leaves_out_casing(run)
        ),
    }  # fmt: skip


def leaves_out_casing(run: SeriesRun) -> bool:
    """Whether the casing is known and left out before hardening is undone."""
    return bool(run.study.preprocess.hardening.leave_out_casing and run.study.layers.casing_mm)


def correction_facts(run: SeriesRun) -> dict[str, Any]:
    """Mean background that was subtracted, and what the hardening had taken, both per cent."""
    facts: dict[str, Any] = {}
    if run.correction.background is not None:
        noise = run.reference.noise
        facts["background_percent"] = 100 * noise.background
        facts["background_open_beam_percent"] = 100 * noise.open_background
    if run.reference.linearisation is not None:
        facts["hardening_uncorrected_percent"] = _hardening_percent(run.reference)
        if leaves_out_casing(run):
            facts["casing_line_integral"] = float(np.max(run.reference.linearisation.casing))
    return facts


def correction_notes(run: SeriesRun) -> list[str]:
    """What a reader has to know of them."""
    if run.reference.linearisation is None or leaves_out_casing(run):
        return []
    return [
        "hardening: the casing is taken for absorber, which raises a change by about 5 %; state the outer radii of its "
        "shells in layers.casing_mm"
    ]


def _hardening_percent(reference: SeriesReference) -> float:
    """Line integrals through the middle of the pellet without its casing, as measured over as they are, minus one."""
    assert reference.linearisation is not None
    weights = reference.strips.weights(reference.transmission.shape[1])
    middle = np.abs(reference.strips.middles_mm) < 0.5 * reference.strips.edges_mm[-1]
    casing = reference.linearisation.strips(weights)
    seen = np.asarray(reference.transmission.astype(np.float64) @ weights).T
    linear, _ = reference.linearisation.apply(seen, casing)
    before, after = (-np.log(np.maximum(level, 1e-6)) - casing for level in (seen, linear))
    return 100 * float(before[middle].sum() / after[middle].sum() - 1)
