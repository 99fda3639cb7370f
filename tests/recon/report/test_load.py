"""Reading the results of a study: what is missing or damaged is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.report.content import change_title
from deltamu.recon.report.load import load_report_content, read_profile

MakeStudy = Callable[..., Path]


def test_content_of_a_study(make_study: MakeStudy) -> None:
    content = load_report_content(make_study())
    assert content.states == ("pristine", "discharged", "charged")
    assert content.moving_states == ("discharged", "charged")
    assert content.profile_layer == "cathode"
    assert content.inert_layers == ("separator", "collector_cathode")
    assert not content.is_simulated
    profile = content.profiles["discharged-pristine"]
    assert profile.lithium_mol_cm3 == pytest.approx(profile.mean / 62.219, rel=1e-5)  # 7 digits in the file
    assert not profile.eroded[0]
    assert profile.eroded[2]


@pytest.mark.parametrize(
    "missing",
    [
        "summary.json",
        "diagnostics.json",
        "study.toml",
        "profiles/charged-pristine.csv",
        "study.zarr/states/charged/attenuation",
        "study.zarr/registered/discharged/attenuation",
        "study.zarr/changes/charged-pristine/delta_mu",
        "study.zarr/changes/charged-pristine/z_score",
        "study.zarr/layers/cathode/depth",
        "study.zarr/layers/cathode/near",
        "study.zarr/layers/labels",
    ],
)
def test_missing_piece_is_named(make_study: MakeStudy, missing: str) -> None:
    folder = make_study()
    target = folder / missing
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(InputError, match=Path(missing).name) as caught:
        load_report_content(folder)
    assert "deltamu run" in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_report_content(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ('{"states": {}}', "at least one state"),
        ('{"states": {"a": {}}, "reference": "b"}', "expected one of a"),
        ('{"states": {"a": {}}, "changes": {"b-a": {}}}', "changes.b-a"),
    ],
)
def test_damaged_summary(make_study: MakeStudy, content: str, message: str) -> None:
    folder = make_study()
    (folder / "summary.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_report_content(folder)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "b-a.csv"
    path.write_text(text)
    return path


def test_profile_with_comments_and_blanks(tmp_path: Path) -> None:
    path = write(
        tmp_path, "# units: mm, cm^-1\n\ndepth_mm, mean, standard_error\n0.1,1,0.1\n# note\n0.2,,0.1\n"
    )
    profile = read_profile(path)
    assert profile.depth_mm.tolist() == [0.1, 0.2]
    assert np.isnan(profile.mean[1])
    assert profile.eroded.all()
    assert profile.bin_mm == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth,mean\n1,2\n", "no header line"),
        ("depth_mm,mean,standard_error\n0.1,x,1\n", "column mean"),
        ("depth_mm,mean,standard_error\n0.1,1\n", "column standard_error"),
        ("depth_mm,mean,standard_error\n0.1,1,1\n", "at least 2"),
        ("depth_mm,mean,standard_error\n0.2,1,1\n0.1,1,1\n", "must increase"),
    ],
)
def test_damaged_profile(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_profile(write(tmp_path, text))


def test_layers_without_the_key_inert_are_recognised_by_name(make_study: MakeStudy) -> None:
    folder = make_study()
    summary = json.loads((folder / "summary.json").read_text())
    for layer in summary["layers"].values():
        del layer["inert"]
    (folder / "summary.json").write_text(json.dumps(summary))
    expected = ("collector_anode", "separator", "collector_cathode")
    assert load_report_content(folder).inert_layers == expected


def test_change_in_words() -> None:
    assert change_title("half_charged-pristine") == "half charged − pristine"
