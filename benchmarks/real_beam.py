"""The change of a cathode seen in a real beam: its bias as it is, and with every correction, for two diameters.

    python benchmarks/real_beam.py [--toy] [--output FOLDER]

Raw frames of the simulated instrument (white beam, scatter, wide tail of the line spread, roll of the axis, jitter, gamma
hits, gain drift, dose dips; frames behind a black-body grid) of the cell of 6 mm and of the hard one of 10 mm, pristine,
discharged and fully lithiated, the layers exactly across the axis. They are corrected by the public functions, and the mean
change of the inner slices of the cathode follows from the zeroth moment of the views, without a reconstruction of the sample.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from side_by_side import RESULTS, facts_line, machine, write_results

from deltamu.kernels.backend import thread_count
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.preprocess.black_body import BlackBodyFrames
from deltamu.recon.preprocess.hardening import SpectrumHardening, linearise
from deltamu.recon.preprocess.line_spread import LineSpreadTail
from deltamu.recon.preprocess.transmission import line_integrals
from deltamu.recon.scans.read import scan_from_arrays
from deltamu.recon.simulate import profiles
from deltamu.recon.simulate.cell import (
    Cell,
    absorption_and_scattering,
    cell_materials,
    cell_state,
    single_wavelength,
)
from deltamu.recon.simulate.detector import beam_doses, black_body_grid, drifting_gains, expose, make_detector
from deltamu.recon.simulate.field import PelletField
from deltamu.recon.simulate.lithiation import make_lithiation
from deltamu.recon.simulate.poses import field_middle_mm, view_geometry
from deltamu.recon.simulate.presets import Instrument, Preset, find_beam
from deltamu.recon.simulate.textures import make_textures
from deltamu.recon.simulate.transmission import Scene, clean_transmission
from deltamu.recon.solvers.casing import casing_line_integrals

BEAM, INSTRUMENT, SEED = find_beam("real"), Instrument(), 1
# no texture either: what would lie above full lithiation is cut off, and the mean would not be known
STRAIGHT = {
    "tilt_deg": 0.0, "bow_mm": 0.0, "roughness_mm": 0.0, "texture_rms": 0.0, "pressure_gradient": 0.0, "featureless": True,
}  # fmt: skip
LEVELS = {"pristine": profiles.empty, "discharged": profiles.discharged, "full": profiles.flat(1.0)}
RATIOS = (0.131, 0.33)
# the blur of the faces reaches so far into the cathode
FACE_MM = 0.075


@dataclass(frozen=True)
class Case:
    """A cell in front of a detector."""

    cell: Cell
    preset: Preset

    @cached_property
    def rows(self):
        """Detector rows well inside the cathode."""
        start = field_middle_mm(self.preset)[0] + self.cell.cathode_start_mm
        ends = np.array([start + FACE_MM, start + self.cell.cathode_mm - FACE_MM]) / self.preset.pixel_size_mm
        return slice(int(np.ceil(ends[0])), int(np.floor(ends[1])) + 1)

    def scene(self, level):
        """Everything that stands in the beam, as it was mounted for all states."""
        textures = make_textures(self.cell, seed=SEED, voxel_mm=self.preset.fine_mm)
        state = cell_state(self.cell, "pristine", profile=LEVELS[level])
        materials = cell_materials(state, absorption_and_scattering)
        field = PelletField(
            self.cell, state, materials, textures, make_lithiation(self.cell, state, textures.lithium)
        )
        pose = RigidTransform(translation_mm=tuple(field_middle_mm(self.preset)))
        return Scene(field, pose, self.views, self.preset, BEAM)

    @cached_property
    def views(self):
        """Where the views look."""
        return view_geometry(self.preset, BEAM, seed=SEED, state_index=0)

    def true_change(self, level):
        """Mean Δμ of the rows at the mean wavelength, cm⁻¹."""
        state = cell_state(self.cell, "pristine", profile=LEVELS[level])
        full = cell_materials(state, single_wavelength(BEAM.wavelength_angstrom)).uptake[0]
        start = field_middle_mm(self.preset)[0] + self.cell.cathode_start_mm
        fine = (np.arange(self.rows.start, self.rows.stop, 0.05) - 0.475) * self.preset.pixel_size_mm - start
        return float(full * np.mean(LEVELS[level](fine / self.cell.cathode_mm)))


def large_and_small(*, toy):
    """The cell of 6 mm and the hard one of 10 mm; counts go with the area of a pixel."""
    views = 12 if toy else 90
    shrink = 4 if toy else 1
    sizes = {6: (0.027, 6_000.0, 128, 512), 10: (0.036, 10_700.0, 96, 512)}
    cells = {
        6: Cell(**STRAIGHT),
        10: Cell(radius_mm=5.0, sleeve_mm=6.0, housing_mm=8.0, **STRAIGHT),
    }
    for diameter, (pixel, counts, rows, columns) in list(sizes.items())[: 1 if toy else 2]:
        preset = Preset(rows // shrink, columns // shrink, views, pixel * shrink, counts * shrink**2)
        yield diameter, Case(cells[diameter], preset)


@dataclass(frozen=True)
class Frames:
    """Raw frames of one state: the scan, and an acquisition behind the grid."""

    scan: object
    grid: object


def record(case, level, number):
    """Raw frames of a state as the instrument takes them."""
    detector = make_detector(case.preset, BEAM, INSTRUMENT, seed=SEED)
    with ThreadPoolExecutor(thread_count()) as pool:
        transmission = clean_transmission(case.scene(level), pool=pool)
    angles = case.preset.angles_deg
    behind = np.linspace(0, len(angles), min(BEAM.black_bodies, len(angles)), endpoint=False).astype(int)
    grid = black_body_grid(case.preset)
    return Frames(
        take(detector, transmission, angles, number),
        take(detector, transmission[behind], angles[behind], 1000 + number, grid=grid),
    )


def take(detector, transmission, angles, number, *, grid=None):
    """One acquisition: darks, flats before and after, views."""
    gains = drifting_gains(detector, seed=SEED, state_index=number)
    kinds = [(None, gains.before)] * INSTRUMENT.flats
    kinds += [(image, gains.scan) for image in transmission]
    kinds += [(None, gains.after)] * INSTRUMENT.flats
    doses = beam_doses(INSTRUMENT, len(kinds), seed=SEED, state_index=number)

    def shot(frame):
        image, gain = kinds[frame]
        rng = np.random.default_rng([SEED, number, frame])
        return expose(detector, image, gain, dose=float(doses[frame]), rng=rng, grid=grid)

    def dark(frame):
        rng = np.random.default_rng([SEED, number, 10_000 + frame])
        return expose(detector, None, gains.scan, dose=0.0, rng=rng)

    with ThreadPoolExecutor(thread_count()) as pool:
        frames = np.stack(list(pool.map(shot, range(len(kinds)))))
        darks = np.stack(list(pool.map(dark, range(INSTRUMENT.darks))))
    flats = INSTRUMENT.flats
    return scan_from_arrays(
        frames[flats:-flats], angles, flats=frames[:flats], flats_after=frames[-flats:], darks=darks,
        pixel_size_mm=detector.preset.pixel_size_mm,
    )  # fmt: skip


def corrected(case, frames, *, background, tail):
    """Line integrals of the whole spectrum."""
    options = {}
    if background:
        options["black_body"] = BlackBodyFrames(frames.grid, frames.scan.angles)
    if tail:
        width = BEAM.tail_fwhm_um / 1e3 / case.preset.pixel_size_mm
        options["tail"] = LineSpreadTail(BEAM.tail_fraction, width)
    return line_integrals(frames.scan, stripes="off", **options)[:, case.rows]


def slice_mean(case, lines, ratio):
    """Mean attenuation of the pellet in every row, the casing left out; hardening undone where a ratio is given."""
    place = {
        "center": case.views.center_px, "pixel_size_mm": case.preset.pixel_size_mm, "radius_mm": case.cell.radius_mm,
    }  # fmt: skip
    casing = casing_line_integrals(lines.mean(axis=1, keepdims=True), case.views.angles, **place)
    if ratio is not None:
        model = SpectrumHardening(BEAM.wavelength_angstrom, BEAM.spectrum, scattering_ratio_angstrom=ratio)
        lines, _ = linearise(lines, model, inert=casing)
    chords = (lines - casing).sum(axis=2, dtype=np.float64).mean(axis=0) * case.preset.pixel_size_mm / 10
    return chords / case.cell.area_cm2


WAYS = {
    "as it is": ({"background": False, "tail": False}, None),
    "scatter and tail": ({"background": True, "tail": True}, None),
    "hardening, 0.131 Å": ({"background": False, "tail": False}, RATIOS[0]),
    "all, 0.131 Å": ({"background": True, "tail": True}, RATIOS[0]),
    "all, 0.33 Å": ({"background": True, "tail": True}, RATIOS[1]),
}


@dataclass(frozen=True)
class Measurement:
    """Bias of the mean change of the inner slices."""

    diameter_mm: int
    way: str
    discharged_percent: float
    full_percent: float


def measure(diameter, case):
    """Bias of every way for both changes."""
    means = {}
    for number, level in enumerate(LEVELS):
        frames = record(case, level, number)
        lines = {}
        for way, (options, ratio) in WAYS.items():
            key = tuple(options.values())
            if key not in lines:
                lines[key] = corrected(case, frames, **options)
            means[way, level] = float(np.mean(slice_mean(case, lines[key], ratio)))
    for way in WAYS:
        bias = [
            100 * ((means[way, level] - means[way, "pristine"]) / case.true_change(level) - 1)
            for level in ("discharged", "full")
        ]
        yield Measurement(diameter, way, *(round(b, 2) for b in bias))


def table(measurements, facts):
    lines = [
        "# The change of a cathode in a real beam", "", facts_line(facts), "",
        "Bias of the mean Δμ of the inner slices of the cathode, at the mean wavelength of the beam, per cent.", "",
        "| diameter | corrected | discharged − pristine | full − pristine |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {m.diameter_mm} mm | {m.way} | {m.discharged_percent:+.2f} | {m.full_percent:+.2f} |"
        for m in measurements
    ]
    return "\n".join(lines) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    measurements = [m for case in large_and_small(toy=options.toy) for m in measure(*case)]
    facts = machine()
    record_ = {"machine": facts, "measurements": [asdict(m) for m in measurements]}
    name = "real_beam_toy" if options.toy else "real_beam"
    write_results(options.output, name, record_, table(measurements, facts))


if __name__ == "__main__":
    main()
