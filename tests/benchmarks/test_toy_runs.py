"""Every benchmark runs: a tiny case of each, from its command line to its table and record."""

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def toy_run(monkeypatch, tmp_path, capsys):
    """Run a benchmark's smallest case; its record and its table."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name):
        module = importlib.import_module(name)
        # scripts are no package: their names are free for others afterwards
        monkeypatch.delitem(sys.modules, name)
        module.main(["--toy", "--output", str(tmp_path)])
        report = (tmp_path / f"{name}_toy.md").read_text()
        assert report in capsys.readouterr().out
        return json.loads((tmp_path / f"{name}_toy.json").read_text()), report

    return run


@pytest.mark.slow
def test_fbp(toy_run):
    pytest.importorskip("algotom")
    record, report = toy_run("fbp")
    ours = next(m for m in record["measurements"] if m["program"] == "deltamu fbp")
    assert ours["rmse"] < 0.1
    assert record["machine"]["threads"] >= 1
    assert report.startswith("# Filtered back-projection")


def test_projectors(toy_run):
    pytest.importorskip("astra")
    record, report = toy_run("projectors")
    assert record["sirt_difference"] < 1e-3
    rates = {(m["kind"], m["name"]): m["rate"] for m in record["measurements"]}
    assert len(rates) == 8
    assert all(rate > 0 for rate in rates.values())
    assert report.startswith("# Projector, its transpose, and SIRT")


@pytest.mark.slow
def test_interval_coverage(toy_run):
    record, report = toy_run("interval_coverage")
    assert set(record["coverage_95_percent"]) == {"adjoint", "jackknife", "jackknife_without_open_beam"}
    assert record["voxel_sigma_over_sample"] == pytest.approx(1, abs=0.3)
    assert report.startswith("# How often 95 %")


@pytest.mark.slow
def test_preprocess(toy_run):
    pytest.importorskip("algotom.prep.correction")
    record, report = toy_run("preprocess")
    ours, fewest, same = (m for m in record["measurements"] if not m["stripes"])
    # hits go, and good pixels stay in both chains of the same steps
    assert ours["left"] <= min(fewest["left"], same["left"])
    assert max(ours["lost_percent"], same["lost_percent"]) < 0.05
    assert report.startswith("# From raw frames")


@pytest.mark.slow
def test_preprocess_accuracy(toy_run):
    record, report = toy_run("preprocess_accuracy")
    assert record["measured"]["centre within 0.25 px, of 2 sinograms (%)"] == 100
    assert report.startswith("# How exact the preprocessing is")


@pytest.mark.slow
def test_real_beam(toy_run):
    record, report = toy_run("real_beam")
    bias = {m["way"]: m["discharged_percent"] for m in record["measurements"]}
    assert bias["as it is"] < -15
    # on pixels of 108 µm some of the faces is left in the rows
    assert abs(bias["all, 0.131 Å"]) < 3
    assert report.startswith("# The change of a cathode")


def test_onto_grid(toy_run):
    record, report = toy_run("onto_grid")
    residue = {m["way"]: m["residue"] for m in record["measurements"]}
    # a quarter less was asked for
    assert residue["straight"] < 0.75 * residue["trilinear"]
    noises = [m["noise"] for m in record["measurements"]]
    assert max(noises) < 1.01 * min(noises)
    assert report.startswith("# Straight onto the grid")


@pytest.mark.slow
def test_regularised(toy_run):
    record, report = toy_run("regularised")
    rmse = {m["method"]: m["rmse"] for m in record["states"]}
    # 12 iterations are too few to beat every filter, but not the one that starts them
    assert max(rmse["FISTA-TV 0.4"], rmse["FISTA-TV 0.8"]) < 0.9 * rmse["FBP ram-lak 1"]
    piccs, beside = (m for m in record["changes"] if m["beside"] == "PICCS")
    assert piccs["rmse"] < beside["rmse"]
    # smoothed until the rim is as wide
    assert beside["rim_um"] == pytest.approx(piccs["rim_um"], rel=0.1)
    assert report.startswith("# Few views")
