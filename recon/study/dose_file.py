"""Monitor counts or proton charge of every view, from a text file, a dataset of an HDF5 file, or the frames' headers."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frame_headers import header_numbers
from deltamu.recon.scans.scan import Scan

Float = NDArray[np.float64]

# what NXtomo calls the kinds of frames
VIEW_KEY, FLAT_KEY = 0, 1
# what a `dose_file` begins with that is a keyword in the header of every frame
HEADER = "header:"


def read_dose_file(path: Path, views: int, *, reference: float | None) -> NDArray[np.float64]:
    """Read the dose of every view, relative to an open-beam frame.

    Parameters
    ----------
    path : Path
        One line per view, the last number of a line counts; commas, semicolons or blanks between numbers, `#`
        starts a comment, one line of titles is allowed. Or `scan.nxs::entry/control/data`: a dataset with one number
        per view, or per frame where the file has an `image_key` for each.
    views : int
        Expected number.
    reference : float or None
        What the monitor counted for an open-beam frame; without it the mean of the open-beam frames in the dataset, or
        that of the views.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold one positive number per view.
    """
    name, separator, dataset = str(path).partition("::")
    if separator:
        values, measured = _from_dataset(Path(name), dataset)
    else:
        values, measured = _from_text(path), None
    if values.shape != (views,) or not np.all(np.isfinite(values) & (values > 0)):
        raise InputError(
            f"{path}: found {values.size} {'values' if separator else 'lines'}, expected {views} with a positive number, "
            "one per view"
        )
    return values / (reference or measured or float(values.mean()))


def read_header_dose(scan: Scan, keyword: str, *, reference: float | None) -> NDArray[np.float64]:
    """Read the dose of every view, relative to an open-beam frame of its exposure, from the header of every frame.

    Parameters
    ----------
    scan : Scan
        One FITS or TIFF file per frame; where several frames show a view, their mean counts.
    keyword : str
        `MONITOR` of `MONITOR = 12345`.
    reference : float or None
        What the monitor counted for an open-beam frame; without it the mean of the open-beam frames' headers.

    Raises
    ------
    InputError
        If a header lacks the keyword, or a number is not positive.
    """
    numbers = header_numbers(scan.projections, keyword)
    if reference is None:
        if scan.flat_source is None:
            raise InputError(f"{scan.name}: no flats with '{keyword}' in their headers; state dose_reference")
        reference = float(header_numbers(scan.flat_source, keyword).mean()) * scan.flat_scale
    values = np.array([numbers[list(frames)].mean() for frames in scan.groups])
    if not (reference > 0 and np.all(np.isfinite(values) & (values > 0))):
        raise InputError(
            f"{scan.name}: '{keyword}' in the headers: found {values.min():g}, expected positive numbers"
        )
    return np.asarray(values / reference, np.float64)


def _from_text(path: Path) -> Float:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected one number per view") from None
    content = [line.split("#")[0].replace(",", " ").replace(";", " ").split() for line in lines]
    values = [_number(words[-1]) for words in content if words]
    if values and np.isnan(values[0]):
        values = values[1:]
    return np.asarray(values, np.float64)


def _from_dataset(path: Path, dataset: str) -> tuple[Float, float | None]:
    """Numbers of the views, and the mean of the open-beam frames where the file tells them apart."""
    try:
        with h5py.File(path, "r") as file:
            values = np.asarray(file[dataset], np.float64).ravel()
            keys: list[NDArray[np.int64]] = []
            file.visititems(lambda name, item: _collect_keys(name, item, values.size, keys))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the dataset '{dataset}' cannot be read ({error}); expected FILE::DATASET with a number per view"
        ) from None
    if not keys:
        return values, None
    flats = values[keys[0] == FLAT_KEY]
    return values[keys[0] == VIEW_KEY], float(flats.mean()) if flats.size else None


def _collect_keys(name: str, item: Any, frames: int, keys: list[NDArray[np.int64]]) -> None:
    if name.split("/")[-1] == "image_key" and isinstance(item, h5py.Dataset) and item.size == frames:
        keys.append(np.asarray(item, np.int64).ravel())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
