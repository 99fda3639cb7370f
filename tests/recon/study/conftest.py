"""A study of the tiny demo whose scans are simulated once."""

from pathlib import Path

import pytest

from deltamu.recon.simulate.study import simulate_study
from deltamu.recon.study.demo import draft_of
from deltamu.recon.study.template import write_draft


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """study.toml of three tiny scans that nobody has run; tests give the output a name of their own."""
    folder = tmp_path_factory.mktemp("tiny")
    simulated = simulate_study(folder, preset="tiny")
    return write_draft(folder / "study.toml", draft_of(simulated, preset="tiny", beam="ideal"))
