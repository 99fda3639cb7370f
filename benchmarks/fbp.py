"""Filtered back-projection side by side with other programs.

    python benchmarks/fbp.py [--sizes 512x720,1024x1500] [--slices 64] [--rounds 5] [--toy] [--output FOLDER]

All programs reconstruct the same exact sinograms in turn, round after round, so that whatever else the
machine does falls on all of them alike; what is compared are medians of the rounds' ratios. Accuracy is the root
mean square error against the band-limited truth inside 0.9 of the radius; the fitted amplitude is reported
beside it, not removed.
"""

import argparse
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, Case, facts_line, in_turn, machine, write_results

from deltamu.kernels.backend import thread_count
from deltamu.kernels.gridding import plan_gridding
from deltamu.recon.simulate.ellipses import band_limited_image, head_phantom
from deltamu.recon.solvers.fbp import fbp

GRIDREC_NOTE = (
    "gridrec's accuracy is not compared: its amplitude and a shift by half a pixel depend on the padding "
    "(tomopy issues 453 and 481)."
)


@dataclass(frozen=True)
class Measurement:
    """One program on one case. Times are for all slices that it was given."""

    program: str
    version: str
    size: int
    views: int
    slices: int
    wall_ms_per_slice: float
    cpu_ms_per_slice: float
    wall_times_ours: float
    cpu_times_ours: float
    wall_rounds_s: list[float]
    rmse: float | None
    amplitude: float | None


@dataclass(frozen=True)
class Program:
    """`reconstruct` takes (angle, row, column) and returns (row, y, x) with its own orientation of y."""

    name: str
    version: str
    slices: int | None
    reconstruct: Callable
    exact: bool = True  # False: its amplitude and position depend on the padding, so accuracy is not compared


def deltamu_program(case):
    return Program(
        "deltamu fbp",
        importlib.metadata.version("deltamu"),
        None,
        lambda views: fbp(views, case.angles, center=case.center, pixel_size_mm=10.0),
    )


def tomopy_program(case):
    import tomopy

    def reconstruct(views):
        return gridrec(views, case, case.center)

    return Program("tomopy gridrec, unpadded", tomopy.__version__, None, reconstruct, exact=False)


def tomopy_padded_program(case):
    """Zeros to twice the width, as our own filter has, and the middle cut out again."""
    import tomopy

    left = case.size // 2
    right = case.size - left

    def reconstruct(views):
        wide = np.pad(views, ((0, 0), (0, 0), (left, right)))
        inside = slice(left, left + case.size)
        return gridrec(wide, case, case.center + left)[:, inside, inside]

    return Program("tomopy gridrec, padded", tomopy.__version__, None, reconstruct, exact=False)


def gridrec(views, case, center):
    import tomopy

    return tomopy.recon(
        views, case.angles, center=center, algorithm="gridrec", filter_name="ramlak", ncore=thread_count()
    )


def algotom_program(case):
    from algotom.rec.reconstruction import fbp_reconstruction

    def reconstruct(views):
        return np.stack(
            [
                fbp_reconstruction(
                    views[:, row],
                    case.center,
                    angles=case.angles,
                    filter_name=None,
                    apply_log=False,
                    gpu=False,
                    ncore=thread_count(),
                )
                for row in range(views.shape[1])
            ]
        )

    return Program("algotom fbp_reconstruction, CPU", importlib.metadata.version("algotom"), 2, reconstruct)


def astra_program(case):
    import astra

    def reconstruct(views):
        geometry = astra.create_proj_geom("parallel", 1.0, case.size, case.angles)
        volume = astra.create_vol_geom(case.size, case.size)
        projector = astra.create_projector("linear", geometry, volume)
        found = [
            astra.create_reconstruction("FBP", projector, views[:, row])[1] for row in range(views.shape[1])
        ]
        astra.clear()
        return np.stack(found)

    return Program("ASTRA FBP, CPU, linear", astra.__version__, 1, reconstruct)


def available_programs(case):
    """Programs that can be imported, and one line for each that cannot."""
    found, missing = [], []
    for make in (
        deltamu_program,
        tomopy_program,
        tomopy_padded_program,
        algotom_program,
        astra_program,
    ):
        try:
            found.append(make(case))
        except ImportError as error:
            missing.append(f"{make.__name__.removesuffix('_program')}: not measured ({error})")
    return found, missing


