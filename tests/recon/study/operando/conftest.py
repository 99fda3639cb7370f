"""A short series on disk: the interlayer cell, rest and the first 50 minutes of its charge."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deltamu.recon.simulate.operando import series_files
from deltamu.recon.simulate.operando.designs import find_design
from deltamu.recon.study.operando.demo import series_toml

FRAMES = 60


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """Raw frames, cycler's file and series.toml; not to be changed."""
    folder = tmp_path_factory.mktemp("series") / "short"
    design = find_design("interlayer", seed=3)
    short = replace(design, preset=replace(design.preset, views=FRAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_files, "find_design", lambda kind, *, seed: short)
        series_files.simulate_series(folder, kind="interlayer", seed=3)
    (folder / "series.toml").write_text(series_toml(short), encoding="utf-8")
    return folder


@pytest.fixture
def series(recorded, tmp_path) -> Path:
    """A folder with settings of its own and the raw files of all."""
    folder = tmp_path / "copy"
    folder.mkdir()
    shutil.copy(recorded / "series.toml", folder)
    (folder / "raw").symlink_to(recorded / "raw")
    return folder


@pytest.fixture
def own_series(recorded, tmp_path) -> Path:
    """A copy whose raw files a test may damage."""
    return Path(shutil.copytree(recorded, tmp_path / "copy"))
