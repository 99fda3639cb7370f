"""What edges leave in the difference of two scans of the same moved object, by three ways onto one grid.

    python benchmarks/onto_grid.py [--size 96] [--views 180] [--poses 5] [--toy] [--output FOLDER]

Two ellipsoids one in the other, exact line integrals, blurred before they are sampled. The moved scan comes onto the
grid of the other one straight (`fbp_onto`), or by filtered back-projection and trilinear or spline resampling, with the
motion known. Interpolation smooths, so the ways are compared at equal noise: the cut-off of the Hann filter, the same
for both scans, is lowered until white noise of the data leaves as much in the difference as it does in the trilinear
one at a cut-off of 1. The residue is the RMS of the difference without noise, within the edges of the object.
"""

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter, gaussian_gradient_magnitude
from scipy.optimize import brentq
from side_by_side import RESULTS, facts_line, machine, write_results

from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import middle_of, parallel_geometry
from deltamu.recon.simulate.body_rays import ray_integrals
from deltamu.recon.simulate.ellipses import Ellipsoid
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.onto import fbp_onto

VOXEL_MM = 0.1
# samples along an edge of a pixel while the views are blurred
FINER = 4
WAYS = ("straight", "trilinear", "spline")


@dataclass(frozen=True)
class Case:
    """Two scans of the same object."""

    size: int
    views: int
    fwhm_px: float

    @property
    def shape(self):
        """(z, y, x)."""
        return self.size // 2, self.size, self.size

    @property
    def angles(self):
        """Radians over half a turn."""
        return np.arange(self.views) * np.pi / self.views

    @property
    def place(self):
        """Centre and pixel size."""
        return {"center": self.size / 2 - 1.2, "pixel_size_mm": VOXEL_MM}

    @property
    def object(self):
        """An ellipsoid of 2 per cm with one of 3 per cm inside."""
        (z, y, x), unit = middle_of(self.shape, VOXEL_MM), self.size * VOXEL_MM / 48
        outer = Ellipsoid(2.0, 7 * unit, 16 * unit, 12 * unit, z=z, y=y - unit, x=x + 2 * unit, turn_deg=20)
        return [
            outer,
            Ellipsoid(1.0, 4 * unit, 5 * unit, 4 * unit, z=z + unit, y=y + 3 * unit, x=x - 4 * unit),
        ]

    def line_integrals(self, pose):
        """(angle, row, column) of the moved object."""
        scan = parallel_geometry(
            self.angles,
            detector_shape=self.shape[:2],
            middle_mm=middle_of(self.shape, VOXEL_MM),
            **self.place,
        ).of_moved_volume(pose)
        places = [[FINER, 0, (FINER - 1) / 2], [0, FINER, (FINER - 1) / 2]]
        rows, columns = self.shape[:2]
        fine = ray_integrals(self.object, scan.on_detector(places, (FINER * rows, FINER * columns)))
        blurred = gaussian_filter(fine, (0, *[FINER * self.fwhm_px / 2.3548] * 2))
        return blurred.reshape(self.views, rows, FINER, columns, FINER).mean(axis=(2, 4)).astype(np.float32)


@dataclass(frozen=True)
class Measurement:
    """One way on one pose; residues in 1/cm."""

    way: str
    fwhm_px: float
    pose: int
    cutoff: float
    noise: float
    residue: float


def reference_of(case, views, cutoff):
    return fbp(views, case.angles, filter="hann", cutoff=cutoff, **case.place)


def moved_onto(case, way, pose, views, cutoff):
    if way == "straight":
        return fbp_onto(views, case.angles, pose, filter="hann", cutoff=cutoff, **case.place)
    own = reference_of(case, views, cutoff)
    return resample(own, pose, voxel_size_mm=VOXEL_MM, order=1 if way == "trilinear" else 3)


def random_pose(case, rng):
    """Some voxels along and across, two degrees about every axis."""
    shift = rng.uniform(-1.5, 1.5, 3) * VOXEL_MM
    return RigidTransform(tuple(rng.uniform(-2, 2, 3)), tuple(shift), middle_of(case.shape, VOXEL_MM))


