"""Numbers that instruments write into the header of every frame: a keyword of FITS, a text tag of TIFF."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import FrameSource
from deltamu.recon.scans.names import FITS_SUFFIXES, TIFF_SUFFIXES

Float = NDArray[np.float64]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


def header_numbers(source: FrameSource, keyword: str) -> Float:
    """Read a number from the header of every frame, (frame,).

    Parameters
    ----------
    source : FrameSource
        One file per frame, FITS or TIFF. In TIFF the keyword stands in any text tag as `KEYWORD: 12.5` or
        `KEYWORD = 12.5`.
    keyword : str

    Raises
    ------
    InputError
        If frames have no header of their own, or one lacks the keyword.
    """
    return np.array([_number_of(file, keyword) for file in _file_of_every_frame(source, keyword)], np.float64)


def _file_of_every_frame(source: FrameSource, keyword: str) -> list[Path]:
    if len(source.files) == source.count:
        return list(source.files)
    files = {file.name: file for file in source.files}
    if source.names is None or len(files) != len(source.files):
        raise InputError(
            f"{source.label}: frames share a file and its header; expected one FITS or TIFF file per frame to read "
            f"'{keyword}' from, or a text file with one number per view"
        )
    return [files[name] for name in source.names]


def _number_of(file: Path, keyword: str) -> float:
    readers: dict[str, Callable[[Path, str], str | None]] = dict.fromkeys(FITS_SUFFIXES, _in_fits)
    readers |= dict.fromkeys(TIFF_SUFFIXES, _in_tiff)
    read = readers.get(file.suffix.lower())
    if read is None:
        raise InputError(f"{file}: has no header that is understood; expected FITS or TIFF for '{keyword}'")
    found = read(file, keyword)
    try:
        return float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        said = "is missing" if found is None else f"is {found!r}"
        raise InputError(f"{file}: '{keyword}' {said} in the header; expected a number") from None


def _in_fits(file: Path, keyword: str) -> str | None:
    try:
        from astropy.io import fits
    except ImportError:
        raise InputError(f"{file}: FITS files need astropy; try: pip install 'deltamu[fits]'") from None
    try:
        header = fits.getheader(file)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file}: not a readable FITS file ({' '.join(str(error).split())[:120]})") from None
    return str(header[keyword]) if keyword in header else None


def _in_tiff(file: Path, keyword: str) -> str | None:
    import tifffile

    try:
        with tifffile.TiffFile(file) as tif:
            texts = [str(tag.value) for tag in tif.pages[0].tags if isinstance(tag.value, str | bytes)]  # type: ignore[union-attr]
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"{file}: not a readable TIFF file ({' '.join(str(error).split())[:120]})") from None
    pattern = re.compile(rf'(?<![\w.]){re.escape(keyword)}"?\s*[:=]\s*({_NUMBER})')
    found = [match for text in texts if (match := pattern.search(text))]
    return found[0][1] if found else None
