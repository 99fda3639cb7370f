"""Three scans of one state through the whole chain: no change, within honest errors."""

import json

import numpy as np
import pytest

from deltamu.recon.study import demo, pipeline


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 9])
def test_a_state_scanned_three_times_shows_no_change(tmp_path, monkeypatch, seed):
    """Voxels three times as wide as the blur: interpolation rings at edges, which the error must say."""
    for module in (demo, pipeline):
        monkeypatch.setattr(module, "write_report", lambda output: None)
    demo.run_demo(tmp_path / "demo", preset="tiny", seed=seed, same_state=True)
    summary = json.loads((tmp_path / "demo/result/summary.json").read_text())
    for name in ("discharged-pristine", "charged-pristine"):
        change = summary["changes"][name]
        # 0.0005 per voxel's noise and a few per mille to per cent of a step of 1.2 by interpolation
        assert abs(change["mean_delta_mu"]) < 3.5 * change["standard_error"]
        assert change["standard_error"] < 0.05
        # the indium anode lets 0.2 % through: never a number without that word
        anode = change["balance"]["anode"]
        assert anode["charge_mAh"] is None
        assert anode["reason"].startswith("not determinable")
        assert change["balance"]["sum_mAh"] is None
        assert_counting_is_exact(change)
        budget = change["charge_budget"]
        assert abs(change["charge_mAh"]) < 3 * budget["total_mAh"]
        assert set(budget["unknown"]) == {"cross section", "scatter", "hardening"}
        # voxels three times as wide as the blur ring at edges: where a layer without change stands out, it is said
        for layer in ("separator", "collector_c"):
            found = change["significance"][layer]
            told = any(w.startswith(f"{name}: ") and f"of the {layer}," in w for w in summary["warnings"])
            assert told == (found is not None and found["changed_fraction"] > 1e-3)


def assert_counting_is_exact(change):
    counting = change["counting"]
    assert counting["method"] == "adjoint"
    assert counting["shared_open_beam"] == 0
    mean, charge = counting["mean_delta_mu"], counting["charge_mAh"]
    assert change["standard_error"] >= np.hypot(mean["counting"], mean["open_beam"])
    lines = {line["name"]: line["error_mAh"] for line in change["charge_budget"]["lines"]}
    assert lines["counting"] == pytest.approx(charge["counting"])
    assert lines["open beam"] == pytest.approx(charge["open_beam"])
    # eleven degrees of freedom per state, and streaks of the anode in 21 views
    assert 0.5 < mean["jackknife"] / mean["counting"] < 4
    regions = change["regions"]
    assert regions["sector_1"]["counting_error"] > regions["core"]["counting_error"] > 0
