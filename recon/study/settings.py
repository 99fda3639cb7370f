"""study.toml: what a study is made of, checked before anything is computed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError, field_validator, model_validator

from deltamu.recon.errors import InputError, naming
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.study.dose_file import HEADER
from deltamu.recon.study.settings_cell import LayerSettings, RegistrationSettings
from deltamu.recon.study.settings_preprocess import PreprocessSettings
from deltamu.recon.study.settings_problems import first_problem, known_or_near, refuse_unknown, toml_content
from deltamu.recon.study.settings_profile import LithiumSettings, ProfileSettings
from deltamu.recon.study.settings_reconstruction import (
    AlignmentSettings,
    CenterSettings,
    ReconstructionSettings,
)
from deltamu.recon.study.settings_section import STATE_NAME, Section
from deltamu.recon.study.settings_states import SCAN_OPTION_NAMES, StateSettings

# what two states must share, where both say it, and its unit
_MADE_WITH = {"filter": "", "wavelength_angstrom": " Å", "energy_kev": " keV"}


class RunSettings(Section):
    """Resources."""

    memory: str | None = None
    keep_work: bool = False


class Study(Section):
    """A whole study.toml, with the folder its paths are relative to."""

    folder: Path
    name: str = "study"
    output: str = "result"
    reference: str
    changes: tuple[str, ...] = ()
    states: dict[str, StateSettings]
    preprocess: PreprocessSettings = PreprocessSettings()
    center: CenterSettings = CenterSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    reconstruction: ReconstructionSettings = ReconstructionSettings()
    registration: RegistrationSettings = RegistrationSettings()
    layers: LayerSettings | None = None
    profile: ProfileSettings = ProfileSettings()
    lithium: LithiumSettings = LithiumSettings()
    run: RunSettings = RunSettings()

    @property
    def is_aligned(self) -> bool:
        """Whether views or the axis of some state may be moved in the geometry."""
        return self.alignment.is_asked_for or any(s.tilt_deg is not None for s in self.states.values())

    @field_validator("states")
    @classmethod
    def _state_names(cls, states: dict[str, StateSettings]) -> dict[str, StateSettings]:
        for name in states:
            if not STATE_NAME.fullmatch(name):
                raise ValueError(
                    f"state name '{name}': expected lower-case letters, digits and underscores "
                    "(a hyphen separates two states in a change); try "
                    f"'{re.sub('[^a-z0-9_]+', '_', name.lower())}'"
                )
        if not states:
            raise ValueError("no states; expected at least one table [states.NAME]")
        return states

    @model_validator(mode="after")
    def _known_states(self) -> "Study":
        if self.reference not in self.states:
            raise ValueError(
                f"reference = '{self.reference}' is not a state; {known_or_near(self.reference, self.states)}"
            )
        for change in self.changes:
            for state in split_change(change):
                if state not in self.states:
                    raise ValueError(
                        f"change '{change}': no state '{state}'; {known_or_near(state, self.states)}"
                    )
        if len(set(self.changes)) != len(self.changes):
            raise ValueError(f"changes lists one twice: {', '.join(self.changes)}")
        self._check_preprocess()
        if self.is_aligned and not self.reconstruction.as_method().noise_is_known:
            raise ValueError(
                "alignment and the tilt of a state go with reconstruction.method = 'fbp' only, by deltamu itself (found "
                f"'{self.reconstruction.method}' by '{self.reconstruction.engine}'); leave one out"
            )
        if self.changes and self.layers is None:
            raise ValueError(
                "changes need a table [layers] (the stack of the cell) to register and to measure depth"
            )
        for state in self.registration.start:
            if state not in self.states:
                raise ValueError(
                    f"registration.start: no state '{state}'; {known_or_near(state, self.states)}"
                )
        for change in self.lithium.charge_mah:
            if change not in self.changes:
                raise ValueError(f"lithium.charge_mah: '{change}' is not in changes")
        self._check_cycler()
        self._check_priors()
        self._check_made_alike()
        return self

    def _check_priors(self) -> None:
        """Refuse priors that no reconstruction could use."""
        compared = {state for change in self.changes for state in split_change(change)}
        for name, state in self.states.items():
            if state.reconstruction is None:
                continue
            prior, where = state.reconstruction.prior, f"states.{name}.reconstruction"
            if prior not in self.states:
                raise ValueError(f"{where}.prior: no state '{prior}'; {known_or_near(prior, self.states)}")
            if prior == name:
                raise ValueError(f"{where}.prior: found the state itself, expected another one")
            if prior != self.reference:
                raise ValueError(
                    f"{where}.prior: found '{prior}', expected the reference '{self.reference}', over which every "
                    f"state is laid; set reference = '{prior}' or that prior"
                )
            if name == self.reference:
                raise ValueError(f"{where}: the reference has no prior; expected it at another state")
            if name not in compared:
                raise ValueError(
                    f"{where}: no change has the state '{name}'; list one in changes, such as '{name}-{prior}'"
                )
            if self.registration.model != "rigid":
                raise ValueError(
                    f'{where}: piccs knows no stretch or shear; set registration.model = "rigid", or leave out this table'
                )
            if self.is_aligned:
                raise ValueError(
                    f"{where}: piccs knows no shifts of views and no tilted axis; leave out alignment and tilt_deg, or this table"
                )

    def _check_made_alike(self) -> None:
        """Refuse to subtract states that are said to have been made or taken differently."""
        compared = {self.reference, *(state for change in self.changes for state in split_change(change))}
        for key, unit in _MADE_WITH.items():
            values = {name: getattr(self.states[name], key) for name in self.states if name in compared}
            stated = [(name, value) for name, value in values.items() if value is not None]
            for name, value in stated[1:] if self.changes else ():
                if value != stated[0][1]:
                    raise ValueError(
                        f"states.{name}.{key}: found {value}{unit}, states.{stated[0][0]} has {stated[0][1]}{unit}; a "
                        "difference of the two would show that beside the change: make them alike, or leave the state "
                        "out of changes"
                    )

    def _check_cycler(self) -> None:
        cycler = self.lithium.cycler
        if cycler is None:
            return
        if self.lithium.charge_mah:
            raise ValueError("lithium: found charge_mah and a cycler's file; expected one of them")
        for state in cycler.state_hours:
            if state not in self.states:
                raise ValueError(
                    f"lithium.cycler.state_hours: no state '{state}'; {known_or_near(state, self.states)}"
                )

    def _check_preprocess(self) -> None:
        if (self.preprocess.dose == "region") != (self.preprocess.dose_region is not None):
            raise ValueError(
                "preprocess.dose = 'region' goes with dose_region = [row, stop, column, stop] of an inert part"
            )
        for name, state in self.states.items():
            if state.scan and (self.preprocess.dose == "file") != (state.dose_file is not None):
                raise ValueError(
                    f"states.{name}.dose_file goes with preprocess.dose = 'file': monitor counts, one line per view, or 'header:KEYWORD' of the frames"
                )
        grids = {name for name, state in self.states.items() if state.black_body is not None}
        scans = {name for name, state in self.states.items() if state.scan is not None}
        if self.preprocess.scatter.method == "black_body":
            if scans - grids:
                raise ValueError(
                    f"preprocess.scatter.method = 'black_body': states.{min(scans - grids)}.black_body is missing "
                    "(path of the acquisition behind the grid)"
                )
        elif grids:
            raise ValueError(
                f"states.{min(grids)}.black_body is used with preprocess.scatter.method = 'black_body' only"
            )

    @property
    def output_dir(self) -> Path:
        """Absolute folder of the results."""
        return (self.folder / self.output).resolve()

    def state_path(self, state: str) -> Path:
        """Absolute path of a state's scan or volume."""
        settings = self.states[state]
        return (self.folder / str(settings.scan or settings.volume)).resolve()

    def dose_path(self, state: str) -> Path | None:
        """Absolute path of the file with the dose of every view; None where it stands in the headers of the frames."""
        given = self.states[state].dose_file
        if given is None or given.startswith(HEADER):
            return None
        return (self.folder / given).resolve()

    def black_body_path(self, state: str) -> Path | None:
        """Absolute path of the acquisition behind a black-body grid."""
        given = self.states[state].black_body
        return None if given is None else (self.folder / given).resolve()

    def black_body_dots_path(self, state: str) -> Path | None:
        """Absolute path of the mask of the dots of that grid; None where they are looked for."""
        given = self.states[state].black_body_dots
        return None if given is None else (self.folder / given).resolve()

    def cycler_path(self) -> Path | None:
        """Absolute path of the cycler's record."""
        given = self.lithium.cycler
        return None if given is None else (self.folder / given.path).resolve()

    def scan_options(self, state: str) -> ScanOptions:
        """Reader options of a state's scan."""
        with naming(f"states.{state}"):
            return ScanOptions(**self.states[state].options)


