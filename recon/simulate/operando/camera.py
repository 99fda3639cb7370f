"""The frames of a series: the cell as it is at every exposure, drifting, in front of a camera that counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.simulate.blur import PixelBlur, pixel_blur
from deltamu.recon.simulate.detector import (
    Detector,
    ScanGains,
    beam_doses,
    black_body_grid,
    drifting_gains,
    expose,
    make_detector,
)
from deltamu.recon.simulate.operando.stack import Array, Layer, RayGrid, Surfaces
from deltamu.recon.simulate.presets import Beam, Instrument, Preset

Raw = NDArray[np.uint16]
Float = NDArray[np.float64]

# random streams that no frame number reaches
_DARKS, _FLATS, _GRID = 10_000_000, 20_000_000, 30_000_000
_SHORT_ANGSTROM, _LONG_ANGSTROM = 1.0, 5.0


class OperandoCell(Protocol):
    """A cell whose line integrals are known at every time."""

    @property
    def surfaces(self) -> Surfaces:
        """How the layers lie."""

    @property
    def radius_mm(self) -> float:
        """Radius of the pellet."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The stack along the rows."""

    @property
    def start_mm(self) -> float:
        """Height at which it begins; 0 is the middle of the field."""

    @property
    def current_ma(self) -> float:
        """Current that the cycler is set to."""

    @property
    def wavelength_angstrom(self) -> float:
        """Of the beam."""

    def line_integrals(self, grid: RayGrid, time_s: float) -> Array:
        """(row, column), at a time since the current was switched on."""


@dataclass(frozen=True)
class Drift:
    """How the sample wanders over the detector.

    Attributes
    ----------
    rows_px, columns_px : float
        Reached at the end of the series.
    unrest_px : float
        Standard deviation of a frame about the smooth path.
    """

    rows_px: float = 0.5
    columns_px: float = -0.35
    unrest_px: float = 0.01

    def path_px(self, times_s: Float, *, seed: int) -> Float:
        """(frame, 2) shifts along rows and columns."""
        share = (times_s - times_s[0]) / max(float(np.ptp(times_s)), 1e-9)
        warming = -np.expm1(-3 * share) / -np.expm1(-3.0)
        smooth = np.stack([self.rows_px * warming, self.columns_px * share], axis=1)
        rng = np.random.default_rng([seed, 4000])
        return np.asarray(smooth + self.unrest_px * rng.standard_normal(smooth.shape))


@dataclass(frozen=True)
class SeriesCamera:
    """Draws any frame of a series by itself; each has its own random numbers.

    Attributes
    ----------
    cell : OperandoCell
    preset, beam, instrument
        As for a tomography; the number of views is the number of frames.
    times_s : (frame,) array
        Middle of the exposures, since the current was switched on.
    drift : Drift
    seed : int
    """

    cell: OperandoCell
    preset: Preset
    beam: Beam
    instrument: Instrument
    times_s: Float
    drift: Drift
    seed: int

    @property
    def axis_px(self) -> float:
        """Column of the axis of the pellet before it drifts."""
        return (self.preset.columns - 1) / 2 + 0.3

    @cached_property
    def drift_px(self) -> Float:
        """(frame, 2) shifts along rows and columns."""
        return self.drift.path_px(self.times_s, seed=self.seed)

    @cached_property
    def detector(self) -> Detector:
        """The camera with its faults."""
        return make_detector(self.preset, self.beam, self.instrument, seed=self.seed)

    @cached_property
    def _gains(self) -> ScanGains:
        return drifting_gains(self.detector, seed=self.seed, state_index=0)

    @cached_property
    def doses(self) -> Float:
        """Beam of every frame."""
        return beam_doses(self.instrument, self.times_s.size, seed=self.seed, state_index=0)

    @cached_property
    def _blur(self) -> PixelBlur:
        return pixel_blur(self.preset, self.beam)

    def transmission(self, frame: int) -> Array:
        """Transmission (row, column) of a frame before counting."""
        depth = self._depth(self._rays(frame), float(self.times_s[frame]))
        np.negative(depth, out=depth)
        return self._blur(np.exp(depth, out=depth))

    def _depth(self, rays: RayGrid, time_s: float) -> Array:
        """−ln T before the detector. Absorption grows with the wavelength, scattering does not: two say all."""
        spectrum = self.beam.spectrum
        if spectrum is None:
            return self.cell.line_integrals(rays, time_s)
        short, long = (cell.line_integrals(rays, time_s).astype(np.float64) for cell in self._monochromatic)
        absorption = (long - short) / (_LONG_ANGSTROM - _SHORT_ANGSTROM)
        return spectrum.optical_depth(absorption, short - _SHORT_ANGSTROM * absorption).astype(np.float32)

    @cached_property
    def _monochromatic(self) -> tuple[OperandoCell, OperandoCell]:
        """The cell in two beams of one wavelength each."""
        short, long = (replace(self.cell, wavelength_angstrom=at) for at in (_SHORT_ANGSTROM, _LONG_ANGSTROM))  # type: ignore[type-var]
        return short, long

    def frame(self, frame: int) -> Raw:
        """One recorded frame."""
        rng = np.random.default_rng([self.seed, 1, frame])
        return expose(
            self.detector, self.transmission(frame), self._gains.scan, dose=float(self.doses[frame]), rng=rng
        )

    def references(self) -> Mapping[str, list[Raw]]:
        """Darks, and flats before and after the series."""
        kinds = {"darks": (self.instrument.darks, 0.0, self._gains.before)}
        kinds["flats_before"] = (self.instrument.flats, 1.0, self._gains.before)
        kinds["flats_after"] = (self.instrument.flats, float(self.doses[-1]), self._gains.after)
        return {kind: self._without_sample(kind, *how) for kind, how in kinds.items()}

    def grid_frames(self, count: int) -> Mapping[str, list[Raw]]:
        """Frames of the cell (the first ones) and of the open beam behind a grid of black bodies."""
        grid, gain = black_body_grid(self.preset), self._gains.scan
        rngs = [np.random.default_rng([self.seed, _GRID, number]) for number in range(2 * count)]
        cell = self.transmission(0)
        return {
            "projections": [
                expose(self.detector, cell, gain, dose=1.0, rng=rng, grid=grid) for rng in rngs[:count]
            ],
            "flats": [
                expose(self.detector, None, gain, dose=1.0, rng=rng, grid=grid) for rng in rngs[count:]
            ],
        }

    def _without_sample(self, kind: str, count: int, dose: float, gain: Array) -> list[Raw]:
        stream = _DARKS if kind == "darks" else _FLATS + (kind == "flats_after")
        rngs = [np.random.default_rng([self.seed, stream, number]) for number in range(count)]
        return [expose(self.detector, None, gain, dose=dose, rng=rng) for rng in rngs]

    def _rays(self, frame: int) -> RayGrid:
        preset, halo = self.preset, self._blur.halo
        down, right = self.drift_px[frame]
        # ray j of a pixel that holds `fine` has its centre at (j + 1/2) / fine − 1/2 pixels
        rows = (np.arange(-halo, preset.fine * preset.rows + halo) + 0.5) / preset.fine - 0.5
        columns = (np.arange(-halo, preset.fine * preset.columns + halo) + 0.5) / preset.fine - 0.5
        return RayGrid(
            (rows - (preset.rows - 1) / 2 - down) * preset.pixel_size_mm,
            (columns - self.axis_px - right) * preset.pixel_size_mm,
            preset.fine_mm,
            self.cell.surfaces,
        )
