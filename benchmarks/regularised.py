"""Few views of the simulated cell: total variation beside FBP, PICCS and the joint solver beside differences of FBP.

    python benchmarks/regularised.py [--columns 256] [--parts 8 4] [--iterations 100] [--toy] [--output FOLDER]

The cell, the beam and the noise are those of the demo's preset `small`, pixels binned to 256 columns; raw frames are
corrected as in a study, with the true centre and motion. The truth is the mean over each voxel, grains included.
One state: RMSE around the cathode (separator, cathode, collector, and a quarter of a millimetre beyond the rim), the
same without voxels next to the faces between layers, where 5 µm of roughness are 0.1 per cm, and the width of the
cathode's rim. A change: RMSE over all voxels of the cathode, mean and depth profile of its core as in
a study. Filtered back-projections (Ram-Lak) are smoothed by a Gaussian until the rim of Δμ, all views taken, is as wide
as it is in the result beside them. PICCS knows all views of the pristine cell, the joint solver as few as of the other.
"""

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from side_by_side import RESULTS, facts_line, machine, write_results
from sparse_cell import SparseCell

from deltamu.recon.change.edge_response import rim_response
from deltamu.recon.errors import InputError
from deltamu.recon.simulate.compare import change_errors
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.iterative import fista
from deltamu.recon.solvers.onto import fbp_onto
from deltamu.recon.solvers.penalties import TotalVariation, pull_of_noise
from deltamu.recon.solvers.prior_scans import RegisteredViews, joint, piccs

FILTERS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")
CUTOFFS = (1.0, 0.7, 0.5, 0.35, 0.25)
STRENGTHS = (0.4, 0.8)
# of the change in the joint solver; PICCS takes its default
CHANGE_STRENGTH = 0.25
CHANGE = "discharged-pristine"
MARGIN_MM = 0.25
WIDEST_MM = 0.6
# with a prior; the joint solver takes as many in each of its stages
PRIOR_ITERATIONS = 60


@dataclass(frozen=True)
class StateResult:
    """One reconstruction of the pristine cell; RMSE in 1/cm, the rim's width in micrometres or None."""

    part: int
    method: str
    rmse: float
    layers_rmse: float
    core_rmse: float
    rim_um: float | None
    seconds: float


@dataclass(frozen=True)
class ChangeResult:
    """One Δμ; RMSE in 1/cm over the cathode and over its core."""

    part: int
    method: str
    beside: str
    rmse: float
    core_rmse: float
    mean_error_percent: float
    profile_rmse_percent: float
    rim_um: float | None
    seconds: float


class Judge:
    """Compares volumes of the rows with the truth."""

    def __init__(self, cell: SparseCell) -> None:
        self.cell, truth = cell, cell.truth
        self.around = truth.radius_mm < truth.pellet_mm + MARGIN_MM
        near = cell.preset.pixel_size_mm
        faces = np.minimum(np.abs(truth.depth_mm), np.abs(truth.depth_mm - truth.cathode_mm)) < near
        self.layers = self.around & ~faces
        depth = (truth.depth_mm >= 0) & (truth.depth_mm <= truth.cathode_mm)
        eroded = (truth.depth_mm >= 0.045) & (truth.depth_mm <= truth.cathode_mm - 0.045)
        self.cathode = depth & (truth.radius_mm <= truth.pellet_mm)
        self.core = eroded & (truth.radius_mm < 0.8 * truth.pellet_mm)

    def rim_mm(self, volume):
        """Width of the rim of the cathode; None where there is none to be seen."""
        cell = self.cell
        rows = tuple(row - cell.rows.start for row in cell.cathode_rows)
        try:
            found = rim_response(
                volume, axis_mm=cell.axis_mm, radius_mm=cell.truth.pellet_mm, rows=rows,
                voxel_size_mm=cell.preset.pixel_size_mm,
            )  # fmt: skip
        except InputError:
            return None
        return found.fwhm_mm

    def state(self, part, method, volume, seconds):
        """One reconstruction of the pristine cell."""
        error = volume[self.cell.inside] - self.cell.truth.attenuation["pristine"]
        rim = self.rim_mm(volume)
        return StateResult(
            part, method, rms(error[self.around]), rms(error[self.layers]), rms(error[self.core]),
            rim and 1000 * rim, seconds,
        )  # fmt: skip

    def change(self, part, method, beside, volume, seconds):
        """One Δμ on the rows."""
        truth, found = self.cell.truth, volume[self.cell.inside]
        error, errors = found - truth.change(CHANGE), change_errors(truth, found, CHANGE)
        rim = self.rim_mm(volume)
        return ChangeResult(
            part, method, beside, rms(error[self.cathode]), rms(error[self.core]), errors.mean_error_percent,
            errors.profile_rmse_percent, rim and 1000 * rim, seconds,
        )  # fmt: skip


