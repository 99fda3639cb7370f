"""The benchmark of the preprocessing runs, and its chains see the same frames."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "preprocess.py"


@pytest.mark.slow
def test_toy_run_writes_table_and_record(tmp_path, capsys):
    pytest.importorskip("algotom.prep.correction")
    main = runpy.run_path(str(SCRIPT))["main"]
    main(["--toy", "--frames", "8", "--rounds", "1", "--output", str(tmp_path)])
    assert "algotom, the same steps" in capsys.readouterr().out
    record = json.loads((tmp_path / "preprocess_toy.json").read_text())
    ours, fewest, same = (m for m in record["measurements"] if not m["stripes"])
    # what is compared does the same: hits go, and good pixels stay in both chains of the same steps
    assert ours["left"] <= min(fewest["left"], same["left"])
    assert max(ours["lost_percent"], same["lost_percent"]) < 0.05
    assert (tmp_path / "preprocess_toy.md").read_text().startswith("# From raw frames")
