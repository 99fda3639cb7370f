"""FITS frames: one image per file, or a cube in one file (needs astropy)."""

from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import ArrayFrames, Frames, FrameSource, check_stack
from deltamu.recon.scans.image_folder import ImageFormat, image_folder


def fits_source(label: str, files: tuple[Path, ...]) -> FrameSource:
    """Return a folder of FITS images, or the frames of one file that holds a cube."""
    if len(files) == 1:
        return ArrayFrames(label, _read(files[0]), files=files)
    return image_folder(label, files, ImageFormat(shape=_image_shape, read=_read_image))


def _image_shape(path: Path) -> tuple[int, int]:
    shape = _header_shape(path)
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) != 2:
        raise InputError(
            f"{path}: found an image of shape {shape}, expected one grey frame per file (row, column)"
        )
    return (shape[0], shape[1])


def _read_image(path: Path) -> Frames:
    _image_shape(path)
    array = _read(path)
    return array[0] if array.ndim == 3 else array


def _header_shape(path: Path) -> tuple[int, ...]:
    return tuple(int(n) for n in _with_image(path, lambda hdu: hdu.shape))


def _read(path: Path) -> Frames:
    array = _with_image(path, lambda hdu: np.asarray(hdu.data, np.float32))
    check_stack(array.shape, array.dtype, str(path))
    return np.asarray(array, np.float32)


def _with_image(path: Path, take: Any) -> Any:
    """Apply a function to the first image of a file."""
    try:
        from astropy.io import fits
    except ImportError:
        raise InputError(f"{path}: FITS files need astropy; try: pip install 'deltamu[fits]'") from None
    try:
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if getattr(hdu, "shape", ()) and len(hdu.shape) >= 2]
            if not images:
                raise InputError(f"{path}: found no image in the FITS file")
            _check_complete(path, images[0])
            return take(images[0])
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # astropy reports a broken file as OSError, TypeError or a VerifyError (ValueError), as the case may be
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: not a readable FITS file ({' '.join(str(error).split())[:120]})") from None


def _check_complete(path: Path, hdu: Any) -> None:
    info = hdu.fileinfo()
    if info is None:
        return
    bits = abs(int(hdu.header["BITPIX"]))
    needed = int(info["datLoc"]) + (bits // 8) * int(np.prod([int(n) for n in hdu.shape]))
    size = path.stat().st_size
    if type(hdu).__name__ in ("PrimaryHDU", "ImageHDU") and needed > size:
        raise InputError(f"{path}: truncated: found {size} bytes, expected {needed}; copy the file again")