@dataclass(frozen=True)
class Solvers:
    """Every way to a volume of the rows, with the settings of this run."""

    cell: SparseCell
    iterations: int

    @property
    def place(self):
        """Centre and pixel size."""
        return {"center": self.cell.center, "pixel_size_mm": self.cell.preset.pixel_size_mm}

    def fbp(self, views, filter="ram-lak", cutoff=1.0):
        """Where the scan stands."""
        return fbp(views.line_integrals, views.angles, filter=filter, cutoff=cutoff, **self.place)

    def fbp_onto(self, views):
        """On the grid of the reference; zero where rows end."""
        first = self.cell.rows.start
        found = fbp_onto(
            views.line_integrals, views.angles, views.transform, first_row=first, z_range=(first, self.cell.rows.stop),
            reference_shape=(self.cell.rows.stop, self.cell.columns, self.cell.columns), **self.place,
        )  # fmt: skip
        return np.nan_to_num(found)

    def total_variation(self, views, strength):
        """From a filtered back-projection on."""
        pixel = self.cell.preset.pixel_size_mm
        pull = pull_of_noise(views.noise, voxel_size_mm=pixel, views=len(views.angles))
        return fista(
            views.line_integrals, views.angles, penalty=TotalVariation(strength * pull), weights=views.weights,
            start=self.fbp(views), lower=0.0, iterations=self.iterations, **self.place,
        )  # fmt: skip

    def registered(self, views):
        """With the motion that is true."""
        return RegisteredViews(
            views.line_integrals, views.angles, self.cell.center, views.noise, views.transform, views.weights
        )

    @property
    def prior_options(self):
        """The change is looked for around the pellet."""
        _, y, x = self.cell.truth.box.slices
        return {
            "pixel_size_mm": self.cell.preset.pixel_size_mm, "first_row": self.cell.rows.start, "region": (y, x),
            "lower": 0.0, "iterations": min(self.iterations, PRIOR_ITERATIONS),
        }  # fmt: skip

    def piccs(self, views, prior):
        """Δμ with a volume of the pristine cell."""
        return piccs(self.registered(views), prior, **self.prior_options) - prior

    def joint(self, pristine, views):
        """Δμ from few views of both states."""
        states = [self.registered(pristine), self.registered(views)]
        return joint(states, change_strength=CHANGE_STRENGTH, **self.prior_options)[1]


def states(solvers, judge, pristine, part):
    """Every filter and cut-off, and total variation, on a part of the views."""
    few = pristine.every(part)
    for filter in FILTERS:
        for cutoff in CUTOFFS:
            volume, seconds = timed(lambda f=filter, c=cutoff: solvers.fbp(few, f, c))
            yield judge.state(part, f"FBP {filter} {cutoff:g}", volume, seconds)
    for strength in STRENGTHS:
        volume, seconds = timed(lambda s=strength: solvers.total_variation(few, s))
        yield judge.state(part, f"FISTA-TV {strength:g}", volume, seconds)


def changes(solvers, judge, scans, prior, part):
    """PICCS and the joint solver, each beside the smoothed difference of filtered back-projections."""
    pristine, discharged = scans
    whole = solvers.fbp_onto(discharged) - solvers.fbp(pristine)
    few = discharged.every(part)
    for name, before, work in (
        ("PICCS", pristine, lambda: solvers.piccs(few, prior)),
        ("joint", pristine.every(part), lambda: solvers.joint(pristine.every(part), few)),
    ):
        change, seconds = timed(work)
        yield judge.change(part, name, name, change, seconds)
        difference, seconds = timed(lambda b=before: solvers.fbp_onto(few) - solvers.fbp(b))
        sigma = sigma_for(judge, whole, judge.rim_mm(change))
        yield judge.change(part, f"FBP, σ {sigma:.2f} voxels", name, smooth(difference, sigma), seconds)


def sigma_for(judge, difference, width_mm):
    """Standard deviation, voxels, of the Gaussian that makes the rim as wide; 0 where it is wider already."""
    if width_mm is None:
        return 0.0

    def excess(sigma):
        return (judge.rim_mm(smooth(difference, sigma)) or WIDEST_MM) - width_mm

    return 0.0 if excess(0.0) >= 0 else float(brentq(excess, 0.0, 6.0, xtol=0.01))


def smooth(volume, sigma):
    return gaussian_filter(volume, sigma) if sigma else volume


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def timed(work):
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin


