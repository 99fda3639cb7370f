"""Cycler files as programs and languages write them; everything is compared with the numbers that were written."""

from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.operando.cycler import read_cycler

TIMES = np.arange(0, 3600, 30.0)
VOLTAGE = 3.3 + TIMES / 36000
CURRENT = np.full(TIMES.size, 0.25)
CHARGE = CURRENT * TIMES / 3600


def write(path: Path, head: str, rows: list[str], encoding: str = "utf-8") -> Path:
    path.write_bytes((head + "\n" + "\n".join(rows) + "\n").encode(encoding))
    return path


def rows(form: str, times: np.ndarray = TIMES, *, comma: bool = False, current: float = 0.25) -> list[str]:
    lines = [
        form.format(t=t, h=t / 3600, v=3.3 + t / 36000, i=current, q=abs(current) * t / 3600) for t in times
    ]
    return [line.replace(".", ",") for line in lines] if comma else lines


MPT = """EC-Lab ASCII FILE
Nb header lines : 5
Acquisition started on : 03/14/2023 10:12:13.500

mode\ttime/s\tEwe/V\tI/mA\t(Q-Qo)/mA.h"""
FILES = {
    "plain.csv": ("time (s),voltage (V),current (mA)", rows("{t:.1f},{v:.5f},{i:.4f}"), "utf-8"),
    "ec-lab.mpt": (MPT, rows("1\t{t:.6e}\t{v:.6e}\t{i:.6e}\t{q:.6e}"), "cp1252"),
    "neware.csv": ("序号,工步时间,测试时间(s),电压(V),电流(mA),容量(mAh)", rows("1,9,{t:.0f},{v:.4f},{i:.4f},{q:.5f}"),
                   "gb18030"),
    "arbin.csv": ("Data_Point,Test_Time(s),Step_Time(s),Step_Index,Current(A),Voltage(V),Charge_Capacity(Ah)",
                  [f"1,{t:.3f},{t:.3f},1,{2.5e-4:.6f},{3.3 + t / 36000:.6f},{2.5e-4 * t / 3600:.9f}" for t in TIMES],
                  "utf-8"),
    "german.txt": ("Zeit [h];Spannung [mV];Strom [µA]",
                   [f"{t / 3600:.6f};{3300 + t / 36:.3f};{250:.2f}".replace(".", ",") for t in TIMES], "cp1252"),
    "french.txt": ("Temps/s\tTension/V\tCourant/mA", rows("{t:.1f}\t{v:.5f}\t{i:.4f}", comma=True), "utf-8-sig"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_numbers_come_back(tmp_path, name):
    head, lines, encoding = FILES[name]
    found = read_cycler(write(tmp_path / name, head, lines, encoding))
    # as many digits as the file holds
    np.testing.assert_allclose(found.times_s, TIMES, atol=2e-3)
    np.testing.assert_allclose(found.voltage_v, VOLTAGE, atol=6e-5)
    np.testing.assert_allclose(found.current_ma, CURRENT, atol=1e-6)
    np.testing.assert_allclose(found.charge_mah, CHARGE, atol=1e-6)
    assert found.notes[0].startswith("columns ")


def test_the_start_stands_in_the_preamble(tmp_path):
    head, lines, encoding = FILES["ec-lab.mpt"]
    start = read_cycler(write(tmp_path / "a.mpt", head, lines, encoding)).start
    assert start is not None
    assert start.isoformat() == "2023-03-14T10:12:13.500000"


def test_a_discharge_may_be_written_as_positive(tmp_path):
    path = write(tmp_path / "a.csv", "time (s),voltage (V),current (mA)", rows("{t:.1f},{v:.5f},{i:.4f}"))
    assert read_cycler(path, current_sign=-1).charge_mah[-1] == pytest.approx(-CHARGE[-1], rel=1e-9)
    with pytest.raises(InputError, match="current_sign"):
        read_cycler(path, current_sign=0)


def test_a_gap_is_named_and_filled_from_the_counter(tmp_path):
    kept = TIMES[(TIMES < 900) | (TIMES > 2700)]
    lines = rows("{t:.1f},{v:.5f},{i:.4f},{q:.6f}", kept)
    found = read_cycler(write(tmp_path / "a.csv", "time/s,U/V,I/mA,Q/mAh", lines))
    assert found.gaps_s == ((870.0, 2730.0),)
    assert any("gap" in note for note in found.notes)
    assert found.charge_mah[-1] == pytest.approx(CHARGE[-1], abs=1e-5)
    at = found.at(np.array([500.0, 1500.0, 3000.0, 9999.0]), found.voltage_v)
    assert np.isfinite(at).tolist() == [True, False, True, False]


def test_a_clock_that_was_set_back_is_noticed(tmp_path):
    stamps = [f"2023-03-14 10:{int(t // 60):02d}:{int(t % 60):02d},{3.3:.2f},0.25" for t in TIMES]
    shuffled = stamps[60:] + stamps[:60]
    found = read_cycler(write(tmp_path / "a.csv", "DateTime,Voltage (V),Current (mA)", shuffled))
    assert np.all(np.diff(found.times_s) > 0)
    assert any("not in time order" in note for note in found.notes)


def test_time_within_steps_is_joined(tmp_path):
    lines = rows("{t:.1f},{v:.5f},{i:.4f}") + rows("{t:.1f},{v:.5f},{i:.4f}")
    found = read_cycler(write(tmp_path / "a.csv", "time (s),voltage (V),current (mA)", lines))
    np.testing.assert_allclose(np.diff(found.times_s), 30.0)
    assert any("starts anew 1 times" in note for note in found.notes)


def test_a_counter_that_disagrees_is_told(tmp_path):
    lines = [f"{t},{3.3},{0.25},{0.4 * t / 3600}" for t in TIMES]
    notes = read_cycler(write(tmp_path / "a.csv", "time/s,U/V,I/mA,Q/mAh", lines)).notes
    assert any("the current is used" in note for note in notes)


@pytest.mark.parametrize(
    ("head", "lines", "message"),
    [
        ("time (s),foo,bar", ["1,2,3", "2,3,4"], "no column of voltage"),
        ("hello", ["nothing here"], "no table"),
        ("voltage (V),current (mA)", ["3,1", "3,1"], "no column of time"),
    ],
)
def test_what_is_missing_is_named(tmp_path, head, lines, message):
    with pytest.raises(InputError, match=message):
        read_cycler(write(tmp_path / "a.csv", head, lines))


def test_stated_columns_win_and_are_checked(tmp_path):
    path = write(tmp_path / "a.csv", "time (s),alpha,beta", ["0,3,1", "10,3,1", "20,4,1"])
    found = read_cycler(path, columns={"voltage": "alpha", "current": "beta"})
    assert found.voltage_v.tolist() == [3, 3, 4]
    with pytest.raises(InputError, match="did you mean 'alpha'"):
        read_cycler(path, columns={"voltage": "alphaa"})
    with pytest.raises(InputError, match="no such file"):
        read_cycler(tmp_path / "missing.csv")
