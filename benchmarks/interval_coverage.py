"""How often the 95 % interval of a depth bin covers its expectation, over repeated noise of a tiny cell.

    python benchmarks/interval_coverage.py [--repetitions 200] [--toy] [--output FOLDER]

A pellet of 6 mm in its sleeve, 160 columns of 90 µm, 250 views, 66 700 neutrons per pixel of open beam, 40 open
frames that all views share: exact chords, Poisson counts, logarithm, FBP with a Hann filter, means over discs of
0.8 R in every row (a row is a depth bin here). The expectation is the reconstruction without noise. Two errors are
judged: by the adjoint, and by the scatter of twelve subsets of the views plus the open beam's part.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats
from side_by_side import RESULTS, facts_line, machine, write_results

from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.fbp_adjoint import readout_variance, readout_weights
from deltamu.recon.solvers.noise import fbp_variance, ring_variance

COLUMNS, VIEWS, PIXEL_MM, COUNTS, OPEN_FRAMES, SUBSETS = 160, 250, 0.09, 66_700.0, 40, 12
# separator, cathode and steel of physics.md, cm⁻¹; a sleeve around them
PELLET = np.array([2.568, 1.80, 2.40, 2.10, 1.286])
SLEEVE, RADII_MM = 1.68, (3.0, 4.0)
CENTER = (COLUMNS - 1) / 2 + 0.37


def line_integrals() -> np.ndarray:
    """Chords of coaxial cylinders, (view, row, column)."""
    distance = (np.arange(COLUMNS) - CENTER) * PIXEL_MM
    chords = [0.2 * np.sqrt(np.maximum(r**2 - distance**2, 0)) for r in RADII_MM]
    rows = PELLET[:, None] * chords[0] + SLEEVE * (chords[1] - chords[0])
    return np.broadcast_to(rows, (VIEWS, *rows.shape))


def disc() -> np.ndarray:
    y, x = np.indices((COLUMNS, COLUMNS)) - (COLUMNS - 1) / 2
    inside = np.hypot(y, x) * PIXEL_MM < 0.8 * RADII_MM[0]
    return inside / inside.sum()


def measure(repetitions: int, seed: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    angles = np.arange(VIEWS) * np.pi / VIEWS
    options = {"center": CENTER, "pixel_size_mm": PIXEL_MM, "filter": "hann"}
    exact, mask = line_integrals(), disc()
    expected = fbp(exact.astype(np.float32), angles, **options)
    truth = np.tensordot(expected, mask, 2)
    shared = np.full(exact.shape[1:], 1 / (COUNTS * OPEN_FRAMES))
    weights = [readout_weights(mask[None], angles, columns=COLUMNS, **options)] * len(PELLET)
    ring = np.array([
        readout_variance(w, np.zeros(w.shape), open_beam_variance=shared[:1]) for w in weights
    ])  # fmt: skip
    # degrees of freedom behind an error that is itself estimated (Welch and Satterthwaite)
    freedom: dict[str, list] = {"jackknife": [], "jackknife_without_open_beam": []}
    pulls: dict[str, list] = {"adjoint": [], "jackknife": [], "jackknife_without_open_beam": []}
    voxels = []
    for _ in range(repetitions):
        counts = rng.poisson(COUNTS * np.exp(-exact))
        beam = rng.poisson(COUNTS * OPEN_FRAMES, exact.shape[1:]) / OPEN_FRAMES
        # the mean of −ln N is off by 1/(2N), which the chain corrects
        noisy = (-np.log(counts / beam) - 0.5 / counts).astype(np.float32)
        slices = fbp(noisy, angles, **options)
        means = np.tensordot(slices, mask, 2)
        voxels.append(slices[:, mask > 0])
        per_view = np.array([
            readout_variance(w, (1 / counts)[:, k : k + 1], open_beam_variance=shared[:1])
            for k, w in enumerate(weights)
        ])  # fmt: skip
        parts = np.array([
            np.tensordot(fbp(noisy[k::SUBSETS], angles[k::SUBSETS], **options), mask, 2) for k in range(SUBSETS)
        ])  # fmt: skip
        scatter = parts.var(axis=0, ddof=1) / SUBSETS
        freedom["jackknife"].append((SUBSETS - 1) * ((scatter + ring) / scatter) ** 2)
        freedom["jackknife_without_open_beam"].append(np.full(len(PELLET), SUBSETS - 1.0))
        pulls["adjoint"].append((means - truth) / np.sqrt(per_view))
        pulls["jackknife"].append((means - truth) / np.sqrt(scatter + ring))
        pulls["jackknife_without_open_beam"].append((means - truth) / np.sqrt(scatter))
    sigma = np.sqrt(
        fbp_variance(np.exp(exact).astype(np.float32) / np.float32(COUNTS), angles, **options)
        + ring_variance(shared, angles=angles, **options)
    )[:, mask > 0]
    found = {name: _coverage(np.array(pulls[name]), np.array(freedom.get(name, np.inf))) for name in pulls}
    return {
        "repetitions": repetitions, "bins": len(PELLET), "coverage_95_percent": found,
        "voxel_sigma_over_sample": float(
            np.sqrt(np.mean(sigma**2) / np.mean(np.var(voxels, axis=0, ddof=1)))
        ),
    }  # fmt: skip


def _coverage(pulls: np.ndarray, freedom: np.ndarray) -> dict[str, object]:
    inside = np.mean(np.abs(pulls) < stats.t.ppf(0.975, freedom), axis=0)
    return {
        "mean": float(inside.mean()), "each_bin": [round(float(v), 3) for v in inside],
        "pull_sd": float(pulls.std()), "pull_mean": float(pulls.mean()),
    }  # fmt: skip


def table(found: dict, facts: dict) -> str:
    lines = [
        "# How often 95 % intervals of depth bins cover their expectation",
        "",
        facts_line(facts),
        "",
        f"{found['repetitions']} repeated noises, {found['bins']} bins. Stated noise of a voxel over the scatter of "
        f"the repetitions: {found['voxel_sigma_over_sample']:.4f}.",
        "",
        "| error of a bin | covers | each bin | SD of (found − expected) / error |",
        "|---|---|---|---|",
    ]
    for name, row in found["coverage_95_percent"].items():
        bins = ", ".join(f"{100 * value:.1f}" for value in row["each_bin"])
        lines.append(
            f"| {name.replace('_', ' ')} | {100 * row['mean']:.1f} % | {bins} | {row['pull_sd']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--toy", action="store_true", help="a few repetitions: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    found, facts = measure(2 if given.toy else given.repetitions, given.seed), machine()
    name = "interval_coverage_toy" if given.toy else "interval_coverage"
    write_results(given.output, name, {"machine": facts, **found}, table(found, facts))


if __name__ == "__main__":
    main()