def verdicts(found_states, found_changes):
    """The ratios that count, for every part of the views."""
    lines = []
    for part in sorted({r.part for r in found_states}, reverse=True):
        own = [r for r in found_states if r.part == part]
        flat = min((r for r in own if not r.method.startswith("FBP")), key=lambda r: r.rmse)
        lines += [beside_fbp(flat, own, "of all"), beside_fbp(flat, as_sharp(flat, own), "of those as sharp")]
        for name in ("PICCS", "joint"):
            ours, theirs = (r for r in found_changes if r.part == part and r.beside == name)
            lines.append(
                f"- 1/{part} of the views: {name} has {ours.rmse / theirs.rmse:.2f} of the RMSE of the difference of "
                f"FBP at equal width of the rim, {ours.core_rmse / theirs.core_rmse:.2f} in the core; its mean is off by {ours.mean_error_percent:+.1f} %, its profile by "
                f"{ours.profile_rmse_percent:.1f} % of the peak."
            )
    return lines


def as_sharp(result, others):
    """Those whose rim is no more than a tenth wider."""
    widest = 1.1 * (result.rim_um or np.inf)
    return [r for r in others if (r.rim_um or np.inf) <= widest]


def beside_fbp(ours, others, which):
    """RMSE over that of the best filtered back-projection."""
    fbps = [r for r in others if r.method.startswith("FBP")]
    if not fbps:
        return f"- 1/{ours.part} of the views: no FBP is as sharp as {ours.method}."
    ratios = []
    for key, where in (("rmse", "in all"), ("layers_rmse", "away from faces"), ("core_rmse", "in the core")):
        best = min(fbps, key=lambda r: getattr(r, key))
        ratio = getattr(ours, key) / getattr(best, key)
        ratios.append(f"{ratio:.2f} {where} ({best.method}, rim {number(best.rim_um)} µm)")
    return (
        f"- 1/{ours.part} of the views: RMSE of {ours.method}, rim {number(ours.rim_um)} µm, over the best FBP {which}: "
        f"{'; '.join(ratios)}."
    )


def table(cell, found_states, found_changes, facts):
    preset = cell.preset
    lines = [
        "# Few views: total variation, PICCS and joint reconstruction of the simulated cell",
        "",
        facts_line(facts),
        "",
        f"{preset.columns} columns of {1000 * preset.pixel_size_mm:g} µm, {preset.views} views in full. RMSE in 1/cm.",
        "",
        *verdicts(found_states, found_changes),
        "",
        "| views | one state by | RMSE | away from faces | in the core | rim (FWHM), µm | s |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| 1/{r.part} | {r.method} | {r.rmse:.4f} | {r.layers_rmse:.4f} | {r.core_rmse:.4f} | {number(r.rim_um)} "
        f"| {r.seconds:.1f} |"
        for r in shown(found_states)
    ]
    lines += [
        "",
        "| views | Δμ by | beside | RMSE | in the core | mean | profile | rim (FWHM), µm | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| 1/{r.part} | {r.method} | {r.beside} | {r.rmse:.4f} | {r.core_rmse:.4f} | {r.mean_error_percent:+.1f} % "
        f"| {r.profile_rmse_percent:.1f} % | {number(r.rim_um)} | {r.seconds:.1f} |"
        for r in found_changes
    ]
    return "\n".join(lines) + "\n"


def shown(found_states):
    """Of every filter the best cut-off, and what is no filter."""
    kept = {}
    for r in found_states:
        key = r.part, " ".join(r.method.split()[:2])
        if key not in kept or r.rmse < kept[key].rmse:
            kept[key] = r
    return kept.values()


def number(value):
    return "none" if value is None else f"{value:.0f}"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=256)
    parser.add_argument("--parts", type=int, nargs="+", default=(8, 4), help="one view of so many is taken")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.columns, options.parts, options.iterations = 128, (4,), 12
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    cell = SparseCell(options.columns, options.seed)
    solvers, judge = Solvers(cell, options.iterations), Judge(cell)
    scans = [cell.views(state) for state in ("pristine", "discharged")]
    prior = solvers.total_variation(scans[0], STRENGTHS[0])
    found_states = [r for part in options.parts for r in states(solvers, judge, scans[0], part)]
    found_changes = [r for part in options.parts for r in changes(solvers, judge, scans, prior, part)]
    facts = machine()
    record = {
        "machine": facts, "iterations": options.iterations, "states": [asdict(r) for r in found_states],
        "changes": [asdict(r) for r in found_changes],
    }  # fmt: skip
    name = "regularised_toy" if options.toy else "regularised"
    write_results(options.output, name, record, table(cell, found_states, found_changes, facts))


if __name__ == "__main__":
    main()
