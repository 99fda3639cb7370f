"""The cell, its poses and the detector of a simulated study, each made once, and the truth of them."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.materials.lithium import MOL_PER_MAH, charge_per_attenuation
from deltamu.recon.simulate import profiles
from deltamu.recon.simulate.cell import (
    LAYERS,
    STATE_PROFILES,
    Cell,
    CellState,
    Channels,
    absorption_and_scattering,
    cell_materials,
    cell_state,
    charge_mah,
    single_wavelength,
)
from deltamu.recon.simulate.description import NoiseFacts, SimulatedScan, SimulatedStudy
from deltamu.recon.simulate.detector import Detector, make_detector
from deltamu.recon.simulate.field import PelletField
from deltamu.recon.simulate.lithiation import Lithiation, make_lithiation
from deltamu.recon.simulate.poses import axis_column, body_registration, sample_pose, view_geometry
from deltamu.recon.simulate.presets import Beam, Instrument, Preset
from deltamu.recon.simulate.scan_files import WRITERS, black_body_path
from deltamu.recon.simulate.textures import Textures, make_textures
from deltamu.recon.simulate.transmission import Scene
from deltamu.recon.simulate.truth import (
    Truth,
    depth_and_radius,
    truth_box,
    voxel_means,
)

CHANGES = ("discharged-pristine", "charged-pristine", "charged-discharged")
STATES = tuple(STATE_PROFILES)
_PLUNGER_MM = 0.18


class Progress(Protocol):
    """Called after every finished piece of a stage."""

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a stage are finished for a state."""


@dataclass(frozen=True)
class StudySettings:
    """Everything that decides what a simulated study shows."""

    preset: Preset
    beam: Beam
    instrument: Instrument
    cell: Cell
    seed: int
    same_state: bool
    lithium: str = "broad"

    def shown(self, state: str) -> str:
        """Return the state of charge that the scan of a state shows."""
        return STATES[0] if self.same_state else state

    def content(self, state: str) -> str:
        """Name what a scan shows; alike for scans that show the same."""
        shown = self.shown(state)
        return shown if self.lithium == "broad" or shown == STATES[0] else f"{shown}, {self.lithium}"


