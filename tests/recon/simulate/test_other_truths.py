"""Cells whose lithium lies elsewhere than usual."""

import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.simulate import profiles
from deltamu.recon.simulate.builder import StudyBuilder, StudySettings
from deltamu.recon.simulate.cell import Cell
from deltamu.recon.simulate.presets import Instrument, find_beam, find_preset
from deltamu.recon.simulate.study import describe_study


def settings(lithium):
    return StudySettings(find_preset("tiny"), find_beam("ideal"), Instrument(), Cell(), 1, False, lithium)


@pytest.mark.parametrize(
    ("lithium", "mean", "peak_mm"),
    # logistic fronts of width 0.08 at 0.5: 0.9 · 0.5, symmetric; a Gaussian of 0.15 on a floor of 0.2: 0.2 + 0.55 · 0.15 √2π,
    # less 0.09 % beyond both faces
    [("front", 0.45, None), ("mirror", 0.45, None), ("center", 0.40661, 0.2)],
)
def test_truth_follows_the_profile(lithium, mean, peak_mm):
    facts = StudyBuilder(settings(lithium)).facts()
    assert facts["states"]["discharged"]["mean_lithiation"] == pytest.approx(mean, abs=2e-4)
    change = facts["changes"]["discharged-pristine"]
    # 7.486 mAh of all the sulfur (physics of the cell, 6 mm)
    assert change["charge_mAh"] == pytest.approx(7.486 * mean, rel=1e-3)
    assert change["peak_depth_mm"] == (None if peak_mm is None else pytest.approx(peak_mm, abs=1e-4))
    assert facts["changes"]["charged-discharged"]["charge_mAh"] < 0


def test_scans_of_different_truths_are_not_taken_for_each_other():
    contents = {settings(name).content("discharged") for name in profiles.TRUTHS}
    assert len(contents) == len(profiles.TRUTHS)
    assert {settings(name).content("pristine") for name in profiles.TRUTHS} == {"pristine"}


def test_unknown_truth(tmp_path):
    with pytest.raises(
        InputError, match="lithium: found 'rim', expected one of broad, front, mirror, center"
    ):
        describe_study(tmp_path, preset="tiny", lithium="rim")
