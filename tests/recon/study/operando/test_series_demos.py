"""The simulated series from raw files to results, against what the simulator knows."""

import json
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.study.operando.demo import run_series_demo

pytestmark = pytest.mark.slow


def demo(folder: Path, kind: str) -> dict:
    run_series_demo(folder, kind=kind)
    return json.loads((folder / "result" / "summary.json").read_text(encoding="utf-8"))


def charges_close(summary: dict) -> None:
    """Cathode and anode side within 3 % of the truth, and of the cycler up to a short."""
    assert abs(summary["truth"]["charge"]["cathode"]) < 3
    assert summary["lithium"]["zones"]["cathode"]["closure"] == pytest.approx(1, abs=0.03)


def test_soft_short(tmp_path):
    summary = demo(tmp_path, "soft-short")
    charges_close(summary)
    assert summary["lithium"]["zones"]["balance"]["closure"] == pytest.approx(1, abs=0.03)
    (event,) = summary["truth"]["events"]
    assert event["event"] == "soft short"
    assert abs(event["found_late_min"]) < 6
    assert max(summary["truth"]["drift_rms_px"]) < 0.03
    with np.load(tmp_path / "result" / "series.zarr" / "results.npz") as stored:
        mah = {zone: stored[f"window/{zone}/mah"] for zone in ("cathode", "plated", "contact", "rim")}
        hours = stored["window/times_s"] / 3600
    # P1 depletes, P2 enriches, P3 depletes, P4 enriches and goes on after the short at 4.67 h
    for zone, sign in (("cathode", -1), ("plated", 1), ("contact", -1), ("rim", 1)):
        assert np.all(sign * mah[zone][hours > 1] > 0)
    after = hours > 5
    assert np.polyfit(hours[after], mah["rim"][after], 1)[0] > 0.15
    assert abs(np.polyfit(hours[after], mah["cathode"][after], 1)[0]) < 0.06


def test_interlayer(tmp_path):
    summary = demo(tmp_path, "interlayer")
    charges_close(summary)
    late = {event["event"]: event["found_late_min"] for event in summary["truth"]["events"]}
    assert set(late) == {"stage", "hard short"}
    assert abs(late["stage"]) < 6
    assert abs(late["hard short"]) < 3


def test_front(tmp_path):
    summary = demo(tmp_path, "front")
    charges_close(summary)
    front = summary["truth"]["front"]
    assert front["position_rms_um"] < 10
    assert front["positions_missing"] == 0
    assert abs(front["velocity_error_percent"]) < 3
    # all current at a front, against the velocity between 15 and 85 % of the passage
    assert summary["front"]["expected_um_per_h"] == pytest.approx(40.0, rel=0.01)
    assert not [event for event in summary["events"] if "short" in event["kind"]]