def settings_text(study: Study) -> str:
    """Write a study as it was resolved, every default filled in, as TOML that can be run again."""
    content = study.model_dump(mode="json", exclude={"folder"}, exclude_none=True)
    for name, state in content["states"].items():
        options = state.pop("options", {})
        state.update({key: value for key, value in options.items() if value is not None})
        for key in ("scan", "volume"):
            if key in state:
                state[key] = str(study.state_path(name))
        if study.dose_path(name) is not None:
            state["dose_file"] = str(study.dose_path(name))
        if "black_body" in state:
            state["black_body"] = str(study.black_body_path(name))
        if "black_body_dots" in state:
            state["black_body_dots"] = str(study.black_body_dots_path(name))
    if "labels" in content["profile"]:
        content["profile"]["labels"] = str((study.folder / content["profile"]["labels"]).resolve())
    if "cycler" in content["lithium"]:
        content["lithium"]["cycler"]["path"] = str(study.cycler_path())
    content["output"] = str(study.output_dir)
    return tomlkit.dumps(content)


def split_change(change: str) -> tuple[str, str]:
    """Split `to-from` into its two states."""
    parts = change.split("-")
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise InputError(
            f"change '{change}': expected two different states as 'to-from', for example 'discharged-pristine'"
        )
    return parts[0], parts[1]


