"""The benchmark of the registration: three of its motions, and that it runs."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "registration.py"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(SCRIPT.parent), *sys.path])
    return runpy.run_path(str(SCRIPT))


@pytest.mark.slow
def test_three_motions_of_the_small_cell(benchmark):
    """27 um voxels at the noise of the demo, lithium present: at most 0.05 voxel in the pellet, 0.04 along the axis."""
    scene = benchmark["RemountedCell"](benchmark["PRESETS"]["small"], 360)
    cases = [benchmark["judge"](pair) for pair in benchmark["pairs"](scene, 3, seed=7)]
    assert max(case.error for case in cases) <= 0.05
    assert max(case.axial for case in cases) <= 0.04
    # stated errors: at most a quarter of 18 numbers, which hang together, outside of two standard deviations
    assert np.mean(np.abs([case.pulls for case in cases]) > 2) <= 0.25


@pytest.mark.slow
def test_toy_run_writes_table_and_record(benchmark, tmp_path, capsys):
    benchmark["main"](["--toy", "--cases", "1", "--accuracy-only", "--output", str(tmp_path)])
    assert "95 % intervals" in capsys.readouterr().out
    record = json.loads((tmp_path / "registration_toy.json").read_text())
    assert record["cases"][0]["error"] < 0.3
    assert (tmp_path / "registration_toy.md").read_text().startswith("# Registration")
