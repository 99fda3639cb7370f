"""The cycler's record on the clock of the frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.change_points import slope_change
from deltamu.recon.operando.clock import in_utc
from deltamu.recon.operando.cycler import CyclerRecord
from deltamu.recon.operando.series import Series

Float = NDArray[np.float64]
# lithium and current must begin together to this, or to four σ of the images
_CLOCK_S, _CLOCK_SIGMAS = 180.0, 4.0
_CLOCK_WINDOW_S = 45 * 60.0


@dataclass(frozen=True)
class Cycling:
    """What the cycler says at the time of every frame.

    Attributes
    ----------
    record : CyclerRecord
    record_times_s : (record,) array
        On the clock of the frames.
    voltage_v, current_ma, charge_mah : (frame,) arrays
        NaN where the record has nothing; charge counts from the first frame that it covers.
    offset_s : float
        What was added to the cycler's times.
    notes : tuple of str
    """

    record: CyclerRecord
    record_times_s: Float
    voltage_v: Float
    current_ma: Float
    charge_mah: Float
    offset_s: float
    notes: tuple[str, ...]


def align_cycler(
    record: CyclerRecord,
    series: Series,
    *,
    time_zone: str | None = None,
    offset_s: float = 0.0,
    start_offset_s: float | None = None,
) -> Cycling:
    """Put a record on the clock of a series.

    Parameters
    ----------
    record : CyclerRecord
    series : Series
    time_zone : str, optional
        Of the cycler's clock; UTC when not stated.
    offset_s : float
        Added to the cycler's clock: negative where it runs ahead of that of the frames.
    start_offset_s : float, optional
        Where the clocks are of no use: seconds from the beginning of the series to the first record.

    Raises
    ------
    InputError
        If the record and the series do not overlap.
    """
    if start_offset_s is not None:
        offset, note = start_offset_s, f"the record begins {start_offset_s:g} s after the series, as stated"
    elif record.start is not None and series.start is not None:
        start = in_utc(record.start, time_zone, where="cycler.time_zone")
        offset = (start - series.start).total_seconds() + offset_s
        zone = time_zone or "UTC (no time zone stated)"
        note = f"clocks: the record begins {offset:.1f} s after the series (cycler's clock in {zone}, offset {offset_s:g} s)"
    else:
        missing = "cycler" if record.start is None else "frames"
        offset, note = offset_s, f"the {missing} state no date: record and series are taken to begin together"
    times = record.times_s + offset
    _check_overlap(record, times, series)
    voltage, current, charge = (
        record.at(series.times_s - offset, values)
        for values in (record.voltage_v, record.current_ma, record.charge_mah)
    )
    return Cycling(
        record, times, voltage, current, charge - _first(charge), offset, (note, *_cover_note(voltage))
    )


def _first(values: Float) -> float:
    known = np.flatnonzero(np.isfinite(values))
    return float(values[known[0]]) if known.size else 0.0


def _check_overlap(record: CyclerRecord, times: Float, series: Series) -> None:
    inside = (series.times_s >= times[0]) & (series.times_s <= times[-1])
    if np.count_nonzero(inside) < 2:
        raise InputError(
            f"{record.name}: found a record from {times[0] / 3600:.2f} to {times[-1] / 3600:.2f} h, the frames are from "
            f"{series.times_s[0] / 3600:.2f} to {series.times_s[-1] / 3600:.2f} h after the beginning of the series; "
            "expected that they overlap: check cycler.time_zone and cycler.offset_s, or state cycler.start_offset_s"
        )


def _cover_note(voltage: Float) -> tuple[str, ...]:
    missing = int(np.count_nonzero(~np.isfinite(voltage)))
    return (
        (f"{missing} of {voltage.size} frames were taken while the cycler recorded nothing",)
        if missing
        else ()
    )


def clock_doubt(times_s: Float, current_ma: Float, lithium_mah: Float) -> str | None:
    """Say so when lithium does not begin to move as the current is switched on; None where nothing can be told.

    Parameters
    ----------
    times_s, current_ma : (time,) arrays
    lithium_mah : (time,) array
        Of the zone with the clearest signal.
    """
    running = np.abs(np.nan_to_num(current_ma)) > 0.1 * float(np.nanmax(np.abs(current_ma), initial=0.0))
    starts = np.flatnonzero(running[1:] & ~running[:-1]) + 1
    if not starts.size or not np.isfinite(current_ma[starts[0] - 1]):
        return None
    begin = float(times_s[starts[0]] + times_s[starts[0] - 1]) / 2
    change = slope_change(times_s, lithium_mah, begin, window_s=_CLOCK_WINDOW_S, search_s=_CLOCK_WINDOW_S)
    if change is None:
        return None
    late = begin - change.time_s
    if abs(late) <= max(_CLOCK_S, _CLOCK_SIGMAS * change.sigma_s):
        return None
    return (
        f"clock: the cycler switches the current on {begin / 60:.1f} min after the beginning of the series, lithium begins to "
        f"move at {change.time_s / 60:.1f} ± {change.sigma_s / 60:.1f} min; is the cycler's clock right? "
        f"(try cycler.offset_s lower by {late:.0f})"
    )
