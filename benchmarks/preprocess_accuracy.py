"""How exact the preprocessing is, in numbers: centres, shifts of views, tilt, spots, rings, hardening.

    python benchmarks/preprocess_accuracy.py [--sinograms 200] [--toy] [--output FOLDER]

The cases are those of the tests, which hold the limits; this prints what is reached.
"""

import argparse
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, facts_line, machine, write_results

from deltamu.recon.preprocess.alignment import without_gauge
from deltamu.recon.preprocess.axis_tilt import axis_tilt
from deltamu.recon.preprocess.center import find_center
from deltamu.recon.preprocess.correction import clean_transmission, correct_frames
from deltamu.recon.preprocess.moments import view_moments
from deltamu.recon.preprocess.stripes import remove_stripes
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.study.aligning import alignment_of, measure_alignment
from deltamu.recon.study.settings_reconstruction import AlignmentSettings

TESTS = Path(__file__).resolve().parents[1] / "tests" / "recon"


def case(name):
    """What a file of the tests defines."""
    return runpy.run_path(str(TESTS / name))


def centers(count):
    """Consensus on made-up sinograms: noise, rings, dead columns, duplicated views, offset axes, objects beyond the field."""
    sinogram = case("preprocess/test_center.py")["sinogram"]
    errors, flagged = [], 0
    for seed in range(count):
        views, angles, truth = sinogram(seed)
        found = find_center(views, angles)
        errors.append(abs(found.center - truth))
        if errors[-1] > 0.25:
            flagged += bool(found.spread > errors[-1] / 3 or found.warnings)
    errors = np.array(errors)
    missed = int(np.count_nonzero(errors > 0.25))
    return {
        f"centre within 0.25 px, of {count} sinograms (%)": 100 * float(np.mean(errors <= 0.25)),
        "misses, and those that spread or warnings flag": f"{missed}, {flagged}",
        "error of the centre, median and 95 % (px)": f"{np.median(errors):.3f}, {np.quantile(errors, 0.95):.3f}",
    }


def shifts():
    """RMS error of the shifts of views, noise of 1000 counts, and of the tilt."""
    known = case("study/test_alignment_of_a_study.py")
    angles, facts = known["ANGLES"], {}
    for name in ("jumps", "drift", "jitter"):
        column_px, row_px = known["motions"](name)
        stack = known["noisy"](known["views"](column_px=column_px, row_px=row_px))
        found = alignment_of(measure_alignment(stack, angles, AlignmentSettings(views=True)), len(angles))
        left = (found.column_px - without_gauge(column_px, angles), found.row_px - (row_px - row_px.mean()))
        facts[f"{name}: rms left along columns, rows (px)"] = ", ".join(
            f"{np.sqrt(np.mean(e**2)):.3f}" for e in left
        )
    worst = 0.0
    for roll, lean in ((0.1, 0.0), (0.0, 0.1), (0.2, -0.15)):
        tilt = axis_tilt(view_moments([known["noisy"](known["views"](roll_deg=roll, lean_deg=lean))]), angles)
        worst = max(worst, abs(tilt.roll_deg - roll), abs(tilt.lean_deg - lean))
    return facts | {"largest error of the tilt, both directions (°)": worst}


def spots():
    """Gamma hits of the simulated camera: found, good pixels touched, and what is left in −ln T."""
    known = case("preprocess/test_spots.py")
    frames = known["make_shots"](case("preprocess/conftest.py")["build_scan"])
    with_hits, without, correction, sigma = frames
    unchecked = replace(correction, spot_noise=None)
    plain, free = (clean_transmission(raw, unchecked)[0] for raw in (with_hits, without))
    touched = plain != clean_transmission(with_hits, correction)[0]
    excess = (plain - free) / sigma
    good = ~np.broadcast_to(correction.bad_pixels, excess.shape)
    dirty, clean = (correct_frames(raw, correction).line_integrals for raw in (with_hits, without))
    return {
        **{
            f"hits above {limit} σ found (%)": 100 * float(touched[good & (excess > limit)].mean())
            for limit in (8, 6)
        },
        "good pixels touched (%)": 100 * float(touched[good & (np.abs(excess) < 1e-3)].mean()),
        "bias of −ln T from missed hits": abs(float((dirty - clean).mean(dtype=np.float64))),
    }


def rings():
    """Gain drift of 0.5 %: how much weaker rings are, and what flat layers change by."""
    known, facts = case("preprocess/test_stripe_filters.py"), {}
    columns, rows, views = known["COLUMNS"], 40, 200
    angles, options = (
        np.arange(views) * np.pi / views,
        {"center": (columns - 1) / 2, "pixel_size_mm": known["PIXEL_MM"]},
    )
    y, x = np.mgrid[:columns, :columns] - (columns - 1) / 2
    for method, offset in (("gains", 9.0), ("gains", 0.0), ("wavelet", 9.0)):
        clean, gains = known["gain_errors"](rows, views, offset)
        treated = remove_stripes(clean + gains, method=method)
        plain, ringed, found = (fbp(s, angles, **options) for s in (clean, clean + gains, treated))
        weaker = known["_rings"](ringed - plain) / known["_rings"](found - plain)
        change = (found - plain)[:, np.hypot(y, x) < 55].mean(axis=1).reshape(4, -1).mean(axis=1)
        worst = 100 * float(np.max(np.abs(change / known["layers"](4))))
        facts[f"rings by {method}, sample {offset:g} px off the axis: times weaker, flat layers (%)"] = (
            f"{weaker:.1f}, {worst:.3f}"
        )
    return facts


def hardening():
    """Bias of the slice mean of the cathode's change, closed form, casing left out: table of A5 and composition."""
    known, facts = case("preprocess/test_hardening.py"), {}
    cathode, level = known["sulfur_cathode"], known["MEAN_LITHIATION"]
    for diameter in (0.6, 1.0):
        for ratio in (0.131, 0.33):
            bias = [
                known["corrected_change"](
                    diameter, ratio, casing_known=True, start=cathode(0.0), end=cathode(end)
                )
                for end in (level, 1.0)
            ]
            facts[f"hardening, {10 * diameter:g} mm, {ratio} Å: change at 0.615, full (%)"] = ", ".join(
                f"{100 * b:+.2f}" for b in bias
            )
    return facts


def table(found, facts):
    lines = [
        "# How exact the preprocessing is",
        "",
        facts_line(facts),
        "",
        "| what | measured |",
        "|---|---|",
    ]
    lines += [
        f"| {name} | {value if isinstance(value, str) else f'{value:.3g}'} |" for name, value in found.items()
    ]
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sinograms", type=int, default=200)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    found = centers(2 if options.toy else options.sinograms)
    for part in (hardening,) if options.toy else (shifts, spots, rings, hardening):
        found |= part()
    name, facts = "preprocess_accuracy_toy" if options.toy else "preprocess_accuracy", machine()
    write_results(options.output, name, {"machine": facts, "measured": found}, table(found, facts))


if __name__ == "__main__":
    main()
