"""Frames that lie one per file, read in parallel threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, Indices

# reading waits for the disk and decoding releases the interpreter: more threads than cores pay off
READ_THREADS = min(16, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class ImageFormat:
    """How one file is looked at and read.

    Attributes
    ----------
    shape : function
        Path to (row, column), from the header alone; raises InputError for a file that is broken or not grey.
    read : function
        Path to the (row, column) frame; raises InputError for a file that cannot be decoded.
    """

    shape: Callable[[Path], tuple[int, int]]
    read: Callable[[Path], Frames]


@dataclass(frozen=True)
class ImageFolder:
    """One frame per file; the size of the first holds for all."""

    label: str
    files: tuple[Path, ...]
    format: ImageFormat
    shape: tuple[int, int]

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """File names without folders."""
        return tuple(file.name for file in self.files)

    def read(self, indices: Indices) -> Frames:
        """Read files in parallel; the result does not depend on the number of threads."""
        frames = np.empty((indices.size, *self.shape), np.float32)

        def fill(position: int) -> None:
            file = self.files[indices[position]]
            frame = self.format.read(file)
            self._check_shape(file, frame.shape)
            frames[position] = frame

        _in_threads(fill, indices.size)
        return frames

    def check(self) -> None:
        """Look at the header of every file."""
        _in_threads(lambda i: self._check_shape(self.files[i], self.format.shape(self.files[i])), self.count)

    def _check_shape(self, file: Path, shape: tuple[int, ...]) -> None:
        if shape != self.shape:
            raise InputError(
                f"{file}: found {_size(shape)}, expected {_size(self.shape)} as in {self.files[0].name}; "
                "frames of one scan must have one size: move the file away or select with a pattern"
            )


def image_folder(label: str, files: tuple[Path, ...], image_format: ImageFormat) -> ImageFolder:
    """Look at the first file and take its size for all."""
    if not files:
        raise InputError(f"{label}: found no images, expected at least one")
    return ImageFolder(label, files, image_format, image_format.shape(files[0]))


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape) + " pixels (row × column)"


def _in_threads(task: Callable[[int], None], count: int) -> None:
    if count <= 1:
        for i in range(count):
            task(i)
        return
    with ThreadPoolExecutor(min(READ_THREADS, count)) as pool:
        for _ in pool.map(task, range(count)):
            pass
