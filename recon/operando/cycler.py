"""The cycler's record: voltage, current and charge against time, from the files of the usual programs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.clock import parse_clock, parse_durations
from deltamu.recon.operando.cycler_columns import ColumnMeaning, recognise_columns
from deltamu.recon.operando.text_table import TextTable, read_text_table

Float = NDArray[np.float64]

# a step between two records is a gap when it is so many times the usual one, and longer than a minute
_GAP_STEPS, _SHORTEST_GAP_S = 10.0, 60.0
_LARGEST_DISAGREEMENT = 0.02


@dataclass(frozen=True)
class CyclerRecord:
    """What the cycler measured, in time order.

    Attributes
    ----------
    name : str
    times_s : (n,) array
        Since the first record.
    voltage_v, current_ma : (n,) arrays
        Current is positive on charge; NaN where not recorded.
    charge_mah : (n,) array
        Since the first record, signed like the current.
    start : datetime or None
        Of the first record, by the cycler's clock.
    gaps_s : tuple of (start, end)
        Times without a record.
    notes : tuple of str
        What was recognised and what was assumed.
    """

    name: str
    times_s: Float
    voltage_v: Float
    current_ma: Float
    charge_mah: Float
    start: datetime | None
    gaps_s: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]

    def at(self, times_s: Float, values: Float) -> Float:
        """Interpolate a column; NaN outside the record and inside its gaps."""
        known = np.isfinite(values)
        if np.count_nonzero(known) < 2:
            return np.full(np.shape(times_s), np.nan)
        result = np.interp(times_s, self.times_s[known], values[known], left=np.nan, right=np.nan)
        for start, end in self.gaps_s:
            result[(times_s > start) & (times_s < end)] = np.nan
        return np.asarray(result)


def read_cycler(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    current_sign: int = 1,
) -> CyclerRecord:
    """Read a cycler's text file: CSV in any language, BioLogic .mpt, text exports of Neware and Arbin.

    Parameters
    ----------
    path : path
    columns : mapping of quantity to title, optional
        Where the titles are not recognised.
    decimal, encoding : str, optional
        Found when not given.
    current_sign : {1, -1}
        −1 where the file counts discharge as positive.

    Raises
    ------
    InputError
        Naming the file, what was found, what was expected, what to try.
    """
    if current_sign not in (1, -1):
        raise InputError(f"current_sign: found {current_sign}, expected 1 or -1")
    table = read_text_table(Path(path), decimal=decimal, encoding=encoding)
    meanings = recognise_columns(table.names, stated=columns, source=str(path))
    notes = [_recognised(meanings, table.decimal)]
    times, start = _times(table, meanings, notes)
    order = _usable_order(times, table, notes)
    times = times[order] - times[order][0]
    values = {name: _values(table, meanings.get(name))[order] for name in ("voltage", "current", "capacity")}
    current = current_sign * values["current"]
    gaps = _gaps(times, notes)
    counted = _capacity(table, meanings, order, values["capacity"])
    charge = _charge(times, current, counted, gaps, current_sign, notes)
    return CyclerRecord(
        Path(path).name, times, values["voltage"], current, charge, start, gaps, tuple(notes)
    )  # fmt: skip


def _recognised(meanings: Mapping[str, ColumnMeaning], decimal: str) -> str:
    parts = [f"{name} = {column.title!r}" for name, column in meanings.items()]
    assumed = [f"{column.title!r}" for column in meanings.values() if not column.unit_stated]
    unit = f"; no known unit stated for {', '.join(assumed)}: s, V, mA, mAh assumed" if assumed else ""
    mark = "; decimal comma" if decimal == "," else ""
    return f"columns {', '.join(parts)}{mark}{unit}"


def _values(table: TextTable, column: ColumnMeaning | None) -> Float:
    if column is None:
        return np.full(len(table.rows), np.nan)
    return table.numbers(column.index) * (column.factor or 1.0)


def _times(
    table: TextTable, meanings: Mapping[str, ColumnMeaning], notes: list[str]
) -> tuple[Float, datetime | None]:
    """Seconds, and the moment of the first record where the file states one."""
    start = _start_of_preamble(table, notes)
    clock = meanings.get("clock")
    by_clock: Float | None = None
    if clock is not None:
        start, by_clock = parse_clock(table.text(clock.index), source=f"{table.path}: {clock.title!r}")
    column = meanings.get("time")
    if column is None:
        assert by_clock is not None
        return by_clock, start
    seconds = _seconds(table, column)
    if seconds is None:
        start, seconds = parse_clock(table.text(column.index), source=f"{table.path}: {column.title!r}")
    restarts = int(np.count_nonzero(np.diff(seconds) < 0))
    if restarts and by_clock is not None and np.all(np.diff(by_clock) >= 0):
        notes.append(
            f"{column.title!r} starts anew {restarts} times; the clock {clock and clock.title!r} is used"
        )
        return by_clock, start
    if restarts and float(seconds.min()) >= 0 and np.median(np.diff(seconds)) > 0:
        seconds = _unwrapped(seconds)
        notes.append(
            f"{column.title!r} starts anew {restarts} times (a time within steps); the steps were joined"
        )
    return seconds, start


def _seconds(table: TextTable, column: ColumnMeaning) -> Float | None:
    """Elapsed seconds; None for a column of dates."""
    texts = table.text(column.index)
    if ":" not in texts[0]:
        return _values(table, column)
    if re.match(r"(\d+\s*d\s*)?\d+:\d+(:|$)", texts[0]):
        return parse_durations(texts, source=f"{table.path}: {column.title!r}")
    return None


def _unwrapped(seconds: Float) -> Float:
    """Join steps whose time begins at zero: a step begins one usual interval after the end of the last."""
    steps = np.diff(seconds)
    usual = float(np.median(steps[steps > 0]))
    joined = np.where(steps < 0, np.maximum(seconds[1:], usual), steps)
    return np.concatenate([[seconds[0]], seconds[0] + np.cumsum(joined)])


def _start_of_preamble(table: TextTable, notes: list[str]) -> datetime | None:
    """When the acquisition started, as EC-Lab writes it above the table."""
    for line in table.preamble:
        match = re.search(
            r"(?:Acquisition started on|Start(?:ed)?(?: Time| Date)?|Startzeit)\s*[:=]?\s*(\d.*)$", line
        )
        if match:
            try:
                start, _ = parse_clock([match.group(1).strip().strip('"')], source=str(table.path))
            except InputError:
                continue
            notes.append(f"acquisition started on {start.isoformat(sep=' ')}")
            return start
    return None


def _usable_order(times: Float, table: TextTable, notes: list[str]) -> NDArray[np.int64]:
    """Records with a time, in time order, each time once."""
    known = np.flatnonzero(np.isfinite(times))
    if known.size < 2:
        raise InputError(f"{table.path}: found {known.size} records with a time, expected at least two")
    order = known[np.argsort(times[known], kind="stable")]
    if np.any(np.diff(order) < 0):
        notes.append("records are not in time order (a clock that was set back?); they were sorted")
    distinct = np.concatenate([[True], np.diff(times[order]) > 0])
    repeated = int(np.count_nonzero(~distinct))
    if repeated:
        notes.append(f"{repeated} records repeat the time of the one before and were left out")
    return np.asarray(order[distinct])


def _gaps(times: Float, notes: list[str]) -> tuple[tuple[float, float], ...]:
    steps = np.diff(times)
    limit = max(_GAP_STEPS * float(np.median(steps)), _SHORTEST_GAP_S)
    gaps = tuple((float(times[i]), float(times[i + 1])) for i in np.flatnonzero(steps > limit))
    if gaps:
        longest = max(end - start for start, end in gaps)
        notes.append(
            f"{len(gaps)} gaps without a record, the longest {longest / 60:.1f} min; nothing is assumed in them"
        )
    return gaps


def _capacity(
    table: TextTable, meanings: Mapping[str, ColumnMeaning], order: NDArray[np.int64], capacity: Float
) -> Float | None:
    """Signed capacity counter, charge minus discharge where both are counted; None without one."""
    parts = [_values(table, meanings.get(name))[order] for name in ("charge_capacity", "discharge_capacity")]
    if any(np.any(np.isfinite(part)) for part in parts):
        return np.asarray(np.nan_to_num(parts[0]) - np.nan_to_num(parts[1]))
    return capacity if np.any(np.isfinite(capacity)) else None


def _charge(
    times: Float, current: Float, counted: Float | None, gaps: tuple[tuple[float, float], ...], sign: int,
    notes: list[str],
) -> Float:  # fmt: skip
    """Charge since the first record: of the current, in gaps of the counter; of the counter without a current."""
    if not np.any(np.isfinite(current)):
        if counted is None:
            notes.append("neither current nor capacity is recorded; there is no charge to compare with")
            return np.full(times.size, np.nan)
        notes.append("no current is recorded; the charge is that of the capacity counter")
        return np.asarray(sign * (counted - counted[0]))
    known = np.isfinite(current)
    filled = np.interp(times, times[known], current[known])
    steps = 0.5 * (filled[1:] + filled[:-1]) * np.diff(times) / 3600
    if counted is None:
        if gaps:
            notes.append("the current in gaps is taken as the mean of that at their ends")
        return np.concatenate([[0.0], np.cumsum(steps)])
    # the counter of many programs restarts with each step and has no sign: it fills gaps, and is compared
    rises = np.diff(counted)
    if np.all(counted >= 0):
        rises = np.where(rises < 0, counted[1:], rises) * np.sign(filled[1:])
    in_gap = np.isin(times[1:], [end for _, end in gaps])
    steps = np.where(in_gap & (np.abs(rises) > 0), rises, steps)
    _compare(steps, rises, notes)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _compare(steps: Float, counts: Float, notes: list[str]) -> None:
    total, counted = float(np.sum(np.abs(steps))), float(np.sum(np.abs(counts)))
    if total > 0 and abs(counted / total - 1) > _LARGEST_DISAGREEMENT:
        notes.append(
            f"the capacity counter sums to {counted:.4g} mAh, the current to {total:.4g} mAh; the current is used"
        )
