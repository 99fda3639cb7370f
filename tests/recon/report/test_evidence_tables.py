"""What the tables of evidence say, from a summary alone."""

from pathlib import Path

import pytest

from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.counting_table import counting_sentence, counting_table, open_beams
from deltamu.recon.report.evidence_tables import evidence_tables, resolution_table
from deltamu.recon.report.figure_resolution import draw_resolution

RESOLUTION = {
    "edge_in_slice_mm": 0.0648,
    "edge_in_slice_standard_error_mm": 0.0013,
    "edge_along_axis_mm": None,
    "shell_correlation_mm": 0.0988,
}


@pytest.fixture
def content() -> ReportContent:
    states = {"one": {"resolution": RESOLUTION}, "two": {"resolution": RESOLUTION}, "three": {}}
    return ReportContent(Path("."), {"states": states, "voxel_size_mm": 0.027}, {}, "")


def test_resolution_stands_with_its_error_and_only_where_it_was_measured(content) -> None:
    view = resolution_table(content)
    assert view is not None
    assert view.columns == ("quantity", "one", "two")
    assert view.rows == (
        ("edge, within slices (µm FWHM)", "64.8 ± 1.3", "64.8 ± 1.3"),
        ("shell correlation, all directions (µm)", "98.8", "98.8"),
    )
    assert "27.0" in view.note


def test_a_study_without_evidence_has_no_tables() -> None:
    bare = ReportContent(Path("."), {"states": {"one": {}}, "voxel_size_mm": 0.027}, {}, "")
    assert evidence_tables(bare) == ()


CHANGE = {
    "center_of_mass_mm": 0.1443, "center_of_mass_standard_error_mm": 0.0003,
    "front_mm": None, "separator_half_share": 0.7454, "separator_half_share_standard_error": 0.0014,
    "transport": {"ions": {"nu": 1.7, "nu_standard_error": 0.12}, "electrons": {"nu": 0.0, "nu_standard_error": 9e3},
                  "ions_front": {"position": 0.5012, "position_standard_error": 0.0011, "rms_residual": 0.0123},
                  "electrons_front": None, "preferred": None, "bins": 11},
    "radial": [{"radius_mm": 0.19, "mean_delta_mu": -0.61, "standard_error": 0.0048}],
    "significance": {"level": 0.05, "cathode": {"changed_fraction": 0.8, "threshold_z": 2.055}, "separator": None},
    "noise_floor": 0.0014,
}  # fmt: skip


def test_a_change_is_placed_and_what_no_shape_explains_is_called_neither() -> None:
    undetermined = {
        "center_of_mass_mm": None,
        "transport": {"ions": {"nu": None}, "bins": None, "preferred": None},
        "radial": None,
        "significance": {"level": None, "cathode": {"changed_fraction": None}},
    }
    summary = {
        "states": {"a": {}, "b": {}},
        "voxel_size_mm": 0.027,
        "changes": {"b-a": CHANGE, "a-b": undetermined},
    }
    views = {view.title: dict(zip([r[0] for r in view.rows], view.rows, strict=True)) for view in evidence_tables(
        ReportContent(Path("."), summary, {}, "")
    )}  # fmt: skip
    shape = views["Where the change sits"]
    assert shape["centre of mass (µm)"][1:] == ("144.30 ± 0.30", "–")
    assert shape["share in the separator's half (%)"][1] == "74.54 ± 0.14"
    assert shape["preferred"][1:] == ("neither", "–")
    assert shape["ν, limited by electrons"][1] == "not above 0"
    assert shape["front from the separator at"][1:] == ("0.5012 ± 0.0011", "–")
    assert "front from the collector at" not in shape
    assert "half-height front (µm)" not in shape
    assert views["What stands out of the noise"]["cathode: |z| from"][1:] == ("2.06", "–")
    assert list(views["Radial profile of the mean Δµ (cm⁻¹)"]) == ["0.190"]


