"""When the frames of a series were taken: stated, in a table, in a dataset, in headers or in file names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.clock import in_utc, parse_clock, parse_durations
from deltamu.recon.operando.text_table import TextTable, read_text_table
from deltamu.recon.scans.found import FoundScan
from deltamu.recon.scans.frames import FrameSource
from deltamu.recon.scans.names import FITS_SUFFIXES, TIFF_SUFFIXES

Float = NDArray[np.float64]

# 2023-03-14T10_12_13, 20230314_101213, 2023-03-14 10-12-13
_IN_NAME = re.compile(r"(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})[T_\- ]+(\d{2})[-_.h:]?(\d{2})[-_.m:]?(\d{2})(?!\d)")
_FILE_TITLES = ("file", "frame", "image", "name", "filename", "datei", "bild", "fichier", "number", "index")
_TIME_TITLES = ("time", "clock", "date", "zeit", "datum", "temps", "timestamp", "seconds", "tiempo", "时间")


@dataclass(frozen=True)
class FrameTimes:
    """Time stamps of stored frames.

    Attributes
    ----------
    seconds : (frame,) array
        Since `start`, or since the first frame where no date is known; NaN where a frame has none.
    start : datetime or None
        In UTC.
    origin : str
        Where they are from, for notes.
    """

    seconds: Float
    start: datetime | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class TimeOptions:
    """What can be stated about the times of frames.

    Attributes
    ----------
    times_file : str or None
        CSV or text, relative to the series: one line per frame, with the file name or number when there is one.
    start : str or None
        Date and time of the first frame.
    interval_s : float or None
        Time from frame to frame.
    time_zone : str or None
        Of dates without one, for example "Europe/Berlin"; UTC when not stated.
    use_file_dates : bool
        Take the time of change of each file, when nothing else is known.
    """

    times_file: str | None = None
    start: str | None = None
    interval_s: float | None = None
    time_zone: str | None = None
    use_file_dates: bool = False


def find_times(folder: Path, found: FoundScan, options: TimeOptions) -> FrameTimes:
    """Return the times of the stored frames: what is stated wins over what is found.

    Raises
    ------
    InputError
        If no times are found, or they do not fit the frames.
    """
    source = found.projections
    if options.interval_s is not None:
        return _equidistant(source.count, options)
    if options.times_file is not None:
        return _of_table(folder / options.times_file, source, options)
    if found.times_s is not None:
        return _of_dataset(found.times_s, source, options)
    for origin, texts in (("headers", _header_texts(source)), ("file names", _name_texts(source))):
        if texts is not None:
            start, seconds = parse_clock(texts, source=f"{source.label} ({origin})")
            return FrameTimes(seconds, in_utc(start, options.time_zone, where="time_zone"), origin)
    if options.use_file_dates and len(source.files) == source.count:
        dates = np.array([file.stat().st_mtime for file in source.files])
        return FrameTimes(
            dates - dates[0], datetime.fromtimestamp(dates[0], UTC), "times of change of the files"
        )
    raise InputError(
        f"{source.label}: found no time stamps; state interval_s (and start), times_file, times_path of an HDF5 file, "
        "or use_file_dates = true"
    )


def _equidistant(count: int, options: TimeOptions) -> FrameTimes:
    assert options.interval_s is not None
    start = None
    if options.start is not None:
        moment, _ = parse_clock([options.start], source="start")
        start = in_utc(moment, options.time_zone, where="time_zone")
    return FrameTimes(
        np.arange(count, dtype=np.float64) * options.interval_s,
        start,
        f"stated, every {options.interval_s:g} s",
    )


def _of_dataset(values: NDArray[np.floating], source: FrameSource, options: TimeOptions) -> FrameTimes:
    if values.size != source.count:
        raise InputError(
            f"times_path: found {values.size} times for the {source.count} frames of {source.label}"
        )
    seconds = np.array(values, dtype=np.float64)
    # seconds since 1970 as against seconds since the beginning
    if float(np.nanmin(seconds)) > 3.2e8:
        first = float(seconds[0])
        return FrameTimes(
            seconds - first, datetime.fromtimestamp(first, UTC), "times_path, seconds since 1970"
        )
    start = None
    if options.start is not None:
        moment, _ = parse_clock([options.start], source="start")
        start = in_utc(moment, options.time_zone, where="time_zone")
    return FrameTimes(seconds - seconds[0], start, "times_path")


def _of_table(path: Path, source: FrameSource, options: TimeOptions) -> FrameTimes:
    table = read_text_table(path)
    seconds, start = _table_times(table, options)
    names = _column(table, _FILE_TITLES)
    if names is None:
        if seconds.size != source.count:
            raise InputError(
                f"{path}: found {seconds.size} times for the {source.count} frames of {source.label}; add a column "
                "with the file names, or state which frames belong to the series (frame_select)"
            )
        return FrameTimes(seconds, start, path.name)
    return FrameTimes(_by_name(table.text(names), seconds, source, path), start, path.name)


def _table_times(table: TextTable, options: TimeOptions) -> tuple[Float, datetime | None]:
    column = _column(table, _TIME_TITLES)
    if column is None:
        raise InputError(f"{table.path}: found no column of times among {', '.join(table.names)}")
    texts = table.text(column)
    if np.all(np.isfinite(table.numbers(column))):
        return table.numbers(column), None
    if re.fullmatch(r"(\d+\s*d\s*)?\d+:\d{2}:\d{2}([.,]\d+)?", texts[0]):
        return parse_durations(texts, source=str(table.path)), None
    start, seconds = parse_clock(texts, source=str(table.path))
    return seconds, in_utc(start, options.time_zone, where="time_zone")


def _column(table: TextTable, words: tuple[str, ...]) -> int | None:
    for word in words:
        for index, title in enumerate(table.names):
            if word in title.lower():
                return index
    return None


def _by_name(names: list[str], seconds: Float, source: FrameSource, path: Path) -> Float:
    """Match lines with frames by file name, or by number where frames have no names."""
    if source.names is None:
        numbers = [int(re.sub(r"\D", "", name) or -1) for name in names]
        keys: dict[object, float] = dict(zip(numbers, seconds, strict=True))
        return np.array([keys.get(number, np.nan) for number in range(source.count)])
    stems = {Path(name).stem: time for name, time in zip(names, seconds, strict=True)}
    matched = np.array([stems.get(Path(name).stem, np.nan) for name in source.names])
    if not np.any(np.isfinite(matched)):
        raise InputError(f"{path}: none of its names ({names[0]!r}, …) is a frame of {source.label}")
    return matched


def _name_texts(source: FrameSource) -> list[str] | None:
    if source.names is None or len(source.names) < 2:
        return None
    matches = [_IN_NAME.search(name) for name in source.names]
    if not all(matches):
        return None
    return ["{}-{}-{} {}:{}:{}".format(*match.groups()) for match in matches if match]


def _header_texts(source: FrameSource) -> list[str] | None:
    """Dates in the headers of a folder of single images; None unless all have one and they differ."""
    if len(source.files) != source.count or source.count < 2:
        return None
    reader = _header_reader(source.files[0])
    if reader is None or reader(source.files[0]) is None:
        return None
    texts = [reader(file) for file in source.files]
    known = [text for text in texts if text is not None]
    return known if len(known) == len(texts) and len(set(known)) > 1 else None


def _header_reader(file: Path) -> Callable[[Path], str | None] | None:
    if file.suffix.lower() in TIFF_SUFFIXES:
        return _tiff_date
    return _fits_date if file.suffix.lower() in FITS_SUFFIXES else None


def _tiff_date(path: Path) -> str | None:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            tag = tif.pages[0].tags.get("DateTime")  # type: ignore[union-attr]
            return str(tag.value) if tag is not None else None
    except Exception:
        # what is wrong with a file is told by its reader; here it has no date
        return None


def _fits_date(path: Path) -> str | None:
    from astropy.io import fits

    try:
        header = fits.getheader(path)
    except (OSError, ValueError, TypeError):
        return None
    return str(header["DATE-OBS"]).replace("T", " ") if "DATE-OBS" in header else None
