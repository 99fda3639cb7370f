"""FITS frames: one image per file, or a cube in one file (needs astropy)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, FrameSource, Indices, check_stack, runs
from deltamu.recon.scans.image_folder import ImageFormat, image_folder


def fits_source(label: str, files: tuple[Path, ...]) -> FrameSource:
    """Return a folder of FITS images, or the frames of one file that holds a cube."""
    if len(files) == 1:
        return _fits_cube(label, files[0])
    return image_folder(label, files, ImageFormat(shape=_image_shape, read=_read_image))


@dataclass(frozen=True)
class FitsCube:
    """Frames (angle, row, column) in one FITS file, or one frame."""

    label: str
    path: Path
    count: int
    shape: tuple[int, int]

    @property
    def files(self) -> tuple[Path, ...]:
        """The one file."""
        return (self.path,)

    @property
    def names(self) -> tuple[str, ...] | None:
        """Frames of a cube have no names; a single one has that of its file."""
        return (self.path.name,) if self.count == 1 else None

    def read(self, indices: Indices) -> Frames:
        """Read runs of consecutive frames; the file is opened anew for every call."""
        frames = np.empty((indices.size, *self.shape), np.float32)

        def fill(hdu: Any) -> None:
            if len(hdu.shape) == 2:
                frames[:] = hdu.data
                return
            for position, first, stop in runs(indices):
                frames[position : position + stop - first] = hdu.section[first:stop]

        _with_image(self.path, fill)
        return frames

    def check(self) -> None:
        """Compare the length of the file with its header."""
        _header_shape(self.path)


def _fits_cube(label: str, path: Path) -> FitsCube:
    shape = _header_shape(path)
    check_stack(shape, np.dtype(np.float32), str(path))
    return FitsCube(label, path, 1 if len(shape) == 2 else shape[0], (shape[-2], shape[-1]))


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
    shape = _image_shape(path)
    frame: Frames = _with_image(path, lambda hdu: np.asarray(hdu.data, np.float32))
    return frame.reshape(shape)


def _header_shape(path: Path) -> tuple[int, ...]:
    return tuple(int(n) for n in _with_image(path, lambda hdu: hdu.shape))


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
