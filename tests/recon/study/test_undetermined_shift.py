"""A shift along the axis that the data leave open: no number of the change may be stated."""

import json

import pytest

from deltamu.recon.cli import main
from deltamu.recon.study.profile_facts import axially_determined, without_numbers


def test_every_state_of_the_change_must_be_determined():
    facts = {"a": {"undetermined": []}, "b": {"undetermined": ["translation_z", "rotation_z"]}}
    assert axially_determined(facts, ("a", "reference"))
    assert not axially_determined(facts, ("b", "a"))


def test_numbers_go_and_what_holds_anyway_stays():
    facts = {
        "charge_mAh": 4.6,
        "eroded_bins": 8,
        "charge_cycled_mAh": 4.5,
        "uneroded": {"mean_delta_mu": 0.9},
    }
    assert without_numbers(facts) == {
        "charge_mAh": None,
        "eroded_bins": 8,
        "charge_cycled_mAh": 4.5,
        "uneroded": {"mean_delta_mu": None},
    }


@pytest.mark.slow
def test_a_cell_without_marks_gets_no_charge(tmp_path, capsys):
    """The collectors of the featureless demo reach out of the field: nothing in it holds the axis."""
    assert main(["demo", str(tmp_path / "demo"), "--preset", "tiny", "--featureless"]) == 0
    summary = json.loads((tmp_path / "demo/result/summary.json").read_text())
    open_ended = [
        n for n, found in summary["registration"].items() if "translation_z" in found["undetermined"]
    ]
    assert open_ended
    for name in open_ended:
        change = summary["changes"][f"{name}-pristine"]
        assert change["charge_mAh"] is None
        assert change["mean_delta_mu"] is None
        assert any(f"{name}-pristine" in warning for warning in summary["warnings"])
