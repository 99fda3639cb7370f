"""Three raw scans of a lithium-sulfur cell, as three instruments would have written them, and the truth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deltamu.recon.atomic import write_json
from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.materials.lithium import MOL_PER_MAH, charge_per_attenuation
from deltamu.recon.simulate import profiles
from deltamu.recon.simulate.acquisition import ScanIdentity, acquire, is_complete
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
from deltamu.recon.simulate.detector import Detector, expected_flat, make_detector
from deltamu.recon.simulate.field import PelletField
from deltamu.recon.simulate.lithiation import Lithiation, make_lithiation
from deltamu.recon.simulate.poses import axis_column, body_registration, sample_pose, view_geometry
from deltamu.recon.simulate.presets import Beam, Instrument, Preset, find_beam, find_preset
from deltamu.recon.simulate.scan_files import WRITERS, black_body_path
from deltamu.recon.simulate.textures import Textures, make_textures
from deltamu.recon.simulate.transmission import Scene
from deltamu.recon.simulate.truth import (
    Truth,
    depth_and_radius,
    truth_box,
    voxel_means,
    write_truth,
)

STATES = tuple(STATE_PROFILES)
CHANGES = ("discharged-pristine", "charged-pristine", "charged-discharged")
_PLUNGER_MM = 0.18


class Progress(Protocol):
    """Called after every finished piece of a stage."""

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a stage are finished for a state."""


@dataclass(frozen=True)
class SimulatedScan:
    """A raw scan: its path relative to the study, and what its reader has to be told.

    `black_body` is the path of the acquisition behind a grid, where there is one.
    """

    path: str
    black_body: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NoiseFacts:
    """What the simulated camera does to a number of neutrons.

    Attributes
    ----------
    counts_open_beam : float
        Mean neutrons per pixel and frame.
    adu_per_count : float
        Camera gain g.
    excess_noise : float
        F in var = F g² N; over areas larger than the light spread, variance / mean is F g.
    read_noise_adu, offset_adu, gain_drift : float
    light_taps : tuple of float
        Light spread along a line of pixels, sum 1.
    """

    counts_open_beam: float
    adu_per_count: float
    excess_noise: float
    read_noise_adu: float
    offset_adu: float
    gain_drift: float
    light_taps: tuple[float, ...]


@dataclass(frozen=True)
class SimulatedStudy:
    """What an experimenter would know of a simulated study, and where its files are.

    Attributes
    ----------
    folder : Path
    scans : mapping of state to SimulatedScan
    pixel_size_mm : float
    layer_order, layer_thickness_mm : tuples
        The stack along +z, nominal.
    pellet_radius_mm : float
    housing_radius_mm : (inner, outer)
    wavelength_angstrom : float
        Reference wavelength.
    charge_mah : mapping of change to charge
        As the cycler counted it, positive for lithium into the cathode; empty when nothing was cycled.
    beam : Beam
        As the instrument's scientists know it: spectrum and line spread.
    center_px : float
        True column of the rotation axis.
    noise : NoiseFacts
    truth : Path
        Folder that a run must not open.
    """

    folder: Path
    scans: Mapping[str, SimulatedScan]
    pixel_size_mm: float
    layer_order: tuple[str, ...]
    layer_thickness_mm: tuple[float, ...]
    pellet_radius_mm: float
    housing_radius_mm: tuple[float, float]
    wavelength_angstrom: float
    charge_mah: Mapping[str, float]
    beam: Beam
    center_px: float
    noise: NoiseFacts
    truth: Path


