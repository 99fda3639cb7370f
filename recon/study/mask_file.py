"""Masks that a user has drawn, from .npy or TIFF files."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from deltamu.recon.errors import InputError


def read_mask_file(file: Path, *, setting: str, axes: str) -> NDArray[np.bool_]:
    """Read a two-dimensional mask, true where the image is above zero.

    Parameters
    ----------
    file : Path
    setting, axes : str
        What named the file, and what its two axes are, for messages.

    Raises
    ------
    InputError
        If the file is missing, of another kind, or not two-dimensional.
    """
    try:
        image = np.load(file) if file.suffix == ".npy" else tifffile.imread(file)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"{setting}: {file}: cannot be read ({error}); expected .npy or TIFF") from None
    if image.ndim != 2:
        raise InputError(f"{setting}: {file}: found shape {image.shape}, expected {axes}")
    return np.asarray(image > 0)
