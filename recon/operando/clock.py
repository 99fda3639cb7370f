"""Dates and times of day as instruments write them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]

_FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M:%S", "%Y:%m:%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
    "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m-%d-%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S",
    "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p",
    "%Y年%m月%d日 %H:%M:%S", "%Y%m%d_%H%M%S", "%Y%m%d%H%M%S",
)  # fmt: skip
_FRACTION = re.compile(r"(?<=:\d{2})[.,](\d+)")
_ZONE = re.compile(r"\s*(Z|[+-]\d{2}:?\d{2})$")


def parse_clock(texts: Sequence[str], *, source: str) -> tuple[datetime, Float]:
    """Read dates with times of day, all in one format.

    Where both month/day and day/month can be meant, the order in which time never runs backwards is taken; of two
    such orders the one that takes less time, and month/day when they are equal.

    Returns
    -------
    start : datetime
        The first, without time zone unless the text states one (then in UTC).
    seconds : (n,) array
        Since the first.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    cleaned = [text.strip() for text in texts]
    if not cleaned:
        raise InputError(f"{source}: found no times")
    fits = [moments for form in _FORMATS if (moments := _all_parsed(cleaned, form)) is not None]
    if not fits:
        raise InputError(
            f"{source}: cannot read {cleaned[0]!r} as date and time; expected for example 2023-03-14 10:12:13"
        )
    forward = [moments for moments in fits if all(a <= b for a, b in pairwise(moments))]
    moments = min(forward or fits, key=lambda moments: moments[-1] - moments[0] if forward else timedelta(0))
    start = moments[0]
    return start, np.array([(moment - start).total_seconds() for moment in moments])


def _all_parsed(texts: Sequence[str], form: str) -> list[datetime] | None:
    moments = []
    for text in texts:
        moment = _parsed(text, form)
        if moment is None:
            return None
        moments.append(moment)
    return moments


def _parsed(text: str, form: str) -> datetime | None:
    zone = _ZONE.search(text)
    bare = text[: zone.start()] if zone else text
    fraction = _FRACTION.search(bare)
    bare = _FRACTION.sub("", bare)
    try:
        moment = datetime.strptime(bare, form)
    except ValueError:
        return None
    if fraction:
        moment = moment.replace(microsecond=int(f"{fraction.group(1)[:6]:0<6}"))
    if zone:
        offset = zone.group(1).replace("Z", "+0000")
        moment = moment.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo).astimezone(UTC)
    return moment


def parse_durations(texts: Sequence[str], *, source: str) -> Float:
    """Read h:min:s, h:min:s.fraction or `1d 02:03:04` as seconds."""
    return np.array([_duration(text, source) for text in texts])


def _duration(text: str, source: str) -> float:
    match = re.fullmatch(r"(?:(\d+)\s*[d\-]\s*)?(\d+):(\d{1,2})(?::(\d{1,2}(?:[.,]\d+)?))?", text.strip())
    if match is None:
        raise InputError(
            f"{source}: cannot read {text!r} as a duration; expected h:min:s, for example 1:02:03.5"
        )
    days, hours, minutes, seconds = match.groups()
    return (
        86400 * int(days or 0)
        + 3600 * int(hours)
        + 60 * int(minutes)
        + float((seconds or "0").replace(",", "."))
    )


def in_utc(moment: datetime, zone: str | None, *, where: str) -> datetime:
    """Return a moment in UTC; one without a time zone is in `zone`, or already in UTC when that is None.

    Raises
    ------
    InputError
        If the time zone is unknown.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if zone is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        raise InputError(
            f"{where}: found time zone {zone!r}; expected a name such as 'Europe/Berlin', 'America/New_York' or 'UTC'"
        ) from None
