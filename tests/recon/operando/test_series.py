"""Series of frames with stamps that are missing, repeated, shuffled or broken."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.operando.frame_times import TimeOptions
from deltamu.recon.operando.series import Series, open_series
from deltamu.recon.scans.options import ScanOptions

COUNT = 12


def write_series(folder: Path, names: list[str] | None = None) -> Path:
    """Frame k holds the number 100 + k everywhere, so that the order can be read off."""
    frames = folder / "projections"
    frames.mkdir(parents=True)
    for number in range(COUNT):
        name = names[number] if names else f"frame_{number:04d}.tif"
        tifffile.imwrite(frames / name, np.full((16, 24), 100 + number, np.uint16))
    return folder


def opened(folder: Path, times: TimeOptions | None = None, **options) -> Series:
    scan = ScanOptions(pixel_size_mm=0.02, **options)
    return open_series(folder, scan, times or TimeOptions(interval_s=60.0))


def numbers(series: Series) -> list[int]:
    return [int(value) - 100 for value in series.read()[:, 0, 0]]


def test_start_and_interval(tmp_path):
    times = TimeOptions(interval_s=60.0, start="2023-03-14 10:00:00", time_zone="Europe/Berlin")
    series = opened(write_series(tmp_path / "s"), times, exposure_s=50.0)
    assert series.start == datetime(2023, 3, 14, 9, tzinfo=UTC)
    # stamps are the beginning of an exposure of 50 s
    np.testing.assert_allclose(series.times_s, 60.0 * np.arange(COUNT) + 25.0)
    assert numbers(series) == list(range(COUNT))
    assert series.shape == (COUNT, 16, 24)


def test_the_table_decides_and_shuffled_frames_are_sorted(tmp_path):
    folder = write_series(tmp_path / "s")
    order = np.random.default_rng(1).permutation(COUNT)
    lines = [f"frame_{k:04d}.tif,2023-03-14 10:{place:02d}:00" for place, k in enumerate(order)]
    (folder / "times.csv").write_text("file,time\n" + "\n".join(lines))
    series = opened(folder, TimeOptions(times_file="times.csv"))
    assert numbers(series) == order.tolist()
    assert any("sorted" in note for note in series.notes)


def test_missing_and_repeated_frames_are_told(tmp_path):
    folder = write_series(tmp_path / "s")
    minutes = [0, 1, 2, 3, 3, 5, 6, 9, 10, 11]
    lines = [f"frame_{k:04d}.tif,{60 * minute}" for k, minute in enumerate(minutes)]
    (folder / "times.csv").write_text("file,seconds\n" + "\n".join(lines))
    series = opened(folder, TimeOptions(times_file="times.csv"), exposure_s=60.0)
    assert numbers(series) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    text = " / ".join(series.notes)
    assert "2 frames without a time stamp left out" in text
    assert "1 frames with the time of another" in text
    assert "2 gaps between frames" in text
    assert "about 3 frames are missing" in text


def test_times_in_names(tmp_path):
    names = [f"cell_20230314_10{k:02d}00.tif" for k in range(COUNT)]
    series = opened(write_series(tmp_path / "s", names), TimeOptions())
    np.testing.assert_allclose(np.diff(series.times_s), 60.0)
    assert series.start == datetime(2023, 3, 14, 10, tzinfo=UTC)


def test_a_truncated_frame_is_left_out_and_many_are_refused(tmp_path):
    folder = write_series(tmp_path / "s")
    files = sorted((folder / "projections").iterdir())
    os.truncate(files[4], 100)
    series = opened(folder)
    assert numbers(series) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert any("1 frame left out" in note for note in series.notes)
    for file in files[5:8]:
        os.truncate(file, 100)
    with pytest.raises(InputError, match="4 of 12 frames cannot be used"):
        opened(folder)


def test_what_is_not_stated_is_asked_for(tmp_path):
    folder = write_series(tmp_path / "s")
    with pytest.raises(InputError, match="no time stamps"):
        opened(folder, TimeOptions())
    with pytest.raises(InputError, match="pixel_size_mm"):
        open_series(folder, ScanOptions(), TimeOptions(interval_s=60.0))
    (folder / "times.csv").write_text("time\n1\n2\n3")
    with pytest.raises(InputError, match="found 3 times for the 12 frames"):
        opened(folder, TimeOptions(times_file="times.csv"))
    with pytest.raises(InputError, match="stamp: found 'begin'"):
        open_series(folder, ScanOptions(pixel_size_mm=0.02), TimeOptions(interval_s=1.0), stamp="begin")


def test_the_fingerprint_follows_files_and_settings(tmp_path):
    folder = write_series(tmp_path / "s")
    first = opened(folder).fingerprint
    assert opened(folder).fingerprint == first
    assert opened(folder, TimeOptions(interval_s=30.0)).fingerprint != first
    os.utime(folder / "projections" / "frame_0003.tif", (1, 1))
    assert opened(folder).fingerprint != first
