"""The cycler's record in place of stated charges."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.study.cycled_charge import cycled_charges
from deltamu.recon.study.settings import read_study, settings_text

STUDY = """
reference = "pristine"
changes = ["discharged-pristine", "charged-discharged"]
[states.pristine]
scan = "a"
[states.discharged]
scan = "b"
[states.charged]
scan = "c"
[layers]
order = ["separator", "cathode", "collector"]
thickness_mm = [0.5, 0.4, 0.9]
radius_mm = 3.0
[lithium.cycler]
path = "cycler.csv"
state_hours = {pristine = 0.0, discharged = 4.0, charged = 8.0}
"""


@pytest.fixture
def folder(tmp_path):
    """Four hours of discharge at 1.5 mA, one of rest, two of charge at 1 mA, and rest."""
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    hours = np.arange(0, 9.001, 1 / 60)
    current = np.where(hours < 4, -1.5, np.where((hours >= 5) & (hours < 7), 1.0, 0.0))
    rows = [f"{3600 * h:.0f},{i},{3.0}" for h, i in zip(hours, current, strict=True)]
    (tmp_path / "cycler.csv").write_text("\n".join(["time/s,current/mA,voltage/V", *rows]), encoding="utf-8")
    return tmp_path


def test_discharge_brings_lithium_into_the_cathode(folder) -> None:
    found = cycled_charges(read_study(folder))
    # one step of a minute at either end of a stretch may count half: 1.5 mA x 1 min = 0.025 mAh
    assert found["discharged-pristine"] == pytest.approx(6.0, abs=0.03)
    assert found["charged-discharged"] == pytest.approx(-2.0, abs=0.03)


def test_an_hour_outside_the_record_is_named(folder) -> None:
    text = STUDY.replace("charged = 8.0", "charged = 12.0")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"state_hours\.charged: found 12 h"):
        cycled_charges(read_study(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[lithium.cycler]", '[lithium]\ncharge_mah = {"discharged-pristine" = 4.6}\n[lithium.cycler]'), "one of"),
        (("charged = 8.0", "chargd = 8.0"), "did you mean 'charged'"),
    ],
)  # fmt: skip
def test_settings_that_contradict_are_refused(folder, change, words) -> None:
    (folder / "study.toml").write_text(STUDY.replace(*change), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_study(folder)


def test_the_resolved_study_runs_from_anywhere(folder, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "study.toml"
    elsewhere.write_text(settings_text(read_study(folder)), encoding="utf-8")
    assert cycled_charges(read_study(elsewhere)) == cycled_charges(read_study(folder))
