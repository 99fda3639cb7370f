"""Small scans on disk in every format."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

VIEWS, ROWS, COLUMNS = 12, 5, 7

Write = Callable[..., Path]


@pytest.fixture
def frames() -> NDArray[np.uint16]:
    """Projections whose every pixel is its own number, between darks and flats."""
    return (1000 + np.arange(VIEWS * ROWS * COLUMNS).reshape(VIEWS, ROWS, COLUMNS)).astype(np.uint16)


@pytest.fixture
def flats() -> NDArray[np.uint16]:
    return np.stack([np.full((ROWS, COLUMNS), 3000 + i, np.uint16) for i in range(4)])


@pytest.fixture
def darks() -> NDArray[np.uint16]:
    return np.stack([np.full((ROWS, COLUMNS), 100 + i, np.uint16) for i in range(3)])


@pytest.fixture
def angles() -> NDArray[np.float64]:
    return np.arange(VIEWS) * 15.0


def write_tiffs(folder: Path, stack: NDArray[np.generic], stem: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(stack):
        # no leading zeros: the natural order differs from the alphabetical one
        tifffile.imwrite(folder / f"{stem}_{i}.tif", frame)


@pytest.fixture
def tiff_folder(
    tmp_path: Path,
    frames: NDArray[np.uint16],
    flats: NDArray[np.uint16],
    darks: NDArray[np.uint16],
    angles: NDArray[np.float64],
) -> Path:
    folder = tmp_path / "pristine"
    write_tiffs(folder / "projections", frames, "proj")
    write_tiffs(folder / "flats_before", flats[:2], "flat")
    write_tiffs(folder / "flats_after", flats[2:], "flat")
    write_tiffs(folder / "darks", darks, "dark")
    text = "# degrees\n" + "\n".join(f"{angle:.6f}" for angle in angles) + "\n"
    (folder / "angles.txt").write_text(text)
    return folder


@pytest.fixture
def nxtomo(
    tmp_path: Path,
    frames: NDArray[np.uint16],
    flats: NDArray[np.uint16],
    darks: NDArray[np.uint16],
    angles: NDArray[np.float64],
) -> Path:
    """Darks, flats, projections, flats; angles in radians; pixel size in metres; one invalid frame."""
    path = tmp_path / "charged.nxs"
    stack = np.concatenate([darks, flats[:2], frames, flats[2:], frames[:1]])
    keys = [2] * 3 + [1] * 2 + [0] * VIEWS + [1] * 2 + [3]
    turned = np.concatenate([np.zeros(5), angles, np.zeros(3)])
    with h5py.File(path, "w") as file:
        file["entry/tomo_entry/instrument/detector/data"] = stack
        file["entry/tomo_entry/instrument/detector/image_key"] = np.array(keys)
        file["entry/tomo_entry/instrument/detector/x_pixel_size"] = 27e-6
        file["entry/tomo_entry/instrument/detector/x_pixel_size"].attrs["units"] = "m"
        file["entry/tomo_entry/sample/rotation_angle"] = np.radians(turned)
        file["entry/tomo_entry/sample/rotation_angle"].attrs["units"] = "rad"
    return path


@pytest.fixture
def exchange(
    tmp_path: Path,
    frames: NDArray[np.uint16],
    flats: NDArray[np.uint16],
    darks: NDArray[np.uint16],
    angles: NDArray[np.float64],
) -> Path:
    path = tmp_path / "discharged.h5"
    with h5py.File(path, "w") as file:
        file["exchange/data"] = frames
        file["exchange/data_white"] = flats[:3]
        file["exchange/data_white_post"] = flats[3:]
        file["exchange/data_dark"] = darks
        file["exchange/theta"] = angles
        file["exchange/theta"].attrs["units"] = "degrees"
    return path
