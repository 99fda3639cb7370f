"""Tables in text files as instruments write them: any delimiter, decimal mark, encoding and preamble."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]

_DELIMITERS = ("\t", ";", "|", ",", None)
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}")
_CLOCK = re.compile(r"(\d+\s*d\s*)?\d{1,4}:\d{2}(:\d{2})?([.,]\d+)?")


@dataclass(frozen=True)
class TextTable:
    """Rows of a file, not yet interpreted.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Titles of the columns; a row of units below them is appended in brackets.
    rows : tuple of tuple of str
    decimal : {".", ","}
    preamble : tuple of str
        Lines above the table.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    decimal: str
    preamble: tuple[str, ...]

    def text(self, column: int) -> list[str]:
        """Cells of a column."""
        return [row[column] for row in self.rows]

    def numbers(self, column: int) -> Float:
        """Numbers of a column; NaN where a cell holds none."""
        return np.array([parse_number(row[column], self.decimal) for row in self.rows])


def read_text_table(path: Path, *, decimal: str | None = None, encoding: str | None = None) -> TextTable:
    """Find the table in a text file.

    The delimiter is the first of tab, semicolon, bar, comma and blanks for which most lines hold the same number
    of cells, mostly numbers or times; the titles are the last line above them with as many cells and no number.

    Parameters
    ----------
    path : Path
    decimal : {".", ","}, optional
        Found when not given.
    encoding : str, optional
        Found when not given: UTF-8 or UTF-16 with its mark, UTF-8, GB 18030 for Chinese, Windows 1252.

    Raises
    ------
    InputError
        If the file is missing or holds no table.
    """
    if decimal not in (None, ".", ","):
        raise InputError(f"decimal: found {decimal!r}, expected '.' or ','")
    lines = _lines(Path(path), encoding)
    # a single column is what is left when nothing separates more
    for delimiter, least in (*((d, 2) for d in _DELIMITERS), ("\t", 1)):
        split = [_cells(line, delimiter) for line in lines]
        width = _width(split, least)
        if width is not None:
            return _table(Path(path), lines, split, width, decimal)
    raise InputError(f"{path}: found no table in it; expected a line of titles and lines of numbers below it")


def parse_number(text: str, decimal: str = ".") -> float:
    """Read a number; NaN where there is none."""
    cleaned = text.strip().strip('"').replace("\u2212", "-").replace(" ", "").replace("\u00a0", "")
    if decimal == ",":
        cleaned = cleaned.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", cleaned):
        cleaned = cleaned.replace(",", "")
    try:
        return float(cleaned)
    except ValueError:
        return float("nan")


def _lines(path: Path, encoding: str | None) -> list[str]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = content.decode(encoding) if encoding else _decoded(content)
    except (LookupError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: encoding {encoding!r} does not fit ({error}); leave it out") from None
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    for encoding in ("utf-8-sig", "gb18030") if _in_pairs(content) else ("utf-8-sig",):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("cp1252", errors="replace")


def _in_pairs(content: bytes) -> bool:
    """Whether bytes above 127 stand in pairs, as in Chinese; accents and µ of Western texts stand alone."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", content)]
    return sum(run for run in runs if run % 2 == 0) > 0.8 * sum(runs)


def _cells(line: str, delimiter: str | None) -> tuple[str, ...]:
    if delimiter is None:
        return tuple(line.split())
    return tuple(cell.strip().strip('"').strip() for cell in line.rstrip().split(delimiter))


def _is_value(cell: str) -> bool:
    return bool(
        _NUMBER.fullmatch(cell)
        or _CLOCK.fullmatch(cell)
        or (_DATE.match(cell) and any(c.isdigit() for c in cell))
    )


def _is_data(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell]
    values = sum(_is_value(cell) for cell in filled)
    return len(filled) > 0 and values >= 0.5 * len(filled)


def _width(split: list[tuple[str, ...]], least: int) -> int | None:
    """Number of cells of the lines with numbers, if most of these agree and it is not below the least."""
    widths = Counter(len(cells) for cells in split if _is_data(cells))
    if not widths:
        return None
    width, count = widths.most_common(1)[0]
    return width if width >= least and count >= 0.5 * sum(widths.values()) and count >= 2 else None


def _table(
    path: Path, lines: list[str], split: list[tuple[str, ...]], width: int, decimal: str | None
) -> TextTable:
    data = [index for index, cells in enumerate(split) if len(cells) == width and _is_data(cells)]
    above = [
        i
        for i in range(data[0])
        if len(split[i]) == width and not any(_NUMBER.fullmatch(c) for c in split[i])
    ]
    if not above:
        raise InputError(
            f"{path}: found numbers but no titles above them; expected a line that names the columns"
        )
    names = _titles(split, above, data[0])
    rows = tuple(split[index] for index in data)
    return TextTable(path, names, rows, decimal or _decimal(rows), tuple(lines[: above[0]]))


def _titles(split: list[tuple[str, ...]], above: list[int], first: int) -> tuple[str, ...]:
    """Titles, with the units of a second line."""
    titles = split[above[-1]]
    if len(above) > 1 and above[-2] == above[-1] - 1 and above[-1] == first - 1 and _are_units(titles):
        units = titles
        return tuple(
            f"{name} ({unit})" if unit else name for name, unit in zip(split[above[-2]], units, strict=True)
        )
    return titles


def _are_units(cells: Sequence[str]) -> bool:
    bare = [cell.strip("[]()") for cell in cells if cell]
    known = [
        "s",
        "sec",
        "min",
        "h",
        "V",
        "mV",
        "A",
        "mA",
        "µA",
        "μA",
        "uA",
        "Ah",
        "mAh",
        "A.h",
        "mA.h",
        "mW",
        "W",
        "-",
    ]
    return bool(bare) and sum(cell in known for cell in bare) >= 0.6 * len(bare)


def _decimal(rows: Sequence[Sequence[str]]) -> str:
    cells = [cell for row in rows[:2000] for cell in row]
    commas = sum(bool(re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell)) for cell in cells)
    points = sum(bool(re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", cell)) for cell in cells)
    return "," if commas > points else "."
