"""Angles from every source, matched with the frames, and what is noteworthy about them."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.scans.angle_file import read_angle_file
from deltamu.recon.scans.angle_notes import angle_notes
from deltamu.recon.scans.angles import golden_ratio, scan_window
from deltamu.recon.scans.names import angle_from_name, natural_key
from deltamu.recon.scans.options import parse_select
from deltamu.recon.scans.read import read_scan, scan_from_arrays

IMAT_LOG = """ TIME STAMP  IMAGE TYPE   IMAGE COUNTER   COUNTS BM3 before image   COUNTS BM3 after image

Sun Feb 10 00:22:04 2019   Projection:  0  angle: 0.0   Monitor 3 before:  4577907   Monitor 3 after:  4720271
Sun Feb 10 00:22:37 2019   Projection:  1  angle: 45.25   Monitor 3 before:  4729337   Monitor 3 after:  4871319
Sun Feb 10 00:23:10 2019   Projection:  2  angle: 90.5   Monitor 3 before:  4879923   Monitor 3 after:  5022689
"""
IMAT_CSV = """TIME STAMP,IMAGE TYPE,IMAGE COUNTER,COUNTS BM3 before image,COUNTS BM3 after image
Tue Nov 15 19:58:17 2022,Projection,0,0.0,12588,145908
Tue Nov 15 19:58:50 2022,Projection,1,45.25,145910,279015
Tue Nov 15 19:59:23 2022,Projection,2,90.5,279020,412500
"""


def stack(count: int) -> np.ndarray:
    return np.full((count, 3, 4), 500, np.uint16)


@pytest.mark.parametrize(
    "text",
    [
        "0\n45.25\n90.5\n",
        "# angle in degrees\n\n0\n45.25  # second\n90.5",
        "\ufeffangle\n0.0\n45.25\n90.5\n",
        "0 45.25\n".replace(" ", "\n") + "9.05e1\n",
        "image,angle_deg,current\na.tif,0,12.3\nb.tif,45.25,12.4\nc.tif,90.5,12.2\n",
        "0\t0\n1\t45.25\n2\t90.5\n",
        "1, 0\n2, 45.25\n3, 90.5\n",
        "nr;theta [deg]\n7;0,0\n8;45,25\n9;90,5\n",
        IMAT_LOG,
        IMAT_CSV,
        IMAT_CSV.replace(",45.25", ",angle:45.25")
        .replace(",0.0,", ",angle:0.0,")
        .replace(",90.5", ",angle:90.5"),
    ],
)
def test_angle_files(tmp_path, text):
    path = tmp_path / "angles.txt"
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_angle_file(path).values, [0, 45.25, 90.5])


def test_logs_give_times(tmp_path):
    (tmp_path / "log.txt").write_text(IMAT_LOG)
    np.testing.assert_array_equal(read_angle_file(tmp_path / "log.txt").times_s, [0, 33, 66])
    for i, frame in enumerate(stack(3)):
        (tmp_path / "Tomo").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "Tomo" / f"IMAT0001_Tomo_{i:04}.tif", frame)
    scan = read_scan(tmp_path)
    np.testing.assert_allclose(np.degrees(scan.angles), [0, 45.25, 90.5])
    np.testing.assert_array_equal(scan.times_s, [0, 33, 66])


def test_radians_are_taken_from_titles_and_settings(tmp_path):
    (tmp_path / "a.csv").write_text("time,theta [rad]\n0,0\n10,1.5\n20,3.0\n")
    scan = _scan_with(tmp_path, angle_file="a.csv")
    np.testing.assert_allclose(scan.angles, [0, 1.5, 3.0])
    np.testing.assert_array_equal(scan.times_s, [0, 10, 20])
    (tmp_path / "b.txt").write_text("0\n1.5\n3.0\n")
    np.testing.assert_allclose(
        _scan_with(tmp_path, angle_file="b.txt", angle_unit="rad").angles, [0, 1.5, 3.0]
    )


def _scan_with(folder, **options):
    np.save(folder / "scan.npy", stack(3))
    return read_scan(folder / "scan.npy", **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no angles"),
        ("0\nfoo\n90\n", "line 2: found 'foo'"),
        ("0 10\n45 12\n90 9\n", "state angle_column"),
        (IMAT_LOG.replace("Projection:  1", "Radiography:  1"), "lacks projection 1"),
    ],
)
def test_angle_files_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "angles.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_angle_file(tmp_path / "angles.txt")


def test_column_by_number_and_title(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n0,10\n45,12\n90,9\n")
    assert read_angle_file(tmp_path / "t.csv", column="a").values.tolist() == [0, 45, 90]
    assert read_angle_file(tmp_path / "t.csv", column=1).values.tolist() == [10, 12, 9]
    with pytest.raises(InputError, match="no column 'c'"):
        read_angle_file(tmp_path / "t.csv", column="c")


def test_equation():
    scan = _equation(endpoint=True)
    np.testing.assert_allclose(np.degrees(scan.angles), [0, 90, 180], atol=1e-9)
    scan = _equation(endpoint=False)
    np.testing.assert_allclose(np.degrees(scan.angles), [0, 60, 120], atol=1e-9)
    with pytest.raises(InputError, match="angle_endpoint: missing"):
        _equation(endpoint=None)


def _equation(endpoint):
    options = {"angle_start_deg": 0.0, "angle_stop_deg": 180.0, "angle_endpoint": endpoint}
    return _from_disk(3, **options)


def _from_disk(count, **options):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "scan.npy", stack(count))
        return read_scan(Path(folder) / "scan.npy", **options)


def test_golden_ratio():
    # 180° / 1.6180339887 = 111.2461180°
    values = golden_ratio(4).values
    np.testing.assert_allclose(values, np.mod(111.24611797498108 * np.arange(4), 180), atol=1e-9)
    # law: every new view falls into the largest gap of the earlier ones
    many = np.mod(golden_ratio(60).values, 180)
    for n in range(2, 60):
        earlier = np.sort(many[:n])
        gaps = np.diff(np.append(earlier, earlier[0] + 180))
        place = np.searchsorted(earlier, many[n]) - 1
        assert gaps[place] == pytest.approx(gaps.max(), abs=1e-6)
    scan = _from_disk(5, angle_golden=360, angle_start_deg=10.0)
    np.testing.assert_allclose(np.degrees(scan.angles)[1], 10 + 222.49223594996216)


@pytest.mark.parametrize(
    ("name", "pattern", "angle"),
    [
        ("cell_012_345_0001.tif", None, 12.345),
        ("cell_179_50.tif", None, 179.5),
        ("cell_-012_500_.tif", None, -12.5),
        ("cell_0012.tif", None, None),
        ("a12.25deg.tif", r"a([\d.]+)deg", 12.25),
        ("a12p25deg.tif", r"a([\dp]+)deg", 12.25),
        ("r3_deg7_25.tif", r"deg(\d+)_(\d+)", 7.25),
    ],
)
def test_angles_in_names(name, pattern, angle):
    assert angle_from_name(name, pattern) == angle


def test_decimal_underscores_are_recognised(tmp_path):
    for i in range(4):
        degrees = 60.125 * i
        tifffile.imwrite(
            tmp_path / f"cell_{int(degrees):03}_{round(degrees % 1 * 1000):03}_x.tif", stack(1)[0]
        )
    np.testing.assert_allclose(np.degrees(read_scan(tmp_path).angles), 60.125 * np.arange(4))


def test_counters_are_not_taken_for_angles(tmp_path):
    for i in range(4):
        tifffile.imwrite(tmp_path / f"scan_012_{i:03}.tif", stack(1)[0])
    with pytest.raises(InputError, match="found no angles"):
        read_scan(tmp_path)


def test_natural_order():
    names = ["f_10.tif", "f_9.tif", "F_1.tif", "f_2b.tif", "f_2.tif"]
    assert sorted(names, key=natural_key) == ["F_1.tif", "f_2.tif", "f_2b.tif", "f_9.tif", "f_10.tif"]


@given(st.integers(0, 12), st.integers(2, 40), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_window_of_turning_entries(before, turning, after):
    values = 3.0 + 2.5 * np.concatenate([np.zeros(before), np.arange(turning), np.full(after, turning - 1)])
    expected = (before, before + turning) if before + after else None
    assert scan_window(values) == expected


@pytest.mark.parametrize("text", ["[10:101]", "10:101", " [ 10 : 101 : 1 ] "])
def test_select(text):
    assert list(range(200))[parse_select(text, "angle_select")] == list(range(10, 101))


@pytest.mark.parametrize("text", ["10", "[10,101]", "a:b", "[::-1]", "[::0]"])
def test_select_refuses(text):
    with pytest.raises(InputError, match="angle_select"):
        parse_select(text, "angle_select")


def test_one_list_for_all_frames_of_a_file(nxtomo, tmp_path, angles):
    np.savetxt(tmp_path / "all.txt", np.concatenate([np.full(5, -1), angles, np.full(3, -1)]))
    scan = read_scan(nxtomo, angle_file="all.txt", projection_select="[2:]")
    np.testing.assert_allclose(np.degrees(scan.angles), angles[2:], atol=1e-9)


def test_frames_per_angle_recognised_and_stated():
    repeated = np.repeat(np.arange(4) * 45.0, 3)
    scan = scan_from_arrays(stack(12), repeated)
    assert scan.shape[0] == 4
    assert any("3 frames per angle" in note for note in scan.notes)
    assert scan_from_arrays(stack(12), np.arange(4) * 45.0, frames_per_angle=3).shape[0] == 4
    with pytest.raises(InputError, match="frames_per_angle = 3"):
        scan_from_arrays(stack(12), np.arange(4) * 45.0)
    with pytest.raises(InputError, match="no multiple of 5"):
        scan_from_arrays(stack(12), repeated, frames_per_angle=5)
    with pytest.raises(InputError, match="apart, expected one angle"):
        scan_from_arrays(stack(12), np.arange(12) * 15.0, frames_per_angle=2)


def notes_of(degrees) -> str:
    return "; ".join(angle_notes(np.asarray(degrees, float)))


def test_a_plain_scan_has_no_notes():
    assert notes_of(np.arange(180)) == ""
    assert notes_of(np.linspace(0, 180, 625, endpoint=False)) == ""
    assert notes_of(np.linspace(90, -90, 91)[1:]) == ""
    # odd number of views over a whole turn: no two are mirrored
    assert notes_of(np.linspace(0, 360, 361, endpoint=False)) == ""


def test_duplicates_are_said():
    assert "half a turn apart (mirrored) (0° and 180°)" in notes_of(np.linspace(0, 180, 181))
    whole = notes_of(np.linspace(0, 360, 361))
    assert "whole turn apart (0° and 360°)" in whole
    assert "180 pairs" in whole or "181 pairs" in whole
    assert "1 pair of views" in notes_of([0, 30, 30, 60, 90, 120, 150])


def test_gaps_are_said():
    one_missing = np.delete(np.arange(0, 180, 2.0), 40)
    assert "a gap of 4° after 78°" in notes_of(one_missing)
    assert "a gap of 30°" in notes_of(np.arange(0, 151, 1.0))
    assert "11 gaps" in notes_of(np.delete(np.arange(0, 180, 1.0), np.arange(5, 160, 15)))


def test_order_is_said_and_golden_ratio_has_no_gaps():
    golden = notes_of(golden_ratio(100).values)
    assert "not sorted" in golden
    assert "gap" not in golden
    assert "not sorted" in notes_of([0, 2, 1, 3, 4, 5])
