"""series.toml: what a series of radiographs is, checked before anything is computed."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import Field, ValidationError, model_validator

from deltamu.recon.errors import InputError, naming
from deltamu.recon.operando.frame_times import TimeOptions
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.study.settings_preprocess import HardeningSettings, LineSpreadSettings, ScatterSettings
from deltamu.recon.study.settings_problems import first_problem, refuse_unknown, toml_content
from deltamu.recon.study.settings_section import STATE_NAME, Finite, Fraction, Positive, Section

_TIME_KEYS = tuple(field.name for field in fields(TimeOptions))
_OWN_KEYS = ("path", "stamp", "frame_select", "black_body")
# a radiograph has no angle
_SCAN_KEYS = tuple(
    field.name
    for field in fields(ScanOptions)
    if not field.name.startswith("angle") and field.name not in ("direction", "frames_per_angle", "combine", "name",
                                                                 "projection_select")
)  # fmt: skip
_DETECTOR_KEYS = ("format", "transpose", "flip", "crop_rows", "crop_columns", "bin", "pixel_size_mm")
Columns = tuple[Finite, Finite]


class FramesSettings(Section):
    """Where the frames are, and when they were taken."""

    path: str
    stamp: Literal["start", "middle", "end"] = "start"
    frame_select: str | None = None
    black_body: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    times: dict[str, Any] = Field(default_factory=dict)


class CyclerSettings(Section):
    """The cycler's file, and how its clock stands to that of the frames."""

    path: str
    time_zone: str | None = None
    offset_s: Finite = 0.0
    start_offset_s: Finite | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    current_sign: Literal[1, -1] = 1


class FrameChainSettings(Section):
    """From detector counts to transmission."""

    dose: Literal["air", "none"] = "air"
    air_columns: tuple[tuple[int, int], ...] | None = None
    spots: bool = True
    drift: bool = True
    counts_per_adu: Positive | None = None
    scatter: ScatterSettings = ScatterSettings()
    line_spread: LineSpreadSettings = LineSpreadSettings()
    hardening: HardeningSettings = HardeningSettings()


class StackSettings(Section):
    """The stack along the rows of the frame, as the cell was assembled."""

    order: tuple[str, ...]
    thickness_mm: tuple[Positive, ...]
    radius_mm: Positive
    core_radius_mm: Positive | None = None
    casing_mm: tuple[Positive, ...] = ()
    axis_column: Finite | None = None
    interface_um: Positive = 1.5
    collimation_um: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> "StackSettings":
        if len(self.order) != len(self.thickness_mm):
            raise ValueError(
                f"order names {len(self.order)} layers, thickness_mm has {len(self.thickness_mm)}"
            )
        if len(set(self.order)) != len(self.order):
            raise ValueError(f"order names a layer twice: {', '.join(self.order)}")
        if self.core_radius_mm is not None and self.core_radius_mm > self.radius_mm:
            raise ValueError(
                f"core_radius_mm = {self.core_radius_mm:g} is larger than radius_mm = {self.radius_mm:g}"
            )
        return self


class ZoneSettings(Section):
    """A part of the stack in which lithium appears or disappears: a layer, or what is near one of its ends."""

    name: str
    layer: str
    label: str | None = None
    near: str | None = None
    reach_mm: Positive | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "ZoneSettings":
        if (self.near is None) != (self.reach_mm is None):
            raise ValueError(f"zone '{self.name}': expected both near and reach_mm, or neither")
        return self


class RegionSettings(Section):
    """Ranges of columns, as distances from the axis of the cell in mm."""

    name: str
    columns_mm: tuple[Columns, ...]
    label: str | None = None

    @model_validator(mode="after")
    def _ranges(self) -> "RegionSettings":
        for first, last in self.columns_mm:
            if not first < last:
                raise ValueError(
                    f"region '{self.name}': found [{first:g}, {last:g}], expected [first, last] with first < last"
                )
        if not self.columns_mm:
            raise ValueError(f"region '{self.name}': columns_mm is empty")
        return self


class FrontSettings(Section):
    """A reaction front: through which layer it runs, seen from which neighbour."""

    layer: str
    near: str
    region: str
    window_min: Positive = 30.0
    between: tuple[Fraction, Fraction] = (0.15, 0.85)
    lithium_mol_cm3: Positive | None = None
    level: Positive = 1.0


class LithiumSettings(Section):
    """The cross section that turns attenuation into lithium; windows of time over which charge is measured."""

    wavelength_angstrom: Positive = 2.6
    li6_fraction: Fraction = 0.0759
    window_min: Positive = 20.0
    balance: tuple[str, ...] = ()


class EventSettings(Section):
    """Search for shorts and stages."""

    search: bool = True
    settle_min: Positive = 25.0


class ViewSettings(Section):
    """Maps of the report: how many, over how many frames each."""

    maps: Annotated[int, Field(ge=1, le=12)] = 6
    frames_per_map: Annotated[int, Field(ge=1, le=50)] = 7
    colors: Literal["article", "grey", "safe"] = "article"
    film: bool = False