def test_what_is_starved_or_unstated_has_words_instead_of_numbers() -> None:
    budget = {
        "lines": [{"name": "mask", "error_mAh": 0.0042}, {"name": "scatter", "error_mAh": None}],
        "total_mAh": 0.0042,
    }
    charge = {"charge_mAh": 4.6217, "charge_standard_error_mAh": 0.0014}
    balance = {
        "cathode": charge,
        "anode": {"charge_mAh": None, "reason": "not determinable"},
        "sum_mAh": None,
    }
    summary = {
        "states": {"a": {}, "b": {}}, "voxel_size_mm": 0.027,
        "changes": {"b-a": {"charge_budget": budget, "balance": balance}},
    }  # fmt: skip
    first, second, *_ = evidence_tables(ReportContent(Path("."), summary, {}, ""))
    assert first.rows == (("mask", "0.0042"), ("scatter", "not stated"), ("all known lines", "0.0042"))
    assert second.rows == (
        ("cathode", "+4.6217 ± 0.0014"),
        ("anode", "not determinable"),
        ("sum", "not determinable"),
    )


def test_the_scale_of_a_state_stands_with_its_errors() -> None:
    scale = {
        "gain": 1.0009,
        "gain_standard_error": 0.0017,
        "offset": -0.0002,
        "offset_standard_error": 0.0009,
        "parts": 16,
    }
    registration = {"b": {"scale": scale}, "c": {"scale": None}}
    summary = {"states": {"a": {}, "b": {}, "c": {}}, "voxel_size_mm": 0.09, "registration": registration}
    (view,) = evidence_tables(ReportContent(Path("."), summary, {}, ""))
    assert view.rows == (("b", "1.0009 ± 0.0017", "−0.00020 ± 0.00090", "16"),)


def test_the_figure_of_the_resolution_shows_every_number_that_is_known(content) -> None:
    figure = draw_resolution(content)
    (axes,) = figure.axes
    shown = [line.get_xdata() for line in axes.lines if line.get_marker() not in ("None", "|", "")]
    known = [RESOLUTION["edge_in_slice_mm"], RESOLUTION["shell_correlation_mm"]]
    # micrometres, for the two states that have a resolution
    assert [list(values) for values in shown] == 2 * [[pytest.approx(1e3 * value) for value in known]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["two voxels", "one", "two"]


def test_exact_errors_stand_beside_those_of_subsets_and_shared_flats_are_said() -> None:
    part = {"counting": 1.5e-4, "jackknife": 3.1e-4, "open_beam": 3e-4, "agree": False}
    counting = {
        "method": "adjoint", "shared_open_beam": 1.0, "mean_delta_mu": part, "charge_mAh": part,
        "jackknife_over_exact": 2.04, "agree": False,
    }  # fmt: skip
    summary = {
        "states": {"a": {"moment_drift_percent": 0.07, "moment_spread_percent": 0.09, "center_spread_px": 0.1}, "b": {}},
        "voxel_size_mm": 0.027, "reference": "a", "changes": {"b-a": {"counting": counting, "error_kind": "views"}},
    }  # fmt: skip
    content = ReportContent(Path("."), summary, {}, "")
    view = counting_table(content)
    assert view is not None
    rows = dict(view.rows)
    assert rows["mean Δµ, counting, exact (cm⁻¹)"] == "0.00015"
    assert rows["bins of depth, subsets / exact (rms)"] == "2.04"
    assert rows["exact and subsets agree"] == "no"
    assert "do not agree everywhere" in counting_sentence(content, {"views"})
    assert "in common to b and a" in open_beams(content).lower()
    summary["changes"]["b-a"]["counting"] = {"method": "jackknife"}
    assert counting_table(content) is None
    assert counting_sentence(content, {"views"}).startswith("Counting noise from the scatter of subsets")
    assert open_beams(content) == "each with its own open beam"