def measure(case, widths, number, rng):
    """All ways on one pose, for every blur."""
    pose = random_pose(case, rng)
    edges = edges_of(reference_of(case, case.line_integrals(RigidTransform()), 1.0))
    noises = rng.standard_normal((2, case.views, *case.shape[:2]), np.float32)

    def noise(way, cutoff):
        parts = moved_onto(case, way, pose, noises[0], cutoff), reference_of(case, noises[1], cutoff)
        return float(np.hypot(*(part[edges].std() for part in parts)))

    allowed = noise("trilinear", 1.0)
    cutoffs = {"trilinear": 1.0}
    for way in ("straight", "spline"):
        cutoffs[way] = cutoff_for(lambda cutoff, way=way: noise(way, cutoff) - allowed)
    left = {way: noise(way, cutoffs[way]) for way in WAYS}
    return [
        Measurement(way, fwhm, number, cutoffs[way], left[way], residue)
        for fwhm in widths
        for way, residue in residues(replace(case, fwhm_px=fwhm), pose, cutoffs, edges).items()
    ]


def residues(case, pose, cutoffs, edges):
    """RMS of the differences at the edges, without noise."""
    still, moved = case.line_integrals(RigidTransform()), case.line_integrals(pose)
    found = {}
    for way in WAYS:
        difference = moved_onto(case, way, pose, moved, cutoffs[way]) - reference_of(
            case, still, cutoffs[way]
        )
        found[way] = float(np.sqrt(np.mean(difference[edges].astype(float) ** 2)))
    return found


def cutoff_for(excess):
    """The cut-off at which noise is as allowed; 1 where it never is more."""
    return 1.0 if excess(1.0) <= 0 else float(brentq(excess, 0.4, 1.0, xtol=2e-3))


def edges_of(volume):
    """Voxels within one of a surface, away from the ends where a motion leads beyond the scan."""
    steep = gaussian_gradient_magnitude(volume, 0.7)
    edges = binary_dilation(steep > 0.3 * steep.max())
    for axis, length in enumerate(volume.shape):
        inner = np.arange(length)
        shape = [-1 if k == axis else 1 for k in range(3)]
        edges &= ((inner >= 4) & (inner < length - 4)).reshape(shape)
    return edges


def less_than(measurements, way):
    """What the straight way leaves less than another, for every pose."""
    by = {(m.way, m.fwhm_px, m.pose): m.residue for m in measurements}
    return np.array([1 - by["straight", *key[1:]] / value for key, value in by.items() if key[0] == way])


def table(case, measurements, facts):
    lines = [
        "# Straight onto the grid of the reference",
        "",
        facts_line(facts),
        "",
        f"{case.shape[0]} × {case.size}² voxels, {case.views} views; edges of 2 and 1 per cm. Range over the poses.",
        "",
        "| blur (FWHM), pixels | way | cut-off | noise | residue at edges, 1/cm | straight leaves less by |",
        "|---|---|---|---|---|---|",
    ]
    for fwhm in sorted({m.fwhm_px for m in measurements}):
        these = [m for m in measurements if m.fwhm_px == fwhm]
        for way in WAYS:
            own = [m for m in these if m.way == way]
            less = "–" if way == "straight" else spread(100 * less_than(these, way), "{:.0f}") + " %"
            values = (
                spread([getattr(m, key) for m in own], "{:.3g}") for key in ("cutoff", "noise", "residue")
            )
            lines.append(f"| {fwhm:g} | {way} | {' | '.join(values)} | {less} |")
    return "\n".join(lines) + "\n"


def spread(values, form):
    low, high = (form.format(bound) for bound in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--views", type=int, default=180)
    parser.add_argument("--poses", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.size, options.views, options.poses = 32, 40, 1
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    widths = (1.4,) if options.toy else (1.0, 1.4, 2.0)
    case = Case(options.size, options.views, widths[0])
    rng, measurements = np.random.default_rng(options.seed), []
    for number in range(options.poses):
        measurements += measure(case, widths, number, rng)
    facts = machine()
    name = "onto_grid_toy" if options.toy else "onto_grid"
    record = {"machine": facts, "measurements": [asdict(m) for m in measurements]}
    write_results(options.output, name, record, table(case, measurements, facts))


if __name__ == "__main__":
    main()
