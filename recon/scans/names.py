"""What file and folder names say: their order, what they hold, the angle."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

TIFF_SUFFIXES = (".tif", ".tiff")
FITS_SUFFIXES = (".fits", ".fit", ".fts")
HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".nxs", ".nx", ".nexus")
TEXT_SUFFIXES = (".txt", ".csv", ".dat", ".log", ".tsv")

Role = Literal["projections", "flats", "flats_after", "darks", "other"]

# the words stand at the start of a name or after a separator: `flat_before`, `IMAT01_Flat_After`, `ob_1.fits`
_FLATS = r"(?:flats?|ob|obs|openbeams?|open_beams?|white|whites|brightfields?|ff)"
_DARKS = r"(?:darks?|df|dfs|dc|di|dark_?currents?|dark_?fields?|dark_?images?|bias)"
_PROJECTIONS = r"(?:proj\w*|tomo\w*|tiffs?|fits|samples?|raw|radiographs?|frames|ct)"
_OTHER = r"(?:180_?deg\w*|truth|recon\w*|results?)"


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which frame_9 comes before frame_10."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdigit() else (1, part.lower()) for part in parts if part)


def natural_sort(paths: Iterable[Path]) -> list[Path]:
    """Sort files by name, numbers inside a name by value."""
    return sorted(paths, key=lambda path: natural_key(path.name))


def role_of(name: str) -> Role | None:
    """Return what a file or folder of this name holds by custom, None when the name does not say."""
    stem = re.sub(r"[\s\-.]+", "_", name.lower())
    if _has_word(_OTHER, stem):
        return "other"
    if _has_word(_DARKS, stem):
        return "darks"
    if _has_word(_FLATS, stem):
        return "flats_after" if re.search(r"after|post", stem) else "flats"
    if _has_word(_PROJECTIONS, stem):
        return "projections"
    return None


def _has_word(words: str, stem: str) -> bool:
    return re.search(rf"(?:^|_){words}(?=_|\d|$)", stem) is not None


def angle_from_name(name: str, pattern: str | None = None) -> float | None:
    """Read an angle in degrees from a file name.

    Parameters
    ----------
    pattern : str or None
        Regular expression with one group (12.5, 12_5, 12p5) or two (whole degrees, decimals). By default a
        decimal underscore between three digits and two to four: `cell_012_345_0001.tif` is 12.345 degrees.

    Returns
    -------
    float or None
        None when the name does not fit.
    """
    match = re.search(pattern or r"(?<!\d)(-?\d{3})_(\d{2,4})(?=[_.]|$)", name)
    if match is None or not match.groups():
        return None
    text = ".".join(match.groups()[:2]) if len(match.groups()) > 1 else re.sub(r"[_p,]", ".", match.group(1))
    try:
        return float(text)
    except ValueError:
        return None
