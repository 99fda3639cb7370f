"""study.toml: what a study is made of, checked before anything is computed."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deltamu.recon.errors import InputError, naming
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.solvers.methods import Method

STATE_NAME = re.compile(r"[a-z0-9_]+")
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
SCAN_OPTION_NAMES = tuple(field.name for field in fields(ScanOptions))


# what a scan calls the properties of a volume
_SCAN_KEYS = {"voxel_size_mm": "pixel_size_mm", "unit": "pixel_size_mm", "dataset": "data_path"}


class Section(BaseModel):
    """A table of study.toml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StateSettings(Section):
    """One state of the sample: a scan to reconstruct, or a volume reconstructed elsewhere."""

    scan: str | None = None
    volume: str | None = None
    voxel_size_mm: Positive | None = None
    unit: str | None = None
    dataset: str | None = None
    center: Finite | None = None
    black_body: str | None = None
    dose_file: str | None = None
    dose_reference: Positive | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> "StateSettings":
        if (self.scan is None) == (self.volume is None):
            raise ValueError("expected either `scan` (raw projections) or `volume` (reconstructed elsewhere)")
        if self.volume is not None:
            self._refuse(
                ["center", "black_body", "dose_file", "dose_reference", *self.options],
                "belongs to a scan, a volume has none",
            )
        else:
            self._refuse(["voxel_size_mm", "unit", "dataset"], "belongs to a volume; of a scan state `{}`")
        return self

    def _refuse(self, keys: list[str], why: str) -> None:
        """Refuse what would be ignored."""
        for key in keys:
            if key in self.options or getattr(self, key, None) is not None:
                raise ValueError(f"{key} {why}".format(_SCAN_KEYS.get(key, "")))