def simulate_study(
    folder: str | Path,
    *,
    preset: str = "small",
    beam: str = "ideal",
    seed: int = 1,
    same_state: bool = False,
    featureless: bool = False,
    stack_shift_um: float = 0.0,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> SimulatedStudy:
    """Simulate three scans of a cell and write them, and the truth, below a folder.

    Scans that are complete and were made with the same settings are kept.

    Parameters
    ----------
    folder : path
        Gets raw/ and truth/.
    preset : {"tiny", "small", "full"}
    beam : {"ideal", "real"}
        One wavelength and a sharp detector, or a spectrum, scatter, a wide line spread and a tilted axis.
    seed : int
        Of the sample, its poses, the detector and the noise.
    same_state : bool
        All three scans show the pristine cell, each mounted anew.
    featureless : bool
        Without holes, notch, pores and collector ends.
    stack_shift_um : float
        How far separator, cathode and collector follow the shrinking anode.
    progress : callable, optional
        Called with (stage, state, done, total).
    cancel : callable, optional
        Asked between blocks; true stops.

    Returns
    -------
    SimulatedStudy

    Raises
    ------
    InputError
        If a setting is wrong or the folder holds something else.
    ResourceError
        If the disk is full.
    Cancelled
        If `cancel` said so; complete scans stay.
    """
    settings = _settings(preset, beam, seed, same_state, featureless, stack_shift_um)
    identities = [
        ScanIdentity(
            state, index, settings.content(state), preset, beam, seed, featureless, float(stack_shift_um)
        )
        for index, state in enumerate(STATES)
    ]
    report = _Reporter(progress, cancel)
    builder = _Builder(settings)
    folder = Path(folder)
    for identity in identities:
        _simulate_scan(folder, identity, builder, report)
    study = builder.describe(folder)
    _simulate_truth(study, identities, builder, report)
    return study


def describe_study(
    folder: str | Path,
    *,
    preset: str = "small",
    beam: str = "ideal",
    seed: int = 1,
    same_state: bool = False,
    featureless: bool = False,
    stack_shift_um: float = 0.0,
) -> SimulatedStudy:
    """Say what `simulate_study` would write, without writing it.

    Parameters
    ----------
    folder, preset, beam, seed, same_state, featureless, stack_shift_um
        As for `simulate_study`.

    Raises
    ------
    InputError
        If a setting is wrong.
    """
    settings = _settings(preset, beam, seed, same_state, featureless, stack_shift_um)
    return _Builder(settings).describe(Path(folder))


def _settings(
    preset: str, beam: str, seed: int, same_state: bool, featureless: bool, stack_shift_um: float
) -> "_Settings":
    if seed < 0:
        raise InputError(f"seed: found {seed}, expected a whole number of at least 0")
    return _Settings(
        find_preset(preset),
        find_beam(beam),
        Instrument(),
        Cell(stack_shift_mm=stack_shift_um / 1000, featureless=featureless),
        seed,
        same_state,
    )


def _simulate_scan(folder: Path, identity: ScanIdentity, builder: "_Builder", report: "_Reporter") -> None:
    if is_complete(folder, identity):
        report("simulate", identity.state, 1, 1)
        return
    acquire(
        folder,
        identity,
        lambda: builder.scene(identity.state),
        builder.detector,
        progress=lambda done, total: report("simulate", identity.state, done, total),
    )


def _simulate_truth(
    study: SimulatedStudy, identities: list[ScanIdentity], builder: "_Builder", report: "_Reporter"
) -> None:
    stamp = {"scans": [vars(identity) for identity in identities]}
    file = study.truth / "made_with.json"
    if not ((study.truth / "truth.json").is_file() and _reads(file) == stamp):
        (study.truth / "truth.json").unlink(missing_ok=True)
        write_truth(study.truth, builder.truth(report))
        np.save(study.truth / "flat_mean.npy", expected_flat(builder.detector)[0])
        np.save(study.truth / "flat_variance.npy", expected_flat(builder.detector)[1])
        write_json(file, stamp)
    report("truth", "", len(STATES), len(STATES))


def _reads(file: Path) -> object:
    import json

    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


@dataclass(frozen=True)
class _Reporter:
    """Passes on progress and asks whether to stop."""

    progress: Progress | None
    cancel: Callable[[], bool] | None

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(stage, state, done, total)
        if self.cancel is not None and self.cancel():
            raise Cancelled("stopped as asked; complete scans are kept, the same command continues from here")


@dataclass(frozen=True)
class _Settings:
    preset: Preset
    beam: Beam
    instrument: Instrument
    cell: Cell
    seed: int
    same_state: bool

    def content(self, state: str) -> str:
        """Return the state of charge that the scan of a state shows."""
        return STATES[0] if self.same_state else state


class _Builder:
    """Makes the parts of a study from its settings when they are needed."""

    def __init__(self, settings: _Settings) -> None:
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
        return cell_state(self._settings.cell, self._settings.content(state))

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

    def truth(self, report: _Reporter) -> Truth:
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
            x, height = profiles.peak(lambda at: sign * (to.profile(at) - origin.profile(at)))
            facts |= {"peak_delta_mu": sign * full * height, "peak_depth_mm": x * cell.cathode_mm}
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