def measure(case, rounds):
    """Run all programs in turn, `rounds` times after one round that is not counted."""
    programs, missing = available_programs(case)
    views = case.line_integrals()
    inputs = {p.name: np.ascontiguousarray(views[:, : p.slices or case.slices]) for p in programs}
    images = {p.name: p.reconstruct(inputs[p.name])[0] for p in programs}
    times = in_turn({p.name: lambda p=p: p.reconstruct(inputs[p.name]) for p in programs}, rounds)
    truth = band_limited_image(head_phantom(case.size), size=case.size)
    ours = times[programs[0].name] / case.slices
    return [
        summarise(p, case, inputs[p.name].shape[1], images[p.name], times[p.name], ours, truth)
        for p in programs
    ], missing


def summarise(program, case, slices, image, times, ours, truth):
    wall, cpu = np.median(times, axis=0) / slices * 1e3
    ratios = np.median(times / slices / ours, axis=0)
    rmse, amplitude = accuracy(image, truth) if program.exact else (None, None)
    return Measurement(
        program=program.name,
        version=program.version,
        size=case.size,
        views=case.views,
        slices=slices,
        wall_ms_per_slice=round(float(wall), 3),
        cpu_ms_per_slice=round(float(cpu), 3),
        wall_times_ours=round(float(ratios[0]), 2),
        cpu_times_ours=round(float(ratios[1]), 2),
        wall_rounds_s=times[:, 0].round(5).tolist(),
        rmse=rmse and round(rmse, 5),
        amplitude=amplitude and round(amplitude, 5),
    )


def accuracy(image, truth):
    """RMSE and fitted amplitude in the orientation (y up or down) that fits the truth."""
    size = truth.shape[0]
    place = np.arange(size) - (size - 1) / 2
    inside = np.hypot(place[:, None], place[None, :]) < 0.45 * size
    upright, flipped = (np.asarray(i, float)[inside] for i in (image, image[::-1]))
    wanted = truth[inside]
    best = min((upright, flipped), key=lambda values: np.sum((values - wanted) ** 2))
    return float(np.sqrt(np.mean((best - wanted) ** 2))), float(np.polyfit(wanted, best, 1)[0])


def setup_seconds(case):
    """Time to plan a geometry that is not cached."""
    angles = np.random.default_rng().uniform(0, np.pi, case.views)
    begun = time.perf_counter()
    plan_gridding(case.size, angles, case.center)
    return round(time.perf_counter() - begun, 4)


def table(measurements, missing, setups, facts):
    lines = [
        "# Filtered back-projection",
        "",
        facts_line(facts),
        "",
        "Ratios are medians over the rounds of the time per slice over deltamu's in the same round.",
        "",
        "| size, views | program | slices | wall ms/slice | CPU ms/slice | wall × ours | CPU × ours | RMSE | amplitude |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for m in measurements:
        accuracy_columns = "– | –" if m.rmse is None else f"{m.rmse:.4f} | {m.amplitude:.4f}"
        lines.append(
            f"| {m.size}², {m.views} | {m.program} {m.version} | {m.slices} | {m.wall_ms_per_slice:.2f} "
            f"| {m.cpu_ms_per_slice:.2f} | {m.wall_times_ours:.1f} | {m.cpu_times_ours:.1f} | {accuracy_columns} |"
        )
    lines += [
        "",
        *(f"Plan of {case}: {seconds:.3f} s, once per geometry." for case, seconds in setups.items()),
    ]
    lines += ["", GRIDREC_NOTE] if any(m.rmse is None for m in measurements) else []
    return "\n".join([*lines, "", *sorted(set(missing))]).rstrip() + "\n"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="512x720,1024x1500", help="columns x views, comma-separated")
    parser.add_argument("--slices", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.sizes, options.slices, options.rounds = "64x90", 3, 1
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    measurements, missing, setups = [], [], {}
    for text in options.sizes.split(","):
        size, views = (int(number) for number in text.split("x"))
        case = Case(size, views, options.slices)
        setups[f"{size}², {views} views"] = setup_seconds(case)
        found, absent = measure(case, options.rounds)
        measurements += found
        missing += absent
    facts = machine()
    record = {
        "machine": facts,
        "setup_s": setups,
        "measurements": [asdict(m) for m in measurements],
        "missing": missing,
    }
    name = "fbp_toy" if options.toy else "fbp"
    write_results(options.output, name, record, table(measurements, missing, setups, facts))


if __name__ == "__main__":
    main()
