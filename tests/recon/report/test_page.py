"""The page: complete, self-contained, warnings first, every number there."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.report import page
from deltamu.recon.report.figures import FIGURES
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.page import render_page, write_report

MakeStudy = Callable[..., Path]
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Checker(HTMLParser):
    """Collects links and text, and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def read_page(folder: Path, *, figures: bool = False) -> tuple[str, Checker]:
    """Render without figures, which take most of the time, unless they are the point."""
    text = write_report(folder).read_text() if figures else render_page(load_report_content(folder), [])
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return text, checker


def change_summary(folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    edit(summary)
    path.write_text(json.dumps(summary))
    return folder


@pytest.mark.slow
def test_whole_report_is_self_contained(make_study: MakeStudy) -> None:
    folder = make_study(truth=True, warnings=("look here",))
    text, checker = read_page(folder, figures=True)
    names = [kind.name for kind in FIGURES]
    assert sorted(p.stem for p in (folder / "figures").iterdir()) == sorted(names)
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in (folder / "figures").iterdir())
    assert len(checker.references) == len(names)
    assert all(reference.startswith("data:image/png;base64,") for reference in checker.references)
    assert not re.search(r"https?:|file:|url\(|@import|<script|<link", text)
    numbers = [int(n) for n in re.findall(r"<b>Figure (\d+)", text)]
    assert numbers == list(range(1, len(names) + 1))
    assert not list(folder.glob("**/*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {"states": ("as_built", "cycle_10"), "changes": ("cycle_10-as_built",), "amount": (0.0, 1.0)},
        {"states": ("charged", "pristine", "aged"), "changes": ("aged-pristine",), "amount": (0.5, 0.0, 1.3)},
        {"nan_rows": 17, "upside_down": True},
        {"amount": (0.0, 0.0, 0.0)},
    ],
    ids=["two states", "other order, one change", "missing values, other way up", "nothing changed"],
)  # fmt: skip
def test_reports_of_other_studies(make_study: MakeStudy, changed: dict[str, Any]) -> None:
    folder = make_study(**changed)
    _, checker = read_page(folder, figures=True)
    assert len(checker.references) == len(FIGURES)
    assert "nan" not in re.sub(r"[A-Za-z]nan|nan[A-Za-z]", "", checker.text.lower())
    for state in load_report_content(folder).states:
        assert state.replace("_", " ") in checker.text


def test_every_number_is_there(make_study: MakeStudy) -> None:
    _, checker = read_page(make_study(truth=True))
    summary = (
        "0.0031", "98.73 ± 0.41", "0.012",  # standard error, closure, noise floor
        "625", "259.20 ± 0.03", "−0.012", "0.031", "4.1",  # states
        "+12.3", "−45.6", "+78.90 ± 0.12", "+1.2340", "−0.0560", "+0.0780 ± 0.0011", "0.021", "14",  # registration
        "400.00 ± 0.83", "0.3021 ± 0.0042", "14.70 ± 0.60", "2.600",  # layers
        "+0.731", "1.42", "−4.27", "−1.93", "+2.81", "0.0317",  # truth
        "2.6", "7.59", "62.219", "1.50 GiB", "0.1.0", "sha256:0123456789abcdef", "hann", "72.5",
    )  # fmt: skip
    missing = [number for number in summary if number not in checker.text]
    assert missing == []


def test_warnings_come_first(make_study: MakeStudy) -> None:
    text, _ = read_page(make_study(warnings=("the first thing to know", "and <this>")))
    assert "2 warnings" in text
    assert "and &lt;this&gt;" in text
    assert text.index("the first thing to know") < text.index('id="headline"') < text.index("Results")


def test_no_warnings_no_box(make_study: MakeStudy) -> None:
    assert 'id="warnings"' not in read_page(make_study())[0]


def test_names_are_escaped(make_study: MakeStudy) -> None:
    text, checker = read_page(make_study())
    assert "Li–S cell &lt;A&amp;B&gt;" in text
    assert 'scan = "raw/<pristine>"' in checker.text


def test_truth_only_where_it_is_known(make_study: MakeStudy) -> None:
    assert "truth" not in read_page(make_study())[1].text
    assert "Comparison with the truth" in read_page(make_study(truth=True))[1].text


