"""Frames in a .npy file, read by ranges."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, Indices, check_stack


@dataclass(frozen=True)
class NumpyFrames:
    """Frames of an array (angle, row, column), or one frame."""

    path: Path
    count: int
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    data_offset: int

    @property
    def label(self) -> str:
        """The file."""
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    @property
    def names(self) -> None:
        """Frames of an array have no names."""
        return None

    def read(self, indices: Indices) -> Frames:
        """Read frames; the file is opened anew for every call."""
        pixels = self.shape[0] * self.shape[1]
        frames = np.empty((indices.size, *self.shape), np.float32)
        with self.path.open("rb") as file:
            for position, index in enumerate(indices):
                file.seek(self.data_offset + int(index) * pixels * self.dtype.itemsize)
                values = np.fromfile(file, self.dtype, pixels)
                if values.size != pixels:
                    raise InputError(f"{self.path}: truncated in frame {index}; copy the file again")
                frames[position] = values.reshape(self.shape)
        return frames

    def check(self) -> None:
        """Compare the length of the file with its header."""
        numpy_frames(self.path)


def numpy_frames(path: Path) -> NumpyFrames:
    """Look at the header of a .npy file."""
    shape, fortran, dtype, offset = _header(path)
    check_stack(shape, dtype, str(path))
    if fortran:
        raise InputError(
            f"{path}: found Fortran order, expected C order; save it with numpy.ascontiguousarray"
        )
    needed = offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if path.stat().st_size < needed:
        raise InputError(
            f"{path}: truncated: found {path.stat().st_size} bytes, expected {needed}; copy the file again"
        )
    count = 1 if len(shape) == 2 else shape[0]
    return NumpyFrames(path, count, (shape[-2], shape[-1]), dtype, offset)


def _header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
            return shape, fortran, dtype, file.tell()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable .npy file ({error})") from None
