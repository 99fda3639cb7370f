"""The table of what stages hold, at toy size."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_stage_holds_more_than_it_states(study, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study_memory import measure

    rows = {row.stage: row for row in measure(study)}
    assert {"prepare", "preprocess", "center", "reconstruct", "report"} <= set(rows)
    assert all(row.measured <= row.stated for row in rows.values())
    # interpreter and libraries alone are so many
    assert max(row.measured for row in rows.values()) > 80e6
