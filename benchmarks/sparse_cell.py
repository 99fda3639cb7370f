"""Two states of the demo's cell around the cathode: noisy raw frames of few or many views, and the truth."""

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.preprocess.correction import correct_frames, line_integral_variance
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights
from deltamu.recon.scans.read import read_scan
from deltamu.recon.simulate.acquisition import ScanIdentity, acquire, scan_path
from deltamu.recon.simulate.builder import STATES, StudyBuilder, StudySettings
from deltamu.recon.simulate.cell import Cell
from deltamu.recon.simulate.presets import PRESETS, Instrument, Preset, find_beam
from deltamu.recon.simulate.truth import Truth

# half of the height that is simulated, and rows below the cathode's box that feed slices of tilted rays
HALF_HEIGHT_MM, BELOW = 0.864, 2
# frames that are corrected at a time
BLOCK = 32


@dataclass(frozen=True)
class Views:
    """What a scan says of the rows around the cathode.

    Attributes
    ----------
    line_integrals, weights : (angle, row, column) arrays
    angles : (angle,) array
        Radians.
    noise : float
        Of a line integral of weight one.
    transform : RigidTransform
        Reference to this scan.
    """

    line_integrals: np.ndarray
    weights: np.ndarray
    angles: np.ndarray
    noise: float
    transform: RigidTransform

    def every(self, step: int) -> "Views":
        """Each `step`-th view."""
        return Views(
            np.ascontiguousarray(self.line_integrals[::step]), np.ascontiguousarray(self.weights[::step]),
            self.angles[::step], self.noise, self.transform,
        )  # fmt: skip


@dataclass(frozen=True)
class SparseCell:
    """The cell of the demo in front of the detector of its preset `small`, pixels binned to `columns` in a row."""

    columns: int
    seed: int = 1

    @property
    def preset(self) -> Preset:
        """Views and rows go with the columns; counts with the area of a pixel."""
        small = PRESETS["small"]
        binned = small.columns / self.columns
        pixel = small.pixel_size_mm * binned
        return Preset(
            rows=2 * round(HALF_HEIGHT_MM / pixel), columns=self.columns, views=round(small.views / binned),
            pixel_size_mm=pixel, counts=small.counts * binned**2,
        )  # fmt: skip

    @cached_property
    def builder(self) -> StudyBuilder:
        """The study that this is a part of."""
        beam = find_beam("ideal")
        return StudyBuilder(StudySettings(self.preset, beam, Instrument(), Cell(), self.seed, False))

    @cached_property
    def truth(self) -> Truth:
        """Means over voxels around the cathode."""
        return self.builder.truth(lambda *_: None)

    @property
    def center(self) -> float:
        """Column of the rotation axis."""
        return self.truth.facts["center_px"][STATES[0]]

    @property
    def rows(self) -> slice:
        """Rows that are reconstructed."""
        start, stop = self.truth.box.start[0], self.truth.box.start[0] + self.truth.box.shape[0]
        return slice(max(start - BELOW, 0), stop)

    @property
    def inside(self) -> tuple[slice, slice, slice]:
        """The box of the truth as an index of the volumes."""
        first = self.truth.box.start[0] - self.rows.start
        return slice(first, None), *self.truth.box.slices[1:]

    @property
    def axis_mm(self) -> tuple[float, float]:
        """Where the axis of the bore crosses the middle of the cathode, (y, x)."""
        middle = self.truth.radius_mm[self.cathode_rows[0] - self.truth.box.start[0]]
        y, x = np.unravel_index(np.argmin(middle), middle.shape)
        _, first_y, first_x = self.truth.box.start
        return (first_y + y) * self.preset.pixel_size_mm, (first_x + x) * self.preset.pixel_size_mm

    @property
    def cathode_rows(self) -> tuple[int, int]:
        """(start, stop) of slices within the cathode all over, counted as the detector's rows."""
        near_axis = self.truth.radius_mm < self.truth.pellet_mm
        margin = self.preset.pixel_size_mm
        within = (self.truth.depth_mm > margin) & (self.truth.depth_mm < self.truth.cathode_mm - margin)
        whole = np.flatnonzero(np.all(within | ~near_axis, axis=(1, 2)))
        return self.truth.box.start[0] + int(whole[0]), self.truth.box.start[0] + int(whole[-1]) + 1

    def views(self, state: str) -> Views:
        """Simulate the raw frames of a state and correct them as a study does."""
        identity = ScanIdentity(state, STATES.index(state), state, "", "ideal", self.seed, False, 0.0)
        with tempfile.TemporaryDirectory() as folder:
            acquire(
                Path(folder), identity, lambda: self.builder.scene(state), self.builder.detector,
                progress=lambda *_: None,
            )  # fmt: skip
            scan = read_scan(scan_path(Path(folder), state))
            correction = prepare_correction(scan)
            views = np.empty((len(scan.angles), self.rows.stop - self.rows.start, self.columns), np.float32)
            weights = np.empty_like(views)
            for start in range(0, len(views), BLOCK):
                block = slice(start, min(start + BLOCK, len(views)))
                found = correct_frames(scan.read(block.start, block.stop), correction)
                variance = line_integral_variance(found.line_integrals, found.dose, correction)
                views[block] = found.line_integrals[:, self.rows]
                weights[block] = ray_weights(variance, correction)[:, self.rows]
        noise = open_beam_noise(correction)
        return Views(views, weights, scan.angles, noise, self.builder.registration(state))
