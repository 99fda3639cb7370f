"""Dates and durations as instruments write them."""

from datetime import UTC, datetime

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.operando.clock import in_utc, parse_clock, parse_durations


@pytest.mark.parametrize(
    "text",
    ["2023-03-14 10:12:13", "14.03.2023 10:12:13", "2023/03/14 10:12:13", "2023:03:14 10:12:13", "20230314_101213",
     "2023-03-14T10:12:13", "2023年03月14日 10:12:13"],
)  # fmt: skip
def test_one_moment_in_many_spellings(text):
    start, seconds = parse_clock([text], source="test")
    assert start == datetime(2023, 3, 14, 10, 12, 13)
    assert seconds.tolist() == [0.0]


def test_day_and_month_are_told_apart_by_the_direction_of_time():
    start, seconds = parse_clock(["02/03/2023 23:59:00", "03/03/2023 00:01:00"], source="test")
    assert start == datetime(2023, 3, 2, 23, 59)
    assert seconds.tolist() == [0, 120]


def test_a_zone_in_the_text_wins():
    start, _ = parse_clock(["2023-03-14T10:12:13.25+01:00"], source="test")
    assert in_utc(start, "America/New_York", where="test") == datetime(
        2023, 3, 14, 9, 12, 13, 250000, tzinfo=UTC
    )


def test_a_named_zone_knows_summer_time():
    summer = in_utc(datetime(2023, 7, 1, 12), "Europe/Berlin", where="test")
    winter = in_utc(datetime(2023, 1, 1, 12), "Europe/Berlin", where="test")
    assert (summer.hour, winter.hour) == (10, 11)
    with pytest.raises(InputError, match="time zone 'Mars'"):
        in_utc(datetime(2023, 1, 1), "Mars", where="test")


def test_durations():
    np.testing.assert_allclose(
        parse_durations(["0:00:01.5", "1:02:03", "2d 00:00:01", "90:00"], source="t"),
        [1.5, 3723, 172801, 324000],
    )
    with pytest.raises(InputError, match="as a duration"):
        parse_durations(["yesterday"], source="t")
