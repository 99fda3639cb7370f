"""Shorts and stages: changes of the voltage and of the lithium in the zones, and what speaks for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.operando.change_points import ChangePoint, SlopeChange, find_change_points, slope_change

Float = NDArray[np.float64]
KINDS = ("soft short", "hard short", "stage", "voltage change", "lithium change")
_WINDOW_S, _SEARCH_S = 45 * 60.0, 15 * 60.0
# slopes must differ by so many σ; what only the images show, by more
_SCORE, _SCORE_ALONE = 5.0, 8.0
_LEAST_DROP_V, _DROP_NOISES = 0.15, 10.0
_PLATEAU_SLOPE, _PLATEAU_NOISE = 0.5, 2.0
# an unsteady plateau forgets itself in minutes: its slope shows over hours
_PLATEAU_S = 2 * 3600.0
# a mean over so long before and after tells the drop of a voltage
_LEVEL_S = 10 * 60.0
# what goes back after a short does so along a straight line for a few minutes only
_RELAXATION_S = 12 * 60.0


@dataclass(frozen=True)
class Evidence:
    """What one signal says about an event.

    Attributes
    ----------
    signal : str
        "voltage" or the name of a zone.
    change : SlopeChange
    supports : bool
    text : str
    """

    signal: str
    change: SlopeChange
    supports: bool
    text: str


@dataclass(frozen=True)
class Event:
    """Something that happened to the cell.

    Attributes
    ----------
    kind : str
        One of KINDS; the last two are told by one signal alone.
    time_s, sigma_s : float
    evidence : tuple of Evidence
    """

    kind: str
    time_s: float
    sigma_s: float
    evidence: tuple[Evidence, ...]

    @property
    def signals(self) -> tuple[str, ...]:
        """Signals that support it."""
        return tuple(item.signal for item in self.evidence if item.supports)


@dataclass(frozen=True)
class Signals:
    """What is searched, on one clock.

    Attributes
    ----------
    times_s : (time,) array
    voltage_v, current_ma : (time,) arrays
        NaN where nothing is recorded.
    zones : mapping of name to (time,) array
        Lithium, mAh.
    """

    times_s: Float
    voltage_v: Float
    current_ma: Float
    zones: Mapping[str, Float]


def find_events(signals: Signals, *, settle_s: float) -> list[Event]:
    """Find shorts and changes of stage, in the order of time.

    A change of the voltage is an event where lithium changes its course too; one that a single signal shows is
    named after that signal. The time after the current was changed is left out, and so is what follows a short.

    Parameters
    ----------
    signals : Signals
    settle_s : float
        How long voltage and images may need after a change of current.
    """
    quiet = _quiet_times(signals, settle_s)
    events: list[Event] = []
    for first, last in quiet:
        inside = (signals.times_s >= first) & (signals.times_s <= last)
        events += _events_within(signals, inside)
        if events and events[-1].kind.endswith("short"):
            break
    return events


def _quiet_times(signals: Signals, settle_s: float) -> list[tuple[float, float]]:
    """Spans of constant current other than zero, without the time in which things settle."""
    current = np.nan_to_num(signals.current_ma)
    if not np.any(current):
        return [(float(signals.times_s[0]) + settle_s, float(signals.times_s[-1]))]
    limit = 0.05 * float(np.max(np.abs(current)))
    steps = np.flatnonzero(np.abs(np.diff(current)) > limit) + 1
    borders = [0, *steps.tolist(), current.size]
    spans = []
    for start, stop in pairwise(borders):
        first, last = signals.times_s[start], signals.times_s[stop - 1]
        if last - first > 2 * settle_s and abs(float(np.median(current[start:stop]))) > limit:
            spans.append((float(first) + settle_s, float(last)))
    return spans


def _events_within(signals: Signals, inside: NDArray[np.bool_]) -> list[Event]:
    voltage = np.where(inside, signals.voltage_v, np.nan)
    zones = {name: np.where(inside, values, np.nan) for name, values in signals.zones.items()}
    part = Signals(signals.times_s, voltage, signals.current_ma, zones)
    events: list[Event] = []
    for point in _points(part.times_s, voltage):
        event = _of_voltage(part, point)
        if event is not None:
            events.append(event)
        if event is not None and event.kind.endswith("short"):
            return (
                [*_of_zones_alone(part, events, until_s=event.time_s), event] if len(events) == 1 else events
            )
    return sorted([*events, *_of_zones_alone(part, events)], key=lambda event: event.time_s)


def _points(times: Float, signal: Float) -> list[ChangePoint]:
    if np.count_nonzero(np.isfinite(signal)) < 40:
        return []
    return find_change_points(times, signal)


def _of_voltage(signals: Signals, point: ChangePoint) -> Event | None:
    """Say what a change of the voltage was."""
    change = slope_change(
        signals.times_s, signals.voltage_v, point.time_s, window_s=_WINDOW_S, search_s=_SEARCH_S
    )
    if change is None:
        return None
    drop = _drop(signals, point.time_s)
    if drop > max(_LEAST_DROP_V, _DROP_NOISES * change.noise_before):
        return _hard_short(point, change, _zone_changes(signals, point.time_s, _RELAXATION_S), drop)
    zones = _zone_changes(signals, point.time_s, _WINDOW_S)
    event = _plateau(signals, point)
    if event is not None:
        return event
    if abs(change.score) < _SCORE:
        return None
    told = [_evidence(name, found, abs(found.score) >= _SCORE) for name, found in zones.items()]
    kind = "stage" if any(item.supports for item in told) else "voltage change"
    # where two slopes meet is known better than the first sample of the new one
    return Event(kind, change.time_s, change.sigma_s, (_voltage_evidence(change), *told))


def _plateau(signals: Signals, point: ChangePoint) -> Event | None:
    long = slope_change(
        signals.times_s, signals.voltage_v, point.time_s, window_s=_PLATEAU_S, search_s=_SEARCH_S
    )
    if long is None or not _is_plateau(signals, long):
        return None
    return _soft_short(point, long, _zone_changes(signals, point.time_s, _PLATEAU_S))


def _event(kind: str, point: ChangePoint, evidence: list[Evidence]) -> Event:
    return Event(kind, point.time_s, point.sigma_s, tuple(evidence))


def _zone_changes(signals: Signals, time_s: float, window_s: float) -> dict[str, SlopeChange]:
    search = min(_SEARCH_S, window_s / 2)
    found = {
        name: slope_change(signals.times_s, values, time_s, window_s=window_s, search_s=search)
        for name, values in signals.zones.items()
    }
    return {name: change for name, change in found.items() if change is not None}


def _drop(signals: Signals, time_s: float) -> float:
    """Volt by which the voltage is lower some minutes later."""
    times, voltage = signals.times_s, signals.voltage_v
    before = voltage[(times < time_s) & (times >= time_s - _LEVEL_S) & np.isfinite(voltage)]
    after = voltage[
        (times > time_s + _LEVEL_S / 2) & (times <= time_s + 1.5 * _LEVEL_S) & np.isfinite(voltage)
    ]
    if not before.size or not after.size:
        return 0.0
    return float(np.median(before) - np.median(after))


def _hard_short(point: ChangePoint, change: SlopeChange, zones: dict[str, SlopeChange], drop: float) -> Event:
    """The voltage has dropped; in a short the lithium that had moved goes back."""
    told = [
        Evidence(
            name, found, _turns_back(found), f"{'goes back, ' if _turns_back(found) else ''}{_text(found)}"
        )
        for name, found in zones.items()
    ]
    kind = "hard short" if any(item.supports for item in told) else "voltage change"
    fell = Evidence("voltage", change, True, f"falls by {drop:.2f} V")
    return _event(kind, point, [fell, *told])


def _turns_back(change: SlopeChange) -> bool:
    return bool(change.before * change.after < 0 and abs(change.score) > _SCORE)


def _is_plateau(signals: Signals, change: SlopeChange) -> bool:
    """Whether a voltage that was rising with the charge (or falling with the discharge) has become unsteady and flat."""
    direction = float(np.sign(np.nanmedian(signals.current_ma)) or 1.0)
    was_going = direction * change.before > _SCORE * change.sigma_before
    flat = abs(change.after) < max(_PLATEAU_SLOPE * abs(change.before), 3 * change.sigma_after)
    return bool(was_going and flat and change.noise_after > _PLATEAU_NOISE * change.noise_before)


def _soft_short(point: ChangePoint, change: SlopeChange, zones: dict[str, SlopeChange]) -> Event | None:
    """Some zones lose their course with the voltage while lithium goes on to gather in another."""
    told = []
    for name, found in zones.items():
        gathers = found.after > _SCORE * found.sigma_after and found.before > 0
        slows = abs(found.before) > _SCORE * found.sigma_before and abs(found.after) < 0.5 * abs(found.before)
        text = (
            "lithium goes on to gather"
            if gathers and not slows
            else "slows with the voltage"
            if slows
            else _text(found)
        )
        told.append(Evidence(name, found, bool(gathers or slows), text))
    gathering = any(item.text.startswith("lithium goes on") for item in told)
    slowing = any(item.text.startswith("slows") for item in told)
    noisier = change.noise_after / max(change.noise_before, 1e-12)
    plateau = Evidence("voltage", change, True, f"stops rising and is {noisier:.0f} times as noisy")
    if gathering and slowing:
        return _event("soft short", point, [plateau, *told])
    return _event("voltage change", point, [plateau, *told]) if not (gathering or slowing) else None


def _of_zones_alone(signals: Signals, events: list[Event], until_s: float = np.inf) -> list[Event]:
    """Changes of course that the voltage does not show."""
    found: list[Event] = []
    for name, values in signals.zones.items():
        for point in _points(signals.times_s, values):
            near = any(
                abs(point.time_s - event.time_s) < _SEARCH_S + 3 * point.sigma_s
                for event in [*events, *found]
            )
            change = slope_change(
                signals.times_s, values, point.time_s, window_s=_WINDOW_S, search_s=_SEARCH_S
            )
            if near or change is None or abs(change.score) < _SCORE_ALONE or point.time_s > until_s:
                continue
            found.append(_event("lithium change", point, [_evidence(name, change, True)]))
    return found


def _voltage_evidence(change: SlopeChange) -> Evidence:
    text = (
        f"slope {3600e3 * change.before:.0f} → {3600e3 * change.after:.0f} mV/h ({abs(change.score):.0f} σ)"
    )
    return Evidence("voltage", change, True, text)


def _evidence(name: str, change: SlopeChange, supports: bool) -> Evidence:
    return Evidence(name, change, supports, _text(change))


def _text(change: SlopeChange) -> str:
    return f"{3600 * change.before:+.3f} → {3600 * change.after:+.3f} mAh/h ({abs(change.score):.0f} σ)"
