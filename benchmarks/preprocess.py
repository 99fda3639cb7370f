"""From raw frames to line integrals side by side with the same chain of algotom's functions.

    python benchmarks/preprocess.py [--frames 64] [--rounds 7] [--toy] [--output FOLDER]

Frames of the simulated instrument (gain errors, dead and hot pixels, gamma hits, excess noise) behind a cell with a
nearly opaque layer. Both chains correct the same frames in turn, round after round, on as many threads as
OMP_NUM_THREADS says: algotom's functions work on one frame, so frames go to a pool of threads. What is compared are
medians of the rounds' ratios. Every chain has: dark, open beam, gamma hits, dose by the air at both sides, −log.
"Left" are pixels whose line integral stands more than 8 σ below the expected one, "lost" good pixels that were
replaced although no hit was there.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, in_turn, machine, write_results

from deltamu.kernels.backend import thread_count
from deltamu.recon.preprocess.correction import correct_frames
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.stripes import remove_stripes
from deltamu.recon.scans.read import scan_from_arrays
from deltamu.recon.simulate.detector import expose, make_detector
from deltamu.recon.simulate.presets import Beam, Instrument, Preset

COUNTS, PIXEL_MM = 6000.0, 0.027
# lines of the cell over the height: electrolyte, a nearly opaque anode, electrolyte, cathode, steel; cm⁻¹
LAYERS = (2.568, 10.2, 2.568, 2.3, 1.286)
# algotom's guide: 0.05 to 0.1; below that its test takes noise for hits
ZINGER_THRESHOLD, ZINGER_SIZE = 0.1, 2
SORTING_SIZE = 21
LEFT_SIGMAS = 8.0


@dataclass(frozen=True)
class Case:
    """Raw frames with what is known about them."""

    raw: np.ndarray
    expected: np.ndarray
    correction: object

    @property
    def sigma(self):
        """Noise of the expected line integrals, counts only."""
        return np.sqrt(np.exp(self.expected) / COUNTS * 1.3)


def expected_line_integrals(frames, rows, columns):
    """Chords (frame, row, column) of a pellet of layers in a sleeve; the axis wanders as a sample off the axis does."""
    mu = np.repeat(LAYERS, -(-rows // len(LAYERS)))[:rows]
    axis = (columns - 1) / 2 + 0.02 * columns * np.cos(np.arange(frames) * np.pi / frames)
    distance = (np.arange(columns)[None] - axis[:, None]) / columns * 1.38
    pellet, sleeve = (2 * np.sqrt(np.maximum(r**2 - distance**2, 0)) for r in (0.3, 0.4))
    return (mu[:, None] * pellet[:, None] + 1.68 * (sleeve - pellet)[:, None]).astype(np.float32)


def make_case(frames, rows, columns):
    preset = Preset(rows, columns, frames, PIXEL_MM, COUNTS)
    detector = make_detector(preset, Beam("ideal"), Instrument(), seed=1)
    expected = expected_line_integrals(frames, rows, columns)
    seeds = iter(np.random.SeedSequence(1).spawn(frames + 60))

    def record(transmission, dose=1.0):
        return expose(
            detector, transmission, detector.gain, dose=dose, rng=np.random.default_rng(next(seeds))
        )

    raw = np.stack([record(np.exp(-one)) for one in expected])
    flats, darks = (
        np.stack([record(None) for _ in range(40)]),
        np.stack([record(None, 0.0) for _ in range(20)]),
    )
    scan = scan_from_arrays(
        raw, np.arange(frames) * 180 / frames, flats=flats, darks=darks, pixel_size_mm=PIXEL_MM
    )
    return Case(raw, expected, prepare_correction(scan))


@dataclass(frozen=True)
class Chain:
    """`correct` takes raw frames and returns line integrals (frame, row, column)."""

    name: str
    does: str
    correct: Callable


def deltamu_chain(case, stripes):
    def correct(raw):
        lines = correct_frames(raw, case.correction).line_integrals
        return remove_stripes(lines, method="sorting", size=SORTING_SIZE) if stripes else lines

    return Chain(
        "deltamu",
        "bad pixels interpolated; hits by local noise, looked for twice; starved pixels averaged; bias of −log",
        correct,
    )


def algotom_chain(case, stripes, *, same_steps):
    steps = import_module("algotom.prep.correction")
    removal = import_module("algotom.prep.removal")
    known = case.correction
    bad, flat = known.bad_pixels.astype(np.float32), known.flat + known.dark
    zinger = {"method": "remove_zinger", "para1": ZINGER_THRESHOLD, "para2": ZINGER_SIZE, "para3": same_steps}
    options = {"option2": zinger}
    if same_steps:
        options = {"option1": {"method": "remove_blob", "para1": bad}, **options}
    weight = sum(float(known.flat[:, a:b].sum()) for a, b in known.air_columns)

    def one(frame):
        found = steps.flat_field_correction(frame, flat, known.dark, **options)
        dose = sum(float((found[:, a:b] * known.flat[:, a:b]).sum()) for a, b in known.air_columns) / weight
        # −log of a dead pixel is not finite: it is left as algotom leaves it
        with np.errstate(all="ignore"):
            return -np.log(found / np.float32(dose))

    def correct(raw):
        with ThreadPoolExecutor(thread_count()) as pool:
            lines = np.stack(list(pool.map(one, raw)))
            if stripes:
                rows = pool.map(
                    lambda row: removal.remove_stripe_based_sorting(lines[:, row], SORTING_SIZE),
                    range(lines.shape[1]),
                )
                lines = np.stack(list(rows), axis=1)
        return lines

    name = "algotom, the same steps" if same_steps else "algotom, fewest steps"
    does = (
        "bad pixels by remove_blob, hits only where they are small" if same_steps else "no bad pixels; hits"
    )
    return Chain(name, does, correct)


@dataclass(frozen=True)
class Measurement:
    """One chain."""

    chain: str
    does: str
    stripes: bool
    million_pixels_per_s: float
    times_ours: float
    cpu_times_ours: float
    left: int | None
    lost_percent: float | None
    rounds_s: list[float]


def measure(case, rounds, *, stripes):
    """Run all chains in turn, `rounds` times after one round that is not counted."""
    chains = [
        deltamu_chain(case, stripes),
        algotom_chain(case, stripes, same_steps=False),
        algotom_chain(case, stripes, same_steps=True),
    ]
    results = [chain.correct(case.raw) for chain in chains]
    times = in_turn({chain.name: partial(chain.correct, case.raw) for chain in chains}, rounds)
    ours = times[chains[0].name]
    return [summarise(*pair, case, times, ours, stripes) for pair in zip(chains, results, strict=True)]


def summarise(chain, result, case, times, ours, stripes):
    wall = times[chain.name][:, 0]
    ratios = np.median(times[chain.name] / ours, axis=0)
    left, lost = (None, None) if stripes else quality(result, case)
    return Measurement(
        chain.name, chain.does, stripes, round(case.raw.size / float(np.median(wall)) / 1e6, 1),
        round(float(ratios[0]), 2), round(float(ratios[1]), 2), left, lost, [round(float(t), 4) for t in wall],
    )  # fmt: skip


def quality(result, case):
    """Pixels that a hit still darkens, and good pixels far too dark or replaced, where counts are plenty."""
    plenty = (case.expected < 4) & ~case.correction.bad_pixels
    pulls = ((result - case.expected) / case.sigma)[plenty]
    return int(np.count_nonzero(~(pulls > -LEFT_SIGMAS))), round(100 * float(np.mean(pulls > LEFT_SIGMAS)), 4)


def table(measurements, facts, shape):
    lines = [
        "# From raw frames to line integrals", "",
        ", ".join(f"{key} {value}" for key, value in facts.items()), "",
        "{} frames of {} × {} pixels. Ratios are medians over the rounds of the time over deltamu's.".format(*shape), "",
        "| chain | sorting filter | million pixels/s | wall × ours | CPU × ours | hits left | good pixels lost | does |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for m in measurements:
        quality = "– | –" if m.left is None else f"{m.left} | {m.lost_percent:.4f} %"
        lines.append(
            f"| {m.chain} | {'on' if m.stripes else 'off'} | {m.million_pixels_per_s:.1f} | {m.times_ours:.1f} "
            f"| {m.cpu_times_ours:.1f} | {quality} | {m.does} |"
        )
    return "\n".join(lines) + "\n"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.frames, options.rounds = 8, 1
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    rows, columns = (40, 96) if options.toy else (256, 1024)
    case = make_case(options.frames, rows, columns)
    measurements = measure(case, options.rounds, stripes=False)
    # sorting takes long and scatters little
    measurements += measure(case, min(options.rounds, 2), stripes=True)
    facts = {**machine(), "algotom": metadata.version("algotom")}
    name = "preprocess_toy" if options.toy else "preprocess"
    record = {"machine": facts, "measurements": [asdict(m) for m in measurements]}
    write_results(options.output, name, record, table(measurements, facts, case.raw.shape))


if __name__ == "__main__":
    main()
