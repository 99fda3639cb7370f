"""`deltamu new --series` on small folders."""

import numpy as np
import tifffile

from deltamu.recon.cli import main
from deltamu.recon.study.operando.settings import read_series_study
from deltamu.recon.study.operando.sources import open_sources


def frames(folder, count=4, shape=(6, 8)):
    folder.mkdir(parents=True)
    for number in range(count):
        tifffile.imwrite(folder / f"f_{number:03d}.tif", np.full(shape, 100 + number, np.uint16))


def test_frames_times_and_cycler_are_recognised(tmp_path, capsys):
    frames(tmp_path / "raw" / "projections")
    frames(tmp_path / "raw" / "darks", 2)
    lines = ["file,time", *(f"f_{n:03d}.tif,2024-03-05 08:{n:02d}:00" for n in range(4))]
    (tmp_path / "raw" / "times.csv").write_text("\n".join(lines))
    records = "".join(f"{60 * n},3.{n},0.5\n" for n in range(5))
    (tmp_path / "cell_7.csv").write_text("Time (s),Voltage (V),Current (mA)\n" + records)
    assert main(["new", "--series", str(tmp_path)]) == 0
    text = (tmp_path / "series.toml").read_text(encoding="utf-8")
    assert "found: 4 frames of 6 × 8 pixels; darks" in text
    assert 'path = "cell_7.csv"' in text
    sources = open_sources(read_series_study(tmp_path))
    assert sources.series.shape == (4, 6, 8)
    assert sources.cycling is not None
    assert main(["new", "--series", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_folder_without_frames_is_refused(tmp_path, capsys):
    assert main(["new", "--series", str(tmp_path)]) == 2
    assert "found no frames of a series" in capsys.readouterr().err
    assert main(["new", "--series", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
