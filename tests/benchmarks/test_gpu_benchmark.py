"""The benchmark of the GPU runs on the stand-in for one, and says what it lacks without one."""

import json
import runpy
from pathlib import Path

import pytest

from deltamu.kernels import gpu_checks

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def main_with(problem):
    """`main` of the script; its functions share their globals, where the check is replaced."""
    main = runpy.run_path(str(SCRIPT))["main"]
    main.__globals__["gpu_problem"] = lambda: problem
    return main


def test_says_what_is_lacking(tmp_path):
    with pytest.raises(SystemExit, match="no GPU can be used: no driver"):
        main_with("no driver")(["--toy", "--output", str(tmp_path)])


@pytest.mark.slow
def test_toy_run_writes_table_and_record(fake_cupy, monkeypatch, tmp_path):
    fake_cupy.cuda.runtime.getDeviceProperties = lambda _: {"name": b"stand-in", "totalGlobalMem": 2**30}
    monkeypatch.setattr(gpu_checks, "driver_version", lambda: None)
    main = main_with("")
    main.__globals__["astra_program"] = lambda *_: None
    main(["--toy", "--output", str(tmp_path)])
    record = json.loads((tmp_path / "gpu_toy.json").read_text())
    timed = {m["operation"]: m for m in record["measurements"]}
    assert set(timed) == {o.name for o in main.__globals__["OPERATIONS"]} | {"FBP, host to host"}
    assert all(m["rounds_s"] for m in timed.values())
    assert all(m["error"] < 1e-5 for name, m in timed.items() if m["error"] and "16 bits" not in name)
    assert "stand-in" in (tmp_path / "gpu_toy.md").read_text()
