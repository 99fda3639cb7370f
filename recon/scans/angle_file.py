"""Angles in text files: one per line, a table with titles, or the log of an instrument."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.units import angle_unit

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# lines of the IMAT instrument's logs, as text and as CSV:
#   Sun Feb 10 00:22:37 2019   Projection:  1  angle: 0.3152   Monitor 3 before: 4729337   Monitor 3 after: …
#   Tue Nov 15 19:58:50 2022,Projection,1,0.3152,145910,279015      (or …,angle:0.3152,…)
_LOG_LINE = re.compile(
    rf"^(?P<time>.*?)[\s,]*Projection\s*[:,]\s*(?P<number>\d+)\s*(?:,\s*(?:angle\s*:)?|\s+angle\s*:)\s*(?P<angle>{_NUMBER})",
    re.IGNORECASE,
)
_ANGLE_TITLE = re.compile(r"angle|theta|rot|phi|omega|°|deg\b", re.IGNORECASE)
_TIME_TITLE = re.compile(r"^(time|timestamp|elapsed|seconds|t)\b.*", re.IGNORECASE)


@dataclass(frozen=True)
class AngleList:
    """Angles as stated, before they are matched with the projections.

    Attributes
    ----------
    values : (entry,) float64 array
        In `unit`.
    unit : str or None
        "deg", "rad" or None when the source does not say.
    origin : str
        What messages call it.
    times_s : (entry,) float64 array or None
        Seconds since the first entry.
    """

    values: NDArray[np.float64]
    unit: str | None
    origin: str
    times_s: NDArray[np.float64] | None = None


def read_angle_file(path: Path, *, column: int | str | None = None) -> AngleList:
    """Read the angles of a text, CSV or instrument log file.

    Parameters
    ----------
    column : int or str or None
        Column of a table, counted from 0 or by its title; by default the one whose title speaks of an angle,
        the only one, or the one beside a running number.

    Raises
    ------
    InputError
        If the file does not exist, holds no angles, a line is not a number, or it is not clear which column
        holds them.
    """
    lines = _lines(path)
    logged = [match for _, line in lines if (match := _LOG_LINE.match(line))]
    if logged and column is None:
        return _from_log(path, logged)
    return _from_table(path, lines, column)


def is_instrument_log(path: Path) -> bool:
    """Return whether a text file is a log that names an angle for every projection."""
    try:
        return any(_LOG_LINE.match(line) for _, line in _lines(path)[:20])
    except InputError:
        return False


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return numbered lines without comments and blank ones."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    numbered = ((i, line.split("#")[0].strip()) for i, line in enumerate(text.splitlines(), 1))
    return [(i, line) for i, line in numbered if line]


def _from_log(path: Path, lines: list[re.Match[str]]) -> AngleList:
    numbers = [int(line["number"]) for line in lines]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        raise InputError(
            f"{path}: the log lacks projection {missing[0]} ({len(missing)} in all); "
            "restore the line or state the angles"
        )
    values = np.array([float(line["angle"]) for line in lines])
    return AngleList(values, "deg", str(path), _log_times([line["time"] for line in lines]))


def _log_times(stamps: list[str]) -> NDArray[np.float64] | None:
    try:
        times = [datetime.strptime(stamp.strip(), "%a %b %d %H:%M:%S %Y") for stamp in stamps]
    except ValueError:
        return None
    return np.array([(time - times[0]).total_seconds() for time in times])


def _from_table(path: Path, lines: list[tuple[int, str]], column: int | str | None) -> AngleList:
    rows = [(number, _cells(line)) for number, line in lines]
    titles: list[str] = []
    while rows and not any(_is_number(cell) for cell in rows[0][1]):
        titles = rows.pop(0)[1]
    if not rows:
        raise InputError(f"{path}: found no angles, expected one number per line")
    width = len(rows[0][1])
    titles = titles if len(titles) == width else []
    chosen = _column(path, titles, rows, column)
    values = np.array([_number(path, number, cells, chosen) for number, cells in rows])
    title = titles[chosen] if titles else ""
    words = re.findall(r"[A-Za-z°º]+", title)
    unit = next((found for word in words if (found := angle_unit(word))), None)
    return AngleList(values, unit, str(path), _table_times(path, titles, rows))


def _cells(line: str) -> list[str]:
    """Split at semicolons and tabs, else at commas, else at blanks."""
    for separator in (";", "\t"):
        if separator in line:
            return [re.sub(r"(?<=\d),(?=\d)", ".", cell.strip()) for cell in line.split(separator)]
    cells = line.split(",") if "," in line else line.split()
    return [cell.strip().strip('"') for cell in cells]


def _column(
    path: Path, titles: list[str], rows: list[tuple[int, list[str]]], column: int | str | None
) -> int:
    width = len(rows[0][1])
    if isinstance(column, str):
        if column not in titles:
            raise InputError(
                f"{path}: angle_column: no column '{column}'; found {', '.join(titles) or 'no titles'}"
            )
        return titles.index(column)
    if column is not None:
        if not 0 <= column < width:
            raise InputError(f"{path}: angle_column: found {column}, expected 0 to {width - 1}")
        return column
    titled = [i for i, title in enumerate(titles) if _ANGLE_TITLE.search(title)]
    if len(titled) == 1 or width == 1:
        return titled[0] if titled else 0
    numeric = [i for i in range(width) if all(len(cells) > i and _is_number(cells[i]) for _, cells in rows)]
    candidates = [i for i in numeric if not _is_running_number([cells[i] for _, cells in rows])]
    if len(candidates) != 1:
        raise InputError(
            f"{path}: found {width} columns, not clear which holds the angles; "
            f"state angle_column (0 to {width - 1})"
        )
    return candidates[0]


def _is_running_number(cells: list[str]) -> bool:
    values = np.array([float(cell) for cell in cells])
    return bool(values.size > 1 and values[0] in (0, 1) and np.all(np.diff(values) == 1))


def _number(path: Path, number: int, cells: list[str], column: int) -> float:
    if column >= len(cells) or not _is_number(cells[column]):
        found = cells[column] if column < len(cells) else " ".join(cells)
        raise InputError(f"{path}, line {number}: found '{found[:40]}', expected an angle")
    return float(cells[column])


def _table_times(
    path: Path, titles: list[str], rows: list[tuple[int, list[str]]]
) -> NDArray[np.float64] | None:
    found = [i for i, title in enumerate(titles) if _TIME_TITLE.match(title)]
    if len(found) != 1 or not all(len(cells) > found[0] and _is_number(cells[found[0]]) for _, cells in rows):
        return None
    times = np.array([float(cells[found[0]]) for _, cells in rows])
    return np.asarray(times - times[0], np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
