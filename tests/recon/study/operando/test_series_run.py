"""A series from raw frames to results: resume, damage, what is missing, and the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from deltamu.recon.cli import main
from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.report.operando.content import load_series_content
from deltamu.recon.report.operando.tables import corrections_table
from deltamu.recon.simulate.operando.designs import find_design
from deltamu.recon.simulate.operando.series_files import make_camera
from deltamu.recon.study.operando.pipeline import check_series, run_series
from deltamu.recon.study.operando.settings import read_series_study


def run(folder: Path, *, report: bool = False, **options) -> Path:
    return run_series(read_series_study(folder / "series.toml"), report=report, **options)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "series.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def summary_of(output: Path) -> dict:
    return json.loads((output / "summary.json").read_text(encoding="utf-8"))


def arrays_of(output: Path) -> dict[str, np.ndarray]:
    with np.load(output / "series.zarr" / "results.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.slow
def test_the_whole_chain_and_its_continuation(series):
    """A run that is stopped twice ends bit-identical to one that is not."""
    calls = 0

    def after(limit):
        def cancel():
            nonlocal calls
            calls += 1
            return calls > limit

        return cancel

    for limit in (2, 4):
        calls = 0
        with pytest.raises(Cancelled):
            run(series, cancel=after(limit))
    stages: list[str] = []
    output = run(series, report=True, progress=lambda stage, *rest: stages.append(stage))
    assert stages[-1] == "report"
    stopped = arrays_of(output)
    edit(series, "name =", 'output = "again"\nname =')
    straight = arrays_of(run(series))
    assert stopped.keys() == straight.keys()
    for name, values in straight.items():
        np.testing.assert_array_equal(stopped[name], values, err_msg=name)
    summary = summary_of(output)
    assert summary["events"] == []
    assert summary["frames"]["count"] == 60
    # 50 minutes of 0.63 mA: 0.5 mAh, counting noise of one window 0.6 %
    assert summary["lithium"]["zones"]["cathode"]["closure"] == pytest.approx(1, abs=0.05)
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64" in page
    assert "http" not in page.split("<main>")[1].split("<pre>")[0]
    for name in ("frames", "lithium", "kymograph_region_1"):
        assert len((output / "profiles" / f"{name}.csv").read_text().splitlines()) > 2


@pytest.mark.slow
def test_a_finished_run_is_not_done_again_and_changed_settings_are(series):
    edit(series, "[series]", '[series]\nframe_select = "[:30]"')
    output = run(series)
    before = (output / "journal.jsonl").stat().st_size
    run(series)
    assert (output / "journal.jsonl").stat().st_size == before
    edit(series, "[series]", "[preprocess]\ndrift = false\n\n[series]")
    run(series)
    assert (output / "journal.jsonl").stat().st_size > before
    assert not np.any(arrays_of(output)["drift_px"])
    os.truncate(output / "series.zarr" / "profiles" / "c" / "0" / "0" / "0", 1000)
    run(series)
    assert np.isfinite(arrays_of(output)["kymograph/region_1/ratio"]).all()


@pytest.mark.slow
def test_without_flats_the_ratios_are_the_same(own_series):
    with_flats = arrays_of(run(own_series))["kymograph/region_1/ratio"]
    for kind in ("flats_before", "flats_after"):
        for file in (own_series / "raw" / kind).iterdir():
            file.unlink()
        (own_series / "raw" / kind).rmdir()
    edit(own_series, "name =", 'output = "bare"\nname =')
    output = run(own_series)
    assert any("no flats" in note for note in summary_of(output)["warnings"])
    bare = arrays_of(output)["kymograph/region_1/ratio"]
    # hot pixels and spots are told a little differently; one row of a frame has 1 % of noise
    assert float(np.abs(bare - with_flats).mean()) < 0.003


@pytest.mark.slow
def test_missing_and_broken_frames_are_stated(own_series):
    frames = own_series / "raw" / "projections"
    (frames / "frame_0030.tif").unlink()
    os.truncate(frames / "frame_0040.tif", 50)
    summary = summary_of(run(own_series))
    assert summary["frames"]["count"] == 58
    text = " / ".join(summary["warnings"])
    assert "1 frame left out" in text
    assert "2 gaps between frames" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('time_zone = "Europe/Berlin"', 'time_zone = "Asia/Tokyo"', "expected that they overlap"),
        ("cycler.mpt", "cyclr.mpt", "no such file"),
        ("radius_mm = 5.0", "radius_mm = 50.0", "leaves the frame"),
        ("reference_frames = [0, 10]", "reference_frames = [0, 1000]", "expected fewer"),
        ('layer = "graphite"', 'layer = "grafite"', "is not in layers.order"),
        ("times_file", "time_file", "did you mean 'times_file'"),
        ("[lithium]", "[lithum]", "unknown key; did you mean 'lithium'"),
        ('near = "graphite"', 'near = "cathode_x"', "is not in layers.order"),
    ],
)
def test_what_is_wrong_is_named(series, capsys, old, new, message):
    edit(series, old, new)
    assert main(["operando", str(series / "series.toml")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") <= 3
    assert "Traceback" not in said


def test_check_touches_nothing(series, capsys):
    before = sorted(series.rglob("*"))
    text = check_series(series / "series.toml")
    assert "60 frames of 160 × 1056 pixels" in text
    assert "nothing is there yet" in text
    assert main(["operando", str(series / "series.toml"), "--check"]) == 0
    assert text in capsys.readouterr().out
    assert sorted(series.rglob("*")) == before


def test_the_results_of_a_tomography_are_left_alone(series):
    (series / "result" / "study.zarr").mkdir(parents=True)
    (series / "result" / "journal.jsonl").write_text("")
    with pytest.raises(InputError, match="results of a tomography"):
        run(series)


@pytest.mark.slow
def test_averaging_in_time_costs_resolution_and_says_so(series):
    edit(series, "name =", "average_frames = 5\nname =")
    edit(series, "[series]", '[report]\nfilm = true\n\n[series]\nframe_select = "[:30]"')
    output = run(series)
    with Image.open(output / "figures" / "film.gif") as film:
        assert film.n_frames == 30
    assert summary_of(output)["frames"]["averaged"] == 5
    assert arrays_of(output)["kymograph/region_1/ratio"].shape[0] == 6
    edit(series, "average_frames = 5", "average_frames = 20")
    with pytest.raises(InputError, match="a group fits into it"):
        run(series)


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "doubt"), [(-7, False), (893, True)])
def test_a_clock_that_is_wrong_by_a_quarter_of_an_hour_is_doubted(series, offset, doubt):
    edit(series, "offset_s = -7.0", f"offset_s = {offset}")
    told = [note for note in summary_of(run(series))["warnings"] if note.startswith("clock:")]
    assert bool(told) is doubt
    if doubt:
        lower = float(told[0].split("lower by ")[1].rstrip(")"))
        # the knee of noisy lithium
        assert lower == pytest.approx(900, abs=240)


@pytest.mark.slow
def test_corrections_for_a_real_beam_are_read_and_recorded(series):
    """Frames behind a grid, hardening without the sleeve: as settings, in the summary and in the report."""
    camera = make_camera(find_design("interlayer", seed=3), seed=3)
    for kind, frames in camera.grid_frames(3).items():
        (series / "grid" / kind).mkdir(parents=True)
        for number, frame in enumerate(frames):
            tifffile.imwrite(series / "grid" / kind / f"g_{number}.tif", frame)
    edit(series, "[layers]", "[layers]\ncasing_mm = [6.5]")
    edit(series, "[series]", '[series]\nblack_body = "grid"')
    edit(series, "wavelength_angstrom = 2.6", "wavelength_angstrom = 3.0")
    tables = '[preprocess.scatter]\nmethod = "black_body"\n\n[preprocess.hardening]\nmethod = "spectrum"\n\n'
    edit(series, "[series]", tables + "[series]")
    output = run(series)
    summary = summary_of(output)
    facts = summary["correction_facts"]
    # this beam does not scatter: behind a dot there is the noise of a few counts only
    assert abs(facts["background_percent"]) < 0.3
    # 1.5 mm of PEEK on either side, 2.30 per cm: 0.93 along the chord that grazes the pellet
    assert facts["casing_line_integral"] == pytest.approx(2.303 * 2 * (0.65**2 - 0.5**2) ** 0.5, rel=0.03)
    # physics.md A5: 10 mm of Li6PS5Cl look 14 % too thin at 3 Å, the steel around it, shorter in depth, less
    assert -16 < facts["hardening_uncorrected_percent"] < -5
    assert "black-body grid" in summary["corrections"]["scatter"]
    assert "casing left out first" in summary["corrections"]["hardening"]
    rows = corrections_table(load_series_content(output)).rows
    assert any("off by -" in row[1] for row in rows)
    edit(series, 'method = "black_body"', 'method = "uniform"\nfraction = 0.02')
    with pytest.raises(InputError, match=r"goes with series\.black_body"):
        run(series)