def test_headline_says_gained_lost_or_nothing(make_study: MakeStudy) -> None:
    _, checker = read_page(make_study())
    assert "From pristine to discharged the cathode gained" in checker.text
    assert "From discharged to charged the cathode lost" in checker.text

    def insignificant(summary: dict[str, Any]) -> None:
        summary["changes"]["charged-pristine"].update(mean_delta_mu=0.004, standard_error=0.0031)

    _, checker = read_page(change_summary(make_study(), insignificant))
    assert (
        "Between pristine and charged the cathode shows no change beyond two standard errors" in checker.text
    )


def test_uncorrected_is_said(make_study: MakeStudy) -> None:
    _, checker = read_page(make_study())
    for sentence in ("A background of 2 %", "A tail of 5 %", "In a white cold beam"):
        assert f"Not corrected. {sentence}" in checker.text

    def corrected(summary: dict[str, Any]) -> None:
        summary["corrections"] |= {"scatter": "black-body grid", "stripes": False}
        del summary["corrections"]["dose"]

    _, checker = read_page(change_summary(make_study(), corrected))
    assert "Black-body grid." in checker.text
    assert "Not corrected. A background" not in checker.text
    assert "Not corrected. In a white cold beam" in checker.text
    assert "Not stated by this run." in checker.text


def test_null_values_become_dashes(make_study: MakeStudy) -> None:
    def erase(summary: dict[str, Any]) -> None:
        for key in summary["changes"]["charged-pristine"]:
            summary["changes"]["charged-pristine"][key] = None
        summary["registration"]["charged"].update(residual_voxel=None, translation_mm=[None, None, None])
        summary["states"]["charged"].update(center_spread_px=None, starved_fraction=None)
        summary["layers"]["anode"].update(thickness_mm=None, thickness_standard_error_mm=None)

    _, checker = read_page(change_summary(make_study(), erase))
    assert "No value could be determined for the cathode between pristine and charged" in checker.text
    assert "None" not in checker.text


def test_one_state_without_changes(make_study: MakeStudy) -> None:
    def alone(summary: dict[str, Any]) -> None:
        summary["states"] = {"pristine": summary["states"]["pristine"]}
        for key in ("changes", "registration", "layers", "profile_layer", "lithium", "layer_order"):
            del summary[key]

    folder = change_summary(make_study(), alone)
    _, checker = read_page(folder, figures=True)
    assert "1 state" in checker.text
    assert len(checker.references) == 3  # states, their resolution, and centres


def test_a_state_reconstructed_elsewhere(make_study: MakeStudy) -> None:
    def foreign(summary: dict[str, Any]) -> None:
        summary["states"]["charged"] = {"source": "charged.tif", "unit": "cm^-1", "notes": []}

    _, checker = read_page(change_summary(make_study(), foreign))
    assert "volume: charged.tif" in checker.text


def test_failure_leaves_the_old_report(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_study()
    (folder / "report.html").write_text("old")
    monkeypatch.setattr(page, "render_figures", lambda content: iter(()))
    monkeypatch.setattr(page, "render_page", lambda *arguments: (_ for _ in ()).throw(InputError("no")))
    with pytest.raises(InputError):
        write_report(folder)
    assert (folder / "report.html").read_text() == "old"


def test_figures_leave_the_users_style_alone(make_study: MakeStudy) -> None:
    import matplotlib

    from deltamu.recon.report.canvas import figure_style

    before = dict(matplotlib.rcParams)
    with figure_style():
        assert matplotlib.rcParams["font.size"] == 8
    assert dict(matplotlib.rcParams) == before


def test_picture_of_the_centre(tmp_path: Path) -> None:
    from deltamu.recon.report.figure_centers import write_center_picture

    candidates = [
        {"method": "centroid", "row": None, "center": 10.2},
        {"method": "opposite_views", "row": 4, "center": 10.1},
        {"method": "opposite_views", "row": 8, "center": None},
        {"method": "sharpness", "row": 8, "center": 99.0},
    ]
    path = tmp_path / "center.png"
    write_center_picture(
        path, {"candidates": candidates, "consensus_px": 10.15}, title="tooth", spread_px=0.05
    )
    assert path.read_bytes().startswith(b"\x89PNG")
