"""Angles of the views: stated in some way, matched with the frames, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.names import angle_from_name
from deltamu.recon.scans.options import parse_select

Float = NDArray[np.float64]

GOLDEN_RATIO = (1 + 5**0.5) / 2
# no tomography turns by less than this; in radians, a whole turn is 6.28
SMALLEST_RANGE_DEG = 6.5


@dataclass(frozen=True)
class FrameAngles:
    """Angle of every frame.

    Attributes
    ----------
    degrees : (frame,) float64 array
    times_s : (frame,) float64 array or None
    """

    degrees: Float
    times_s: Float | None


def evenly_spaced(start_deg: float, stop_deg: float, count: int, *, endpoint: bool) -> AngleList:
    """Angles from start to stop; with `endpoint` the last one is at the stop."""
    values = np.linspace(start_deg, stop_deg, count, endpoint=endpoint)
    return AngleList(values, "deg", "angle_start_deg, angle_stop_deg")


def golden_ratio(count: int, *, range_deg: float = 180.0, start_deg: float = 0.0) -> AngleList:
    """Golden-ratio sequence: every view falls into the largest gap left by the earlier ones.

    The step is range / 1.618…, 111.246° over 180° (Köhler, IEEE NSS 2004, 3961).
    """
    values = start_deg + np.mod(np.arange(count) * (range_deg / GOLDEN_RATIO), range_deg)
    return AngleList(values, "deg", "angle_golden")


def from_names(names: Sequence[str], pattern: str) -> AngleList:
    """Angles in file names by a regular expression; InputError for the first name that does not fit."""
    values = [angle_from_name(name, pattern) for name in names]
    for name, value in zip(names, values, strict=True):
        if value is None:
            raise InputError(f"angle_pattern: '{pattern}' finds no angle in the file name '{name}'")
    return AngleList(np.array(values, float), "deg", "file names")


def recognised_in_names(names: Sequence[str]) -> AngleList | None:
    """Angles written as decimal underscores, if every name has one and together they make a scan."""
    values = [angle_from_name(name) for name in names]
    if len(values) < 2 or any(value is None for value in values):
        return None
    angles = np.array(values, float)
    # counters look alike: a real scan turns by a good part of half a turn and not by several
    if not 90 <= np.ptp(angles) <= 721:
        return None
    return AngleList(angles, "deg", "file names")


def match_with_frames(
    angles: AngleList, frames: "FrameCounts", *, unit: str = "auto", select: str | None = None
) -> FrameAngles:
    """Give every frame of the scan its angle.

    Parameters
    ----------
    angles : AngleList
    frames : FrameCounts
        Which frames the scan has.
    unit : str
        "deg", "rad", or "auto": what the source states, otherwise degrees.
    select : str or None
        Entries of the list that belong to frames, "[10:101]".

    Raises
    ------
    InputError
        If an angle is not finite, the counts do not match, or the unit cannot be right.
    """
    chosen = parse_select(select, "angle_select")
    values = angles.values[chosen]
    times = None if angles.times_s is None else angles.times_s[chosen]
    if values.size == 0:
        raise InputError(
            f"{angles.origin}: angle_select = '{select}' leaves none of the {angles.values.size} angles"
        )
    _check_finite(values, angles.origin)
    # one angle for every selected projection, every stored one, every view of several frames, or every frame
    # of the file (flats and darks too)
    for picked in frames.pickings():
        if values.size == picked.entries:
            values = values[picked.indices]
            times = None if times is None else times[picked.indices]
            break
    else:
        raise InputError(_count_message(angles, values, frames, selected=select is not None))
    degrees = _in_degrees(values, angles.unit if unit == "auto" else unit, angles.origin)
    return FrameAngles(degrees, times)


@dataclass(frozen=True)
class Picking:
    """A length that an angle list may have, and which entry each frame takes."""

    entries: int
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class FrameCounts:
    """Which frames the scan has.

    Attributes
    ----------
    label : str
        What messages call the projections.
    stored : int
        Projections stored.
    selected : (frame,) int array
        The stored projections that are used.
    in_file : (projection,) int array or None
        Where the projections stand among all frames of the file, flats and darks included.
    all_in_file : int
        How many frames of all kinds the file has.
    frames_per_angle : int or None
    """

    label: str
    stored: int
    selected: NDArray[np.int64]
    in_file: NDArray[np.int64] | None = None
    all_in_file: int = 0
    frames_per_angle: int | None = None

    def pickings(self) -> list[Picking]:
        """Lengths of an angle list that fit, the plainest first."""
        count = self.selected.size
        found = [Picking(count, np.arange(count)), Picking(self.stored, self.selected)]
        if self.frames_per_angle and count % self.frames_per_angle == 0:
            found.append(Picking(count // self.frames_per_angle, np.arange(count) // self.frames_per_angle))
        if self.in_file is not None:
            found.append(Picking(self.all_in_file, self.in_file[self.selected]))
        return found


def _check_finite(values: Float, origin: str) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(
            f"{origin}: entry {bad[0]} is {values[bad[0]]} ({bad.size} in all), expected finite angles"
        )


def _in_degrees(values: Float, unit: str | None, origin: str) -> Float:
    """Return degrees; refuse a range that no scan has in the stated unit."""
    degrees = np.degrees(values) if unit == "rad" else values
    span = float(np.ptp(degrees))
    if unit == "rad" and span > 40 * 360:
        raise InputError(f"{origin}: the angles span {np.ptp(values):g} rad; degrees? try angle_unit = 'deg'")
    if values.size > 1 and span < SMALLEST_RANGE_DEG:
        if span == 0:
            raise InputError(f"{origin}: all {values.size} angles are {degrees[0]:g}°, expected a rotation")
        raise InputError(
            f"{origin}: the angles span {span:.4g}° only, expected about 180° or 360°; radians? "
            "try angle_unit = 'rad'"
        )
    return np.asarray(degrees, np.float64)


def _count_message(angles: AngleList, values: Float, frames: FrameCounts, *, selected: bool) -> str:
    count = int(frames.selected.size)
    which = "are selected" if selected else "stand"
    head = f"{angles.origin}: {values.size} angles {which} for the {count} projections of {frames.label}"
    if values.size > 1 and count % values.size == 0:
        times = count // values.size
        return f"{head}; if each view was taken {times} times, state frames_per_angle = {times}"
    if values.size < count:
        example = f"projection_select = '[0:{values.size}]'"
        return f"{head}; state the missing angles, or the projections that have one, for example {example}"
    window = scan_window(values)
    if window is not None and window[1] - window[0] == count:
        start, stop = window
        return (
            f"{head}; entries {start} to {stop - 1} are the {count} that turn, the others repeat the first "
            f"and the last angle; try angle_select = '[{start}:{stop}]'"
        )
    return f"{head}; state the entries that belong to projections, for example angle_select = '[0:{count}]'"


def scan_window(values: Float) -> tuple[int, int] | None:
    """Find the entries between which the stage turns, (start, stop), None where all or none do."""
    steps = np.abs(np.diff(values))
    if not np.any(steps > 0):
        return None
    turning = np.flatnonzero(steps > 0.2 * np.median(steps[steps > 0]))
    start, stop = int(turning[0]), int(turning[-1]) + 2
    return (start, stop) if stop - start < values.size else None