def read_study(path: Path) -> Study:
    """Read and check a study.toml.

    Raises
    ------
    InputError
        Naming the file and the field, what was found, what was expected and, for an unknown key, the nearest.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    return study_from_table(toml_content(path), folder=path.resolve().parent, source=str(path))


def study_from_table(content: Mapping[str, Any], *, folder: Path, source: str = "study.toml") -> Study:
    """Check the tables of a study.toml; `source` names them in errors."""
    table = dict(content)
    defaults = table.pop("scan", {})
    if not isinstance(defaults, dict):
        raise InputError(f"{source}: scan: expected a table of reader options")
    refuse_unknown(source, "scan", defaults, SCAN_OPTION_NAMES)
    states = table.get("states", {})
    if isinstance(states, dict):
        table["states"] = {
            name: _with_options(source, name, state, defaults) for name, state in states.items()
        }
    try:
        return Study(folder=folder, **table)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error, Study, also=('scan',))}") from None


def _with_options(source: str, name: str, state: Any, defaults: dict[str, Any]) -> Any:
    """Move a state's reader options, on top of the defaults, into its `options`."""
    if not isinstance(state, dict):
        return state
    own = [key for key in StateSettings.model_fields if key != "options"]
    refuse_unknown(source, f"states.{name}", state, [*own, *SCAN_OPTION_NAMES])
    options = {key: value for key, value in state.items() if key not in own}
    kept = {key: value for key, value in state.items() if key in own}
    if "volume" in state:
        return {**kept, "options": options}
    return {**kept, "options": _tuples({**defaults, **options})}


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
