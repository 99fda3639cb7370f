"""The simulated cell in any pose, drawn from its formulas, and the noise of its reconstruction."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import fft, ndimage

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.simulate.blur import light_kernel
from deltamu.recon.simulate.builder import StudyBuilder, StudySettings
from deltamu.recon.simulate.cell import Cell, single_wavelength
from deltamu.recon.simulate.field import PelletField, sample_field
from deltamu.recon.simulate.poses import body_registration
from deltamu.recon.simulate.presets import Instrument, Preset, find_beam
from deltamu.recon.solvers.fbp import fbp

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
BEAM = find_beam("ideal")


@dataclass(frozen=True)
class RemountedCell:
    """The cell and the instrument of the demo; volumes hold `side` x `side` voxels around the axis."""

    preset: Preset
    side: int
    stack_shift_mm: float = 0.010
    seed: int = 1

    @cached_property
    def builder(self) -> StudyBuilder:
        """The study whose cell this is."""
        cell = Cell(stack_shift_mm=self.stack_shift_mm)
        return StudyBuilder(StudySettings(self.preset, BEAM, Instrument(), cell, self.seed, False))

    @property
    def voxel_mm(self) -> float:
        """Edge of a voxel."""
        return self.preset.pixel_size_mm

    @property
    def start(self) -> np.ndarray:
        """First voxel of the volumes in the field of view."""
        edge = (self.preset.columns - self.side) // 2
        return np.array([0, edge, edge])

    def field(self, state: str) -> PelletField:
        """Contents of the bore, and the sleeve."""
        single = single_wavelength(BEAM.wavelength_angstrom)
        return replace(self.builder.field(state, single), sleeve=True)

    def pose(self) -> RigidTransform:
        """Sample → reference volume."""
        inside = RigidTransform(translation_mm=tuple(-self.start * self.voxel_mm))
        return inside @ self.builder.pose("pristine")

    def truth(self, remount: RigidTransform) -> RigidTransform:
        """True motion of separator, cathode and collector."""
        pristine, discharged = (self.builder.cell_state(name) for name in ("pristine", "discharged"))
        pose = self.pose()
        return body_registration(pose, remount @ pose, reference_state=pristine, moving_state=discharged)


def draw(
    scene: RemountedCell, field: PelletField, pose: RigidTransform, pool: ThreadPoolExecutor
) -> np.ndarray:
    """Reconstruct a cell in a pose without noise, (z, y, x) cm⁻¹."""
    fine = scene.preset.fine
    rows, side, step = fine * scene.preset.rows, fine * scene.side, scene.preset.fine_mm
    inverse = pose.inverse()
    affine = np.column_stack(
        [inverse.matrix * step, inverse.apply(np.full(3, 0.5 * step - 0.5 * scene.voxel_mm))]
    )
    values = sample_field(field, affine, (rows, side, side), voxel_mm=step, pool=pool)[0]
    values += _housing(scene, field, affine, pool)
    sigma_mm = BEAM.detector_fwhm_um / FWHM_PER_SIGMA / 1000
    values = ndimage.gaussian_filter1d(values, sigma_mm / step, axis=0, mode="nearest")
    values = values.reshape(scene.preset.rows, fine, side, side).mean(axis=1)
    response = _lateral_response(scene, side, sigma_mm)
    return np.stack(list(pool.map(lambda plane: _thinned(plane, response, scene.side), values)))


def _housing(
    scene: RemountedCell, field: PelletField, affine: np.ndarray, pool: ThreadPoolExecutor
) -> np.ndarray:
    """Fill what lies outside the sleeve with the material of the housing, on the fine grid."""
    side, step = scene.preset.fine * scene.side, scene.preset.fine_mm
    index = np.arange(side, dtype=np.float32)

    def plane(row: int) -> np.ndarray:
        y, x = (
            (a[0] * row + a[3] + a[1] * index).astype(np.float32)[:, None] + a[2].astype(np.float32) * index
            for a in affine[1:]
        )
        outside = (np.hypot(y, x) - np.float32(field.cell.sleeve_mm)) / np.float32(step) + np.float32(0.5)
        return np.clip(outside, 0, 1) * _aluminium(field)

    return np.stack(list(pool.map(plane, range(scene.preset.fine * scene.preset.rows))))


def _aluminium(field: PelletField) -> np.float32:
    return np.float32(field.materials.parts["housing"][0])


def _lateral_response(scene: RemountedCell, side: int, sigma_mm: float) -> np.ndarray:
    """Transfer function of detector, aperture, pixel and Hann filter in a slice; 0 beyond Nyquist's frequency."""
    y, x = np.meshgrid(fft.fftfreq(side), fft.rfftfreq(side), indexing="ij")
    frequency = np.hypot(y, x) * scene.preset.fine  # per voxel
    # aperture: a disc of diameter d blurs a line like a Gaussian of standard deviation d / 4
    aperture_mm = BEAM.aperture_blur_um / 4000
    sigma = np.hypot(sigma_mm, aperture_mm) / scene.voxel_mm
    blur = np.exp(-2 * (np.pi * sigma * frequency) ** 2) * np.sinc(frequency)
    hann = np.where(frequency < 0.5, 0.5 + 0.5 * np.cos(2 * np.pi * frequency), 0.0)
    return blur * hann


