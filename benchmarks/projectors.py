"""The projector, its transpose and SIRT side by side with ASTRA on the CPU.

    python benchmarks/projectors.py [--size 512x720] [--slices 64] [--rounds 5] [--toy] [--output FOLDER]

GUPS are 1e9 voxel × view updates per second. The programs work in turn, round after round; ratios are medians over
the rounds of the ratio in each. ASTRA's CPU code uses one thread and works slice by slice, so it is given one slice.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, Case, facts_line, in_turn, machine, write_results

from deltamu.kernels.project import backproject, project
from deltamu.recon.scan_geometry import cone_geometry, middle_of
from deltamu.recon.solvers.engine_astra import sirt_by_astra
from deltamu.recon.solvers.iterative import sirt
from deltamu.recon.solvers.operators import operator_of

ITERATIONS = 10
PIXEL_MM = 10.0
# rows that the general projector is given: it knows no slices, and its speed does not depend on their number
GENERAL_ROWS = 4


@dataclass(frozen=True)
class Work:
    """Something to be timed; `amount` counts updates, or slices times iterations."""

    name: str
    kind: str
    slices: int
    amount: float
    run: Callable[[], object]


@dataclass(frozen=True)
class Measurement:
    """One program on one case. The rate is in GUPS, or in slice-iterations per second."""

    name: str
    kind: str
    slices: int
    rate: float
    ours_over_this: float
    rounds_s: list[float]


def updates(case, slices):
    return slices * case.size**2 * case.views


def pair_works(case):
    """The matched pair of both geometries, and ASTRA's."""
    rng = np.random.default_rng(1)
    place = {"center": case.center}
    volume = rng.random((case.slices, case.size, case.size), np.float32)
    views = rng.random((case.views, case.slices, case.size), np.float32)
    works = [
        ("deltamu, slices", "forward", case.slices, lambda: project(volume, case.angles, columns=case.size, **place)),
        ("deltamu, slices", "back", case.slices, lambda: backproject(views, case.angles, size=case.size, **place)),
    ]  # fmt: skip
    rows = min(GENERAL_ROWS, case.slices)
    cone = general_operator(case, rows)
    few_slices, few_views = volume[:rows], np.ascontiguousarray(views[:, :rows])
    works += [
        ("deltamu, cone", "forward", rows, lambda: cone(few_slices)),
        ("deltamu, cone", "back", rows, lambda: cone.T(few_views)),
    ]
    works += [(*work[:2], 1, work[2]) for work in astra_pair(case, volume[0], views[:, 0])]
    return [Work(name, kind, n, updates(case, n) / 1e9, run) for name, kind, n, run in works]


def general_operator(case, rows):
    """A cone beam of 5 degrees."""
    shape = (rows, case.size, case.size)
    distance = case.size * PIXEL_MM / np.radians(5)
    geometry = cone_geometry(
        2 * case.angles, detector_shape=shape[:2], center=case.center, pixel_size_mm=PIXEL_MM,
        middle_mm=middle_of(shape, PIXEL_MM), source_axis_mm=distance, source_detector_mm=distance,
    )  # fmt: skip
    return operator_of(geometry, volume_shape=shape, voxel_size_mm=PIXEL_MM)


def astra_pair(case, image, sinogram):
    """ASTRA's projector with the rays of Joseph's method, and its back-projector."""
    import astra

    geometry = astra.create_proj_geom("parallel", 1.0, case.size, case.angles)
    projector = astra.create_projector("linear", geometry, astra.create_vol_geom(case.size, case.size))
    sinogram = np.ascontiguousarray(sinogram)
    name = f"ASTRA {astra.__version__}, linear"

    def forward():
        astra.data2d.delete(astra.create_sino(image, projector)[0])

    def back():
        astra.data2d.delete(astra.create_backprojection(sinogram, projector)[0])

    return (name, "forward", forward), (name, "back", back)


def sirt_works(case, slices, iterations):
    """The same number of iterations from zero by both programs."""
    import astra

    views = np.ascontiguousarray(case.line_integrals()[:, :slices])
    one = np.ascontiguousarray(views[:, :1])
    options = {"center": case.center, "pixel_size_mm": PIXEL_MM, "iterations": iterations}
    return [
        Work("deltamu", "SIRT", slices, slices * iterations, lambda: sirt(views, case.angles, **options)),
        Work(f"ASTRA {astra.__version__}", "SIRT", 1, iterations, lambda: sirt_by_astra(one, case.angles, **options)),
    ]  # fmt: skip


def measure(works, rounds):
    """Time works of one kind after the other against the first of each kind."""
    found = []
    for kind in dict.fromkeys(work.kind for work in works):
        these = [work for work in works if work.kind == kind]
        times = in_turn({work.name: work.run for work in these}, rounds)
        rates = {work.name: work.amount / times[work.name][:, 0] for work in these}
        found += [
            Measurement(
                work.name, kind, work.slices, float(np.median(rates[work.name])),
                float(np.median(rates[these[0].name] / rates[work.name])), times[work.name][:, 0].round(5).tolist(),
            )
            for work in these
        ]  # fmt: skip
    return found


def difference(works):
    """Largest difference of the first slice of two volumes, of the largest value."""
    ours, theirs = (work.run()[0] for work in works)
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


def table(case, measurements, iterations, off, facts):
    lines = [
        "# Projector, its transpose, and SIRT",
        "",
        facts_line(facts),
        "",
        f"{case.size}² voxels, {case.views} views. SIRT: {iterations} iterations from zero; largest difference between "
        f"the two results {off:.1e} of the largest value.",
        "",
        "| operation | program | slices | rate | first row is faster by |",
        "|---|---|---|---|---|",
    ]
    for m in measurements:
        unit = "slice-iterations/s" if m.kind == "SIRT" else "GUPS"
        lines.append(f"| {m.kind} | {m.name} | {m.slices} | {m.rate:.3g} {unit} | {m.ours_over_this:.1f} |")
    return "\n".join(lines) + "\n"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="512x720", help="columns x views")
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.size, options.slices, options.rounds = "24x20", 3, 1
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    size, views = (int(number) for number in options.size.split("x"))
    case = Case(size, views, options.slices)
    pair = pair_works(case)
    for work in pair:
        work.run()
    iterated = sirt_works(case, max(options.slices // 2, 1), ITERATIONS)
    # comparing the results is also the round that is not counted
    off = difference(iterated)
    measurements = measure(pair, options.rounds) + measure(iterated, max(options.rounds // 2, 1))
    facts = machine()
    record = {"machine": facts, "sirt_difference": off, "measurements": [asdict(m) for m in measurements]}
    name = "projectors_toy" if options.toy else "projectors"
    write_results(options.output, name, record, table(case, measurements, ITERATIONS, off, facts))


if __name__ == "__main__":
    main()
