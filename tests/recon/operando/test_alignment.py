"""The cycler's record on the clock of the frames."""

from datetime import UTC, datetime

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.operando.alignment import align_cycler, clock_doubt
from deltamu.recon.operando.cycler import CyclerRecord
from deltamu.recon.operando.series import Series
from deltamu.recon.scans.frames import ArrayFrames
from deltamu.recon.scans.view import DetectorView

TIMES = 30.0 + 60.0 * np.arange(100)


def series(start: datetime | None) -> Series:
    view = DetectorView((4, 4), False, False, False, (0, 4), (0, 4), 1)
    frames = ArrayFrames("frames", np.ones((100, 4, 4)))
    return Series("s", frames, np.arange(100), TIMES, start, view, None, None, None, 0.02)


def record(start: datetime | None) -> CyclerRecord:
    times = np.arange(0, 6000, 10.0)
    return CyclerRecord("c", times, 3 + times / 1e4, np.full(600, 2.0), times / 1800, start, (), ())


def test_clocks_zones_and_offset():
    begin = datetime(2024, 7, 1, 8, tzinfo=UTC)
    # 10:05:07 in Berlin is 8:05:07 UTC; the cycler runs 7 s ahead
    local = datetime(2024, 7, 1, 10, 5, 7)
    found = align_cycler(record(local), series(begin), time_zone="Europe/Berlin", offset_s=-7.0)
    assert found.offset_s == pytest.approx(300.0)
    assert np.isnan(found.voltage_v[:5]).all()
    np.testing.assert_allclose(found.voltage_v[5:], 3 + (TIMES[5:] - 300) / 1e4)
    # charge counts from the first frame that the record covers
    assert found.charge_mah[5] == 0.0
    assert any("5 of 100 frames" in note for note in found.notes)


def test_without_dates_both_begin_together_and_a_stated_start_wins():
    assert align_cycler(record(None), series(None)).offset_s == 0.0
    assert "begin together" in align_cycler(record(None), series(None)).notes[0]
    assert align_cycler(record(None), series(None), start_offset_s=-60.0).offset_s == -60.0


def test_a_record_of_another_day_is_refused():
    begin = datetime(2024, 7, 1, 8, tzinfo=UTC)
    with pytest.raises(InputError, match=r"expected that they overlap: check cycler\.time_zone"):
        align_cycler(record(datetime(2024, 7, 2, 8)), series(begin))


def test_lithium_tells_when_the_clock_is_wrong():
    noise = 0.003 * np.random.default_rng(1).standard_normal(100)
    lithium = -0.2 * np.clip(TIMES - 1230, 0, None) / 3600 + noise
    right = np.where(TIMES > 1200, 0.2, 0.0)
    assert clock_doubt(TIMES, right, lithium) is None
    late = np.where(TIMES > 2700, 0.2, 0.0)
    told = clock_doubt(TIMES, late, lithium)
    assert told is not None
    assert float(told.split("lower by ")[1].rstrip(")")) == pytest.approx(1500, abs=200)
    # a current that runs from the first frame on says nothing
    assert clock_doubt(TIMES, np.full(100, 0.2), lithium) is None
