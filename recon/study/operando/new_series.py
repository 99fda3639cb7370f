"""`deltamu new --series`: look at what lies in a folder and draft a series.toml from it."""

import os
from collections.abc import Iterator
from pathlib import Path

from deltamu.recon.atomic import write_text
from deltamu.recon.errors import InputError
from deltamu.recon.operando.cycler import read_cycler
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import find_frames

_TABLE_SUFFIXES = (".csv", ".txt", ".tsv", ".mpt", ".log")
_FEWEST_FRAMES = 3
# the cell of `deltamu demo --operando front`, to be replaced
_REST = """
[layers]                            # the stack along the rows as it was assembled: edit all of this
order = ["collector_a", "anode", "separator", "cathode", "collector_c"]
thickness_mm = [0.5, 0.39, 0.5, 0.4, 0.5]    # outer layers as far as they are seen
radius_mm = 3.0                     # of the pellet
# core_radius_mm = 3.0              # of its narrowest layer
# casing_mm = [4.0, 6.0]            # outer radii of the shells around it; needed to undo hardening

[[zones]]                           # where lithium comes and goes: a whole layer …
name = "cathode"
layer = "cathode"

# [[zones]]                         # … or what lies near one of its faces
# name = "plated"
# layer = "separator"
# near = "anode"
# reach_mm = 0.25

[[regions]]                         # columns that are averaged, as distances from the axis of the cell
name = "middle"
columns_mm = [[-1.5, 1.5]]

[lithium]
wavelength_angstrom = 2.6           # of the beam
# balance = ["plated"]              # zones that are summed against the cycler

# [front]                           # follow a reaction front through a layer, seen from its neighbour
# layer = "cathode"
# near = "separator"
# region = "middle"

# [preprocess.scatter]              # "uniform" with a fraction, or "black_body" with series.black_body = "path"
# method = "uniform"
# fraction = 0.02

# [preprocess.hardening]            # of a white beam
# method = "spectrum"
"""


def write_new_series(folder: Path) -> Path:
    """Write series.toml into a folder that holds the frames of a series and, often, the cycler's file.

    Raises
    ------
    InputError
        If no frames are found, or series.toml exists.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the folder that holds the series")
    target = folder / "series.toml"
    if target.exists():
        raise InputError(f"{target}: exists already; edit it, or move it away to draft a new one")
    path, found = _frames_in(folder)
    lines = [*_head(folder), *_frames(folder, path, found), "", *_cycler(folder, path)]
    return write_text(target, "\n".join(lines) + "\n" + _REST)


def _frames_in(folder: Path) -> tuple[Path, FoundScan]:
    """Find the folder or file that reads as frames; its parent folders are tried first."""
    for path in (folder, *(p for p in sorted(folder.iterdir()) if not p.name.startswith("."))):
        try:
            found = find_frames(path, ScanOptions())
        except InputError:
            continue
        if found.projections.count >= _FEWEST_FRAMES:
            return path, found
    raise InputError(
        f"{folder}: found no frames of a series; expected a folder of TIFF or FITS images (with sub-folders of flats and "
        "darks), or an HDF5 or Zarr file, in it or one level below"
    )


def _head(folder: Path) -> list[str]:
    return [
        "# A series of radiographs. `deltamu operando series.toml --check` says what is recognised, without --check it runs.",
        f'name = "{folder.resolve().name}"',
        'output = "result"                   # folder of the results, relative to this file',
        "reference_frames = [0, 10]          # first and stop of the frames that Tr_0 is the mean of",
        "",
    ]  # fmt: skip


def _frames(folder: Path, path: Path, found: FoundScan) -> list[str]:
    kinds = [kind for kind in ("flats", "flats_after", "darks") if getattr(found, kind) is not None]
    rows, columns = found.projections.shape
    lines = [
        "[series]",
        f"# found: {found.projections.count} frames of {rows} × {columns} pixels; {', '.join(kinds) or 'no flats and no darks'}",
        f'path = "{path.relative_to(folder).as_posix()}"',
    ]
    if found.pixel_size_mm is None:
        lines.append("pixel_size_mm = 0.0135              # not stated in the files: edit")
    times = [table for table in _tables(folder, path) if "time" in table.stem.lower()]
    if times:
        base = path if path.is_dir() else path.parent
        lines.append(f'times_file = "{_relative(times[0], base)}"')
    else:
        lines.append(
            '# interval_s = 60.0                # and start = "2024-03-05 08:00:00", or times_file = "times.csv"'
        )
    return [*lines, '# time_zone = "Europe/Berlin"       # of dates without one; UTC when not stated']


def _cycler(folder: Path, path: Path) -> list[str]:
    for table in _tables(folder, path):
        if "time" in table.stem.lower():
            continue
        try:
            record = read_cycler(table)
        except InputError:
            continue
        return [
            "[cycler]",
            f"# found: {record.times_s.size} records over {record.times_s[-1] / 3600:.2f} h",
            f'path = "{_relative(table, folder)}"',
            '# time_zone = "Europe/Berlin"       # of the clock of the cycler',
            "# offset_s = 0.0                    # seconds to add to its clock",
        ]
    return ["# [cycler]                         # no cycler's file was recognised", '# path = "cycler.csv"']


def _tables(folder: Path, path: Path) -> Iterator[Path]:
    """Text tables beside the frames and in the folder."""
    places = dict.fromkeys((folder, path if path.is_dir() else path.parent))
    for place in places:
        yield from (p for p in sorted(place.iterdir()) if p.suffix.lower() in _TABLE_SUFFIXES)


def _relative(file: Path, base: Path) -> str:
    return Path(os.path.relpath(file, base)).as_posix()
