"""What a series is made of, opened: frames, their correction, the cycler on their clock."""

from dataclasses import dataclass
from pathlib import Path

from deltamu.recon.errors import InputError, naming
from deltamu.recon.operando.alignment import Cycling, align_cycler
from deltamu.recon.operando.cycler import read_cycler
from deltamu.recon.operando.grid_frames import GridFrames, open_grid
from deltamu.recon.operando.reference import Stack
from deltamu.recon.operando.series import Series, open_series
from deltamu.recon.operando.zones import Region, Zone
from deltamu.recon.study.operando.settings import SeriesStudy


@dataclass(frozen=True)
class Sources:
    """Frames and, where there are any, the cycler's record and frames behind a grid of black bodies."""

    series: Series
    cycling: Cycling | None
    grid: GridFrames | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was recognised and assumed."""
        cycler = () if self.cycling is None else (*self.cycling.record.notes, *self.cycling.notes)
        return (*(f"frames: {note}" for note in self.series.notes), *(f"cycler: {note}" for note in cycler))


def open_sources(study: SeriesStudy) -> Sources:
    """Open the frames and read the cycler's file.

    Raises
    ------
    InputError
        Naming the table of series.toml, the file, what was found and what was expected.
    """
    with naming("series"):
        series = open_series(
            study.frames_path,
            study.scan_options(),
            study.time_options(),
            stamp=study.series.stamp,
            name=study.name,
        )
    grid = None if study.grid_path is None else _open_grid(study, study.grid_path, series)
    if study.cycler is None or study.cycler_path is None:
        return Sources(series, None, grid)
    settings = study.cycler
    with naming("cycler"):
        record = read_cycler(
            study.cycler_path, columns=settings.columns, decimal=settings.decimal, encoding=settings.encoding,
            current_sign=settings.current_sign,
        )  # fmt: skip
        cycling = align_cycler(
            record, series, time_zone=settings.time_zone, offset_s=settings.offset_s,
            start_offset_s=settings.start_offset_s,
        )  # fmt: skip
    return Sources(series, cycling, grid)


def _open_grid(study: SeriesStudy, path: Path, series: Series) -> GridFrames:
    with naming("series.black_body"):
        grid = open_grid(path, study.grid_options())
    if grid.shape[1:] != series.shape[1:]:
        raise InputError(
            f"series.black_body: found frames of {grid.shape[1:]} pixels (row, column), the series has "
            f"{series.shape[1:]}; expected the same camera, crop and binning"
        )
    return grid


def stack_of(study: SeriesStudy) -> Stack:
    """The cell as assembled."""
    layers = study.layers
    core = layers.radius_mm if layers.core_radius_mm is None else layers.core_radius_mm
    return Stack(
        layers.order, layers.thickness_mm, layers.radius_mm, core, layers.axis_column, 1e-3 * layers.interface_um,
        1e-3 * layers.collimation_um, layers.casing_mm if study.preprocess.hardening.leave_out_casing else (),
    )  # fmt: skip


def zones_of(study: SeriesStudy) -> tuple[Zone, ...]:
    """Where lithium comes and goes."""
    return tuple(Zone(z.name, z.label or z.name, z.layer, z.near, z.reach_mm) for z in study.zones)


def regions_of(study: SeriesStudy) -> tuple[Region, ...]:
    """Regions of columns; the whole pellet where none is stated."""
    if not study.regions:
        reach = 0.85 * stack_of(study).core_radius_mm
        return (Region("middle", "middle of the pellet", ((-reach, reach),)),)
    return tuple(Region(r.name, r.label or r.name, r.columns_mm) for r in study.regions)
