"""The benchmark of filtered back-projection runs."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "fbp.py"


@pytest.mark.slow
def test_toy_run_writes_table_and_record(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    main(["--toy", "--output", str(tmp_path)])
    assert "deltamu fbp" in capsys.readouterr().out
    record = json.loads((tmp_path / "fbp_toy.json").read_text())
    ours = next(m for m in record["measurements"] if m["program"] == "deltamu fbp")
    assert ours["rmse"] < 0.1
    assert record["machine"]["threads"] >= 1
    assert (tmp_path / "fbp_toy.md").read_text().startswith("# Filtered back-projection")