def _thinned(plane: np.ndarray, response: np.ndarray, side: int) -> np.ndarray:
    """Blur a plane and read it at the middle of every voxel."""
    fine = plane.shape[0] // side
    shift = (fine - 1) / 2
    phase = [
        np.exp(2j * np.pi * shift * f) for f in (fft.fftfreq(plane.shape[0]), fft.rfftfreq(plane.shape[0]))
    ]
    spectrum = fft.rfft2(plane) * response * phase[0][:, None] * phase[1]
    return fft.irfft2(spectrum, plane.shape)[::fine, ::fine].astype(np.float32)


def counting_noise(scene: RemountedCell, field: PelletField, rng: np.random.Generator) -> np.ndarray:
    """Filtered back-projection of the noise of all views, (z, y, x) cm⁻¹."""
    preset, instrument = scene.preset, Instrument()
    transmission = np.exp(-_chords(scene, field)).astype(np.float32)
    views = rng.standard_normal((preset.views, preset.rows, preset.columns), dtype=np.float32)
    views *= np.sqrt(instrument.excess_noise / (preset.counts * transmission))
    light = light_kernel(preset, BEAM)
    for axis in (1, 2):
        views = ndimage.correlate1d(views, light, axis=axis, mode="nearest", output=np.float32)
    shared = instrument.excess_noise / (preset.counts * 2 * instrument.flats) + instrument.gain_drift**2
    views += np.float32(np.sqrt(shared)) * rng.standard_normal(views.shape[1:], dtype=np.float32)
    return fbp(
        views, np.radians(preset.angles_deg), center=(preset.columns - 1) / 2, pixel_size_mm=scene.voxel_mm,
        filter="hann", size=scene.side,
    )  # fmt: skip


def _chords(scene: RemountedCell, field: PelletField) -> np.ndarray:
    """Line integrals of an upright cell, (row, column)."""
    preset, cell = scene.preset, field.cell
    height = (np.arange(preset.rows) - (preset.rows - 1) / 2) * preset.pixel_size_mm
    on_axis = np.column_stack([scene.voxel_mm * np.eye(3), [height[0], 0.3, 0.4]])
    layers = sample_field(field, on_axis, (preset.rows, 1, 1), voxel_mm=scene.voxel_mm)[0, :, 0, 0]
    u = (np.arange(preset.columns) - (preset.columns - 1) / 2) * preset.pixel_size_mm
    bore, sleeve, housing = (
        0.2 * np.sqrt(np.maximum(r**2 - u**2, 0)) for r in (cell.radius_mm, cell.sleeve_mm, cell.housing_mm)
    )
    polyimide = float(field.materials.parts["sleeve"][0])
    return np.outer(layers, bore) + polyimide * (sleeve - bore) + _aluminium(field) * (housing - sleeve)