class ScatterSettings(Section):
    """Background of scattered neutrons: from black-body frames of each state, or a stated fraction."""

    method: Literal["none", "black_body", "uniform"] = "none"
    fraction: Annotated[float, Field(ge=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _stated(self) -> "ScatterSettings":
        if (self.method == "uniform") != (self.fraction is not None):
            raise ValueError(
                "fraction goes with method = 'uniform': the background over the open beam, for example 0.02"
            )
        return self


class LineSpreadSettings(Section):
    """Wide tail of the line spread, as an edge shows it (`measure_tail`)."""

    tail_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    tail_fwhm_um: Positive | None = None

    @model_validator(mode="after")
    def _both(self) -> "LineSpreadSettings":
        if bool(self.tail_fraction) != (self.tail_fwhm_um is not None):
            raise ValueError("tail_fraction and tail_fwhm_um go together, for example 0.05 and 300")
        return self


class HardeningSettings(Section):
    """Hardening of a white beam, undone at `lithium.wavelength_angstrom`."""

    method: Literal["none", "spectrum", "polynomial"] = "none"
    shortest_angstrom: Positive = 0.8
    shape: Positive = 4.0
    scale_angstrom: Positive = 0.55
    scattering_ratio_angstrom: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.131
    coefficients: tuple[Finite, ...] | None = None
    deepest: Positive | None = None
    leave_out_casing: bool = True

    @model_validator(mode="after")
    def _complete(self) -> "HardeningSettings":
        if (self.method == "polynomial") != (self.coefficients is not None and self.deepest is not None):
            raise ValueError(
                "coefficients and deepest (the largest −ln T that was fitted) go with method = 'polynomial'; "
                "`fit_hardening` finds both from known thicknesses"
            )
        return self


class PreprocessSettings(Section):
    """From detector counts to line integrals."""

    dose: Literal["air", "file", "region", "none"] = "air"
    dose_region: tuple[int, int, int, int] | None = None
    level_views: bool = False
    air_columns: tuple[tuple[int, int], ...] | None = None
    spots: bool = True
    stripes: Literal["auto", "on", "off"] = "auto"
    stripe_method: Literal["sorting", "large", "dead", "all", "wavelet"] = "sorting"
    counts_per_adu: Positive | None = None
    scatter: ScatterSettings = ScatterSettings()
    line_spread: LineSpreadSettings = LineSpreadSettings()
    hardening: HardeningSettings = HardeningSettings()


class CenterSettings(Section):
    """Where the centre of rotation is looked for."""

    search_px: tuple[Finite, Finite] | None = None


class ReconstructionSettings(Section):
    """How projections become a volume; what a method is told is described at `solvers.methods.Method`."""

    method: Literal["fbp", "sirt", "os-sart", "cgls", "mlem", "osem", "fista-tv", "pdhg-tv"] = "fbp"
    filter: Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann", "parzen"] = "hann"
    cutoff: Annotated[float, Field(gt=0, le=1)] = 1.0
    padding: Literal["zero", "edge"] = "zero"
    iterations: Annotated[int, Field(ge=1)] | None = None
    relative_change: Positive | None = None
    discrepancy: Positive | None = None
    relaxation: Annotated[float, Field(gt=0, lt=2)] | None = None
    subsets: Annotated[int, Field(ge=1)] | None = None
    lower: Finite | None = None
    upper: Finite | None = None
    strength: NotNegative | None = None
    threshold: NotNegative | None = None
    dimensions: Literal[2, 3] | None = None
    tikhonov: NotNegative | None = None

    @model_validator(mode="after")
    def _known_to_the_method(self) -> "ReconstructionSettings":
        self.as_method()
        return self

    def as_method(self) -> Method:
        """Return the method with its options."""
        options = self.model_dump()
        return Method(name=options.pop("method"), **options)


class LayerSettings(Section):
    """The stack along the rotation axis, as the cell was assembled."""

    order: tuple[str, ...]
    thickness_mm: tuple[Positive, ...]
    radius_mm: Positive
    cathode: str = "cathode"
    separator: str = "separator"

    @model_validator(mode="after")
    def _consistent(self) -> "LayerSettings":
        if len(self.order) != len(self.thickness_mm):
            raise ValueError(
                f"order names {len(self.order)} layers, thickness_mm has {len(self.thickness_mm)}"
            )
        if len(set(self.order)) != len(self.order):
            raise ValueError(f"order names a layer twice: {', '.join(self.order)}")
        for key in ("cathode", "separator"):
            if getattr(self, key) not in self.order:
                raise ValueError(f"{key} = '{getattr(self, key)}' is not in order ({', '.join(self.order)})")
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        if abs(cathode - separator) != 1 or not 0 < cathode < len(self.order) - 1:
            raise ValueError("the cathode must lie between the separator and a current collector in order")
        return self

    @property
    def behind_cathode(self) -> tuple[str, ...]:
        """The collector at the cathode and everything beyond it, seen from the separator."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        return self.order[cathode + 1 :] if cathode > separator else self.order[:cathode][::-1]

    @property
    def collector(self) -> str:
        """The layer on the far side of the cathode."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        return self.order[2 * cathode - separator]

    @property
    def anode(self) -> str | None:
        """The layer on the other side of the separator, if one is named."""
        cathode, separator = self.order.index(self.cathode), self.order.index(self.separator)
        index = 2 * separator - cathode
        return self.order[index] if 0 <= index < len(self.order) else None

    @property
    def behind_anode(self) -> tuple[str, ...]:
        """Layers beyond the anode, which stay with the housing."""
        if self.anode is None:
            return ()
        at, separator = self.order.index(self.anode), self.order.index(self.separator)
        return self.order[at + 1 :] if at > separator else self.order[:at]


class RegistrationSettings(Section):
    """What is held still when the states are laid over each other."""

    mask: tuple[str, ...] | None = None
    housing_radius_mm: tuple[Positive, Positive] | None = None
    correct_scale: bool = False
    # state: translation (z, y, x) in mm, rotation (z, y, x) in degrees about the middle of the reference
    start: dict[str, tuple[Finite, Finite, Finite, Finite, Finite, Finite]] = Field(default_factory=dict)


class ProfileSettings(Section):
    """How depth profiles are averaged."""

    core_fraction: Annotated[float, Field(gt=0, le=1)] = 0.8
    bin_um: Positive | None = None
    blur_fwhm_um: Positive | None = None
    subsets: Annotated[int, Field(ge=4, le=32)] = 12
    rings: Annotated[int, Field(ge=1, le=32)] = 8
    regions: dict[str, str] = Field(default_factory=dict)
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @field_validator("regions")
    @classmethod
    def _region_names(cls, regions: dict[str, str]) -> dict[str, str]:
        for name in regions:
            if not STATE_NAME.fullmatch(name):
                raise ValueError(f"region '{name}': expected lower-case letters, digits and underscores")
        return regions


class LithiumSettings(Section):
    """The cross section that turns attenuation into lithium, and what the cycler counted."""

    wavelength_angstrom: Positive = 2.6
    li6_fraction: Fraction = 0.0759
    charge_mah: dict[str, Finite] = Field(default_factory=dict)
    cross_section_relative_error: Fraction | None = None
    scatter_relative_error: Fraction | None = None
    hardening_relative_error: Fraction | None = None


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
    reconstruction: ReconstructionSettings = ReconstructionSettings()
    registration: RegistrationSettings = RegistrationSettings()
    layers: LayerSettings | None = None
    profile: ProfileSettings = ProfileSettings()
    lithium: LithiumSettings = LithiumSettings()
    run: RunSettings = RunSettings()

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
                f"reference = '{self.reference}' is not a state; {_known(self.reference, self.states)}"
            )
        for change in self.changes:
            for state in split_change(change):
                if state not in self.states:
                    raise ValueError(f"change '{change}': no state '{state}'; {_known(state, self.states)}")
        if len(set(self.changes)) != len(self.changes):
            raise ValueError(f"changes lists one twice: {', '.join(self.changes)}")
        self._check_preprocess()
        if self.changes and self.layers is None:
            raise ValueError(
                "changes need a table [layers] (the stack of the cell) to register and to measure depth"
            )
        for state in self.registration.start:
            if state not in self.states:
                raise ValueError(f"registration.start: no state '{state}'; {_known(state, self.states)}")
        for change in self.lithium.charge_mah:
            if change not in self.changes:
                raise ValueError(f"lithium.charge_mah: '{change}' is not in changes")
        return self

    def _check_preprocess(self) -> None:
        if (self.preprocess.dose == "region") != (self.preprocess.dose_region is not None):
            raise ValueError(
                "preprocess.dose = 'region' goes with dose_region = [row, stop, column, stop] of an inert part"
            )
        for name, state in self.states.items():
            if state.scan and (self.preprocess.dose == "file") != (state.dose_file is not None):
                raise ValueError(
                    f"states.{name}.dose_file goes with preprocess.dose = 'file': monitor counts, one line per view"
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
        """Absolute path of the file with the dose of every view."""
        given = self.states[state].dose_file
        return None if given is None else (self.folder / given).resolve()

    def black_body_path(self, state: str) -> Path | None:
        """Absolute path of the acquisition behind a black-body grid."""
        given = self.states[state].black_body
        return None if given is None else (self.folder / given).resolve()

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
        if "dose_file" in state:
            state["dose_file"] = str(study.dose_path(name))
        if "black_body" in state:
            state["black_body"] = str(study.black_body_path(name))
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


def toml_content(path: Path) -> dict[str, Any]:
    """Read TOML, with the mark that some editors put in front of UTF-8."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `deltamu new DIR` writes one") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a TOML file; `deltamu new DIR` writes one") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text (byte {error.object[error.start]:#x} at {error.start}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {_toml_problem(str(error))}") from None


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
        raise InputError(f"{source}: {first_problem(error, Study)}") from None


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


def refuse_unknown(source: str, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse keys that nobody would read, with the nearest one that is known."""
    for key in table:
        if key not in known:
            name = f"{where}.{key}" if where else key
            raise InputError(f"{source}: {name}: unknown key; {_nearest(key, list(known))}")


# what other programs call a setting, where the nearest spelling would be another one
OTHER_NAMES = {
    "angles": ("angle_file",),
    "angle": ("angle_file",),
    "theta": ("angle_file",),
    "pixel_size": ("pixel_size_mm",),
    "pixelsize": ("pixel_size_mm",),
    "ob": ("flats",),
    "open_beam": ("flats",),
    "white": ("flats",),
    "dc": ("darks",),
    "df": ("darks",),
    "dark_current": ("darks",),
    "cor": ("center",),
    "rotation_center": ("center",),
}


def _nearest(key: str, known: list[str]) -> str:
    meant = [name for name in OTHER_NAMES.get(key.lower(), ()) if name in known]
    close = meant or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(known))}"


def _known(name: str, states: Mapping[str, Any]) -> str:
    return _nearest(name, list(states))


def _toml_problem(message: str) -> str:
    if "twice" in message or "overwrite" in message:
        return f"a table or key stands twice ({message}); every state may be listed once"
    return f"not valid TOML ({message})"


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what is wrong with the tables of a model, and for an unknown key the nearest one."""
    # an unknown key explains a missing one, not the other way round
    problem = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in problem["loc"] if part != "function-after")
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; {_nearest(str(problem['loc'][-1]), _fields_beside(problem['loc'], model))}"
    if problem["type"] == "missing":
        return f"{where}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    found = "" if problem["type"] == "value_error" else f" (found {problem['input']!r})"
    return f"{where}: {message}{found}" if where else f"{message}{found}"


def _fields_beside(location: tuple[Any, ...], whole: type[BaseModel]) -> list[str]:
    """Return the keys that are known where an unknown one stood."""
    model: Any = whole
    for part in location[:-1]:
        field = model.model_fields.get(part)
        annotation = getattr(field, "annotation", None)
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        model = found[0] if found else model
    return [*(name for name in model.model_fields if name != "folder"), *(["scan"] if model is Study else [])]