class SeriesStudy(Section):
    """A whole series.toml, with the folder its paths are relative to."""

    folder: Path
    name: str = "series"
    output: str = "result"
    series: FramesSettings
    cycler: CyclerSettings | None = None
    preprocess: FrameChainSettings = FrameChainSettings()
    reference_frames: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]] = (0, 10)
    average_frames: Annotated[int, Field(ge=1)] = 1
    layers: StackSettings
    zones: tuple[ZoneSettings, ...] = ()
    regions: tuple[RegionSettings, ...] = ()
    front: FrontSettings | None = None
    lithium: LithiumSettings = LithiumSettings()
    events: EventSettings = EventSettings()
    report: ViewSettings = ViewSettings()

    @model_validator(mode="after")
    def _names(self) -> "SeriesStudy":
        for kind, items in (("zones", self.zones), ("regions", self.regions)):
            names = [item.name for item in items]
            for name in names:
                if not STATE_NAME.fullmatch(name):
                    raise ValueError(
                        f"{kind}: name '{name}': expected lower-case letters, digits and underscores"
                    )
                if names.count(name) > 1:
                    raise ValueError(f"{kind}: two are called '{name}'")
        if not self.reference_frames[0] < self.reference_frames[1]:
            raise ValueError(f"reference_frames: found {list(self.reference_frames)}, expected [first, stop]")
        return self

    @model_validator(mode="after")
    def _known(self) -> "SeriesStudy":
        layers = self.layers.order
        for zone in self.zones:
            self._beside(f"zone '{zone.name}'", zone.layer, zone.near)
        if self.front is not None:
            self._beside("front", self.front.layer, self.front.near)
            if self.front.region not in [region.name for region in self.regions]:
                raise ValueError(f"front: region '{self.front.region}' is not among the regions")
        for name in self.lithium.balance:
            if name not in [zone.name for zone in self.zones]:
                raise ValueError(f"lithium.balance: '{name}' is not a zone")
        if len(layers) < 3:
            raise ValueError("layers.order: expected at least three layers")
        if (self.preprocess.scatter.method == "black_body") != (self.series.black_body is not None):
            raise ValueError(
                "preprocess.scatter.method = 'black_body' goes with series.black_body, the path of the acquisition "
                "behind the grid"
            )
        return self

    def _beside(self, what: str, layer: str, near: str | None) -> None:
        order = self.layers.order
        for name in (layer, near):
            if name is not None and name not in order:
                raise ValueError(f"{what}: layer '{name}' is not in layers.order ({', '.join(order)})")
        if near is not None and abs(order.index(layer) - order.index(near)) != 1:
            raise ValueError(f"{what}: '{near}' does not touch '{layer}' in layers.order")

    @property
    def output_dir(self) -> Path:
        """Absolute folder of the results."""
        return (self.folder / self.output).resolve()

    @property
    def frames_path(self) -> Path:
        """Absolute path of the frames."""
        return (self.folder / self.series.path).resolve()

    @property
    def cycler_path(self) -> Path | None:
        """Absolute path of the cycler's file."""
        return None if self.cycler is None else (self.folder / self.cycler.path).resolve()

    @property
    def grid_path(self) -> Path | None:
        """Absolute path of the acquisition behind a black-body grid."""
        given = self.series.black_body
        return None if given is None else (self.folder / given).resolve()

    def scan_options(self) -> ScanOptions:
        """Reader options of the frames."""
        with naming("series"):
            return ScanOptions(projection_select=self.series.frame_select, **_tuples(self.series.options))

    def grid_options(self) -> ScanOptions:
        """Reader options of the acquisition behind the grid: the same detector, its own folders."""
        own = self.series.options
        return ScanOptions(**_tuples({key: own[key] for key in _DETECTOR_KEYS if key in own}))

    def time_options(self) -> TimeOptions:
        """Where the times are from."""
        try:
            return TimeOptions(**self.series.times)
        except TypeError as error:
            raise InputError(f"series: {error}") from None


def read_series_study(path: Path) -> SeriesStudy:
    """Read and check a series.toml.

    Raises
    ------
    InputError
        Naming the file and the field, what was found, what was expected and, for an unknown key, the nearest.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "series.toml"
    return series_from_table(toml_content(path), folder=path.resolve().parent, source=str(path))


def series_from_table(content: dict[str, Any], *, folder: Path, source: str = "series.toml") -> SeriesStudy:
    """Check the tables of a series.toml; `source` names them in errors."""
    table = dict(content)
    frames = table.get("series")
    if isinstance(frames, dict):
        refuse_unknown(source, "series", frames, (*_OWN_KEYS, *_TIME_KEYS, *_SCAN_KEYS))
        table["series"] = {
            **{key: value for key, value in frames.items() if key in _OWN_KEYS},
            "options": {key: value for key, value in frames.items() if key in _SCAN_KEYS},
            "times": {key: value for key, value in frames.items() if key in _TIME_KEYS},
        }
    try:
        return SeriesStudy(folder=folder, **table)
    except ValidationError as error:
        raise InputError(f"{source}: {first_problem(error, SeriesStudy)}") from None


def series_text(study: SeriesStudy) -> str:
    """Write the settings as they were resolved, every default filled in, as TOML that can be run again."""
    content = study.model_dump(mode="json", exclude={"folder"}, exclude_none=True)
    frames = content["series"]
    frames.update(frames.pop("options"))
    frames.update(frames.pop("times"))
    frames["path"] = str(study.frames_path)
    if study.grid_path is not None:
        frames["black_body"] = str(study.grid_path)
    if study.cycler_path is not None:
        content["cycler"]["path"] = str(study.cycler_path)
    content["output"] = str(study.output_dir)
    return tomlkit.dumps(content)


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
