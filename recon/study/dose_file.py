"""Monitor counts or proton charge of every view, from a text file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError


def read_dose_file(path: Path, views: int, *, reference: float | None) -> NDArray[np.float64]:
    """Read the dose of every view, relative to an open-beam frame.

    Parameters
    ----------
    path : Path
        One line per view, the last number of a line counts; commas, semicolons or blanks between numbers, `#`
        starts a comment, one line of titles is allowed.
    views : int
        Expected number.
    reference : float or None
        What the monitor counted for an open-beam frame; without it the mean of the views is taken for it.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold one positive number per view.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); expected one number per view") from None
    content = [line.split("#")[0].replace(",", " ").replace(";", " ").split() for line in lines]
    content = [words for words in content if words]
    values = [_number(words[-1]) for words in content]
    if values and values[0] is None:
        values = values[1:]
    if len(values) != views or any(value is None or not value > 0 for value in values):
        raise InputError(
            f"{path}: found {len(values)} lines, expected {views} with a positive number, one per view"
        )
    counts = np.asarray(values, np.float64)
    return counts / (float(counts.mean()) if reference is None else reference)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
