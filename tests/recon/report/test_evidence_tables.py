"""What the tables of evidence say, from a summary alone."""

from pathlib import Path

import pytest

from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.evidence_tables import evidence_tables, resolution_table

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