class StudyBuilder:
    """Makes the parts of a study from its settings when they are needed."""

    def __init__(self, settings: StudySettings) -> None:
        self._settings = settings
        self._lithiation: dict[str, Lithiation] = {}

    @cached_property
    def detector(self) -> Detector:
        """The camera of all scans."""
        given = self._settings
        return make_detector(given.preset, given.beam, given.instrument, seed=given.seed)

    @cached_property
    def textures(self) -> Textures:
        """The structure of the sample."""
        given = self._settings
        return make_textures(given.cell, seed=given.seed, voxel_mm=given.preset.fine_mm)

    def cell_state(self, state: str) -> CellState:
        """Return the cell as the scan of a state shows it."""
        shown = self._settings.shown(state)
        profile = profiles.find_truth(self._settings.lithium)[shown]
        return cell_state(self._settings.cell, shown, profile=profile)

    def pose(self, state: str) -> RigidTransform:
        """Sample → scan."""
        given = self._settings
        return sample_pose(given.preset, seed=given.seed, state_index=STATES.index(state))

    def field(self, state: str, channels: Channels) -> PelletField:
        """Return the contents of the bore in a state."""
        shown, cell = self.cell_state(state), self._settings.cell
        if shown.name not in self._lithiation:
            self._lithiation[shown.name] = make_lithiation(cell, shown, self.textures.lithium)
        materials = cell_materials(shown, channels)
        return PelletField(cell, shown, materials, self.textures, self._lithiation[shown.name])

    def scene(self, state: str) -> Scene:
        """Return everything that stands in the beam."""
        given = self._settings
        spectrum = given.beam.spectrum
        single = single_wavelength(given.beam.wavelength_angstrom)
        views = view_geometry(given.preset, given.beam, seed=given.seed, state_index=STATES.index(state))
        pellet = self.field(state, single if spectrum is None else absorption_and_scattering)
        return Scene(pellet, self.pose(state), views, given.preset, given.beam)

    def registration(self, state: str) -> RigidTransform:
        """True motion of the cathode from the first scan to that of a state."""
        first = STATES[0]
        return body_registration(
            self.pose(first),
            self.pose(state),
            reference_state=self.cell_state(first),
            moving_state=self.cell_state(state),
        )

    def truth(self, report: Progress) -> Truth:
        """Average the states over the voxels of the first scan."""
        given, cell = self._settings, self._settings.cell
        reference = self.pose(STATES[0])
        box = truth_box(cell, reference, given.preset)
        attenuation = {}
        for number, state in enumerate(STATES):
            pellet = replace(
                self.field(state, single_wavelength(given.beam.wavelength_angstrom)), sleeve=True
            )
            back = RigidTransform(translation_mm=(pellet.state.shift_mm, 0.0, 0.0))
            attenuation[state] = voxel_means(pellet, reference @ back, box, given.preset)
            report("truth", "", number, len(STATES))
        depth, radius = depth_and_radius(cell, reference, box, given.preset)
        registration = {state: self.registration(state) for state in STATES}
        return Truth(
            given.preset.pixel_size_mm,
            box,
            attenuation,
            depth,
            radius,
            cell.cathode_mm,
            cell.radius_mm,
            registration,
            self.facts(),
        )

    def facts(self) -> dict[str, Any]:
        """Return what truth.json holds besides arrays and motions."""
        given, cell = self._settings, self._settings.cell
        axis = axis_column(given.preset, given.seed)
        return {
            "wavelength_angstrom": given.beam.wavelength_angstrom,
            "center_px": dict.fromkeys(STATES, axis),
            "tilt_deg": dict.fromkeys(STATES, given.beam.roll_deg),
            "resolution_fwhm_um": _resolution_um(given.preset, given.beam),
            "poses": {state: _motion(self.pose(state)) for state in STATES},
            "states": {state: self._state_facts(state) for state in STATES},
            "changes": {change: self._change_facts(change) for change in CHANGES},
            "layers_mm": cell.layer_thickness_mm(_PLUNGER_MM),
            "tilt_of_layers_deg": cell.tilt_deg,
            "azimuth_of_tilt_deg": cell.tilt_azimuth_deg,
            "bow_mm": cell.bow_mm,
        }

    def _state_facts(self, state: str) -> dict[str, float]:
        shown = self.cell_state(state)
        return {
            "mean_lithiation": profiles.mean(shown.profile),
            "indium_x": shown.indium_x,
            "anode_mm": shown.anode_mm,
            "stack_shift_mm": shown.shift_mm,
        }

    def _change_facts(self, change: str) -> dict[str, float | None]:
        """Charge, lithium, ∫Δμ dV and the peak of the profile formula."""
        given, cell = self._settings, self._settings.cell
        to, origin = (self.cell_state(name) for name in change.split("-"))
        charge = charge_mah(cell, to, origin)
        channel = single_wavelength(given.beam.wavelength_angstrom)
        full = float(cell_materials(to, channel).uptake[0])
        facts: dict[str, float | None] = {
            "charge_mAh": charge,
            "lithium_mol": charge * MOL_PER_MAH,
            "attenuation_integral_cm2": charge / charge_per_attenuation(given.beam.wavelength_angstrom),
            "mean_delta_mu": full * (profiles.mean(to.profile) - profiles.mean(origin.profile)),
            "peak_delta_mu": None,
            "peak_depth_mm": None,
        }
        if to.profile is not origin.profile:
            sign = 1.0 if charge > 0 else -1.0
            facts |= _peak_facts(
                lambda at: sign * (to.profile(at) - origin.profile(at)), sign * full, cell.cathode_mm
            )
        return facts

    def describe(self, folder: Path) -> SimulatedStudy:
        """Return what an experimenter would know."""
        given, cell = self._settings, self._settings.cell
        thickness = cell.layer_thickness_mm(_PLUNGER_MM)
        charges = {
            change: round(charge_mah(cell, *(self.cell_state(name) for name in change.split("-"))), 4)
            for change in CHANGES
        }
        return SimulatedStudy(
            folder=folder,
            scans={state: _scan_of(state, given.beam) for state in STATES},
            beam=given.beam,
            pixel_size_mm=given.preset.pixel_size_mm,
            layer_order=LAYERS,
            layer_thickness_mm=tuple(round(thickness[name], 4) for name in LAYERS),
            pellet_radius_mm=cell.radius_mm,
            housing_radius_mm=(cell.sleeve_mm, cell.housing_mm),
            wavelength_angstrom=given.beam.wavelength_angstrom,
            charge_mah={} if given.same_state else charges,
            center_px=axis_column(given.preset, given.seed),
            noise=self._noise_facts(),
            truth=folder / "truth",
        )

    def _noise_facts(self) -> NoiseFacts:
        preset, instrument = self._settings.preset, self._settings.instrument
        return NoiseFacts(
            counts_open_beam=preset.counts,
            adu_per_count=instrument.adu_per_count(preset.counts),
            excess_noise=instrument.excess_noise,
            read_noise_adu=instrument.read_noise_adu,
            offset_adu=instrument.offset_adu,
            gain_drift=instrument.gain_drift,
            light_taps=tuple(float(tap) for tap in self.detector.light),
        )


def _peak_facts(change: profiles.Profile, full: float, cathode_mm: float) -> dict[str, float | None]:
    """Height and depth of the maximum of a change; None where it lies at a face of the cathode."""
    try:
        x, height = profiles.peak(change)
    except InputError:
        return {"peak_delta_mu": None, "peak_depth_mm": None}
    return {"peak_delta_mu": full * height, "peak_depth_mm": x * cathode_mm}


def _scan_of(state: str, beam: Beam) -> SimulatedScan:
    path = WRITERS[state][0]
    return SimulatedScan(path, black_body_path(path).as_posix() if beam.black_bodies else None)


def _resolution_um(preset: Preset, beam: Beam) -> float:
    """Width of the image of a point before filtering: detector, aperture and pixel in quadrature."""
    # a disc of diameter d has the variance d²/16, a pixel of width p has p²/12 along a line
    variance = (
        (beam.detector_fwhm_um / 2.3548) ** 2
        + beam.aperture_blur_um**2 / 16
        + (preset.pixel_size_mm * 1e3) ** 2 / 12
    )
    return float(2.3548 * np.sqrt(variance))


def _motion(motion: RigidTransform) -> dict[str, list[float]]:
    return {
        "rotation_deg": list(motion.rotation_deg),
        "translation_mm": list(motion.translation_mm),
        "center_mm": list(motion.center_mm),
    }
