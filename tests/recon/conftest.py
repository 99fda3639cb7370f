"""A small scan on disk, a study of it, and a command line that must refuse."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from deltamu.recon.cli import main

VIEWS, ROWS, COLUMNS = 30, 8, 24
Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command in this process, expect an exit status, and return its one line of error."""

    def run(*arguments: object, status: int) -> str:
        assert main([str(argument) for argument in arguments]) == status
        error = capsys.readouterr().err.strip()
        assert "Traceback" not in error
        # what is planned and what is finished is told before the error
        lines = error.splitlines()
        told = [line for line in lines if ": done (" not in line and not line.startswith("deltamu: plan: ")]
        assert len(told) == 1, error
        assert told[0].startswith("deltamu: ")
        return told[0]

    return run


def write_frames(folder: Path, images: NDArray[np.generic]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        tifffile.imwrite(folder / f"{folder.name}_{index:03d}.tif", image)


def rod() -> dict[str, NDArray[np.uint16]]:
    """Counts behind a rod in the middle of the detector, with flats and darks."""
    rng = np.random.default_rng(1)
    columns = np.arange(COLUMNS) - (COLUMNS - 1) / 2
    absorbed = np.exp(-0.2 * np.sqrt(np.maximum(36 - columns**2, 0)))
    beam = {"projections": (VIEWS, absorbed), "flats": (6, 1.0)}
    sets = {
        name: 10 + rng.poisson(1000.0, (count, ROWS, COLUMNS)) * factor
        for name, (count, factor) in beam.items()
    }
    sets["darks"] = rng.poisson(10.0, (4, ROWS, COLUMNS))
    return {name: images.astype(np.uint16) for name, images in sets.items()}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A small scan of a rod as a folder of TIFF images."""
    folder = tmp_path / "scan"
    for name, images in rod().items():
        write_frames(folder / name, images)
    np.savetxt(folder / "angles.txt", np.arange(VIEWS) * 180 / VIEWS)
    return folder


@pytest.fixture
def exchange(tmp_path: Path) -> Path:
    """The same scan as a Data Exchange file."""
    path = tmp_path / "scan.h5"
    images = rod()
    with h5py.File(path, "w") as file:
        file["exchange/data"] = images["projections"]
        file["exchange/data_white"] = images["flats"]
        file["exchange/data_dark"] = images["darks"]
        file["exchange/theta"] = np.arange(VIEWS) * 180 / VIEWS
        file["exchange/theta"].attrs["units"] = "deg"
    return path


@pytest.fixture
def study(tmp_path: Path, scan: Path) -> Path:
    """A study of the scan in TIFF images."""
    path = tmp_path / "study.toml"
    path.write_text('reference = "only"\n[scan]\npixel_size_mm = 0.1\n[states.only]\nscan = "scan"\n')
    return path


@pytest.fixture
def exchange_study(tmp_path: Path, exchange: Path) -> Path:
    """A study of the scan in Data Exchange."""
    path = tmp_path / "exchange.toml"
    path.write_text('reference = "only"\n[scan]\npixel_size_mm = 0.1\n[states.only]\nscan = "scan.h5"\n')
    return path


@pytest.fixture
def edit() -> Callable[[Path, str, str], None]:
    """Replace words in a text file that must hold them."""

    def replace(path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return replace
