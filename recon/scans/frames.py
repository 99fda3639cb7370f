"""Where frames come from: anything that can be asked for frames by number."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Frames = NDArray[np.float32]
Indices = NDArray[np.int64]


class FrameSource(Protocol):
    """Frames of one size that can be read by number, from several threads at once."""

    @property
    def label(self) -> str:
        """What messages call it."""

    @property
    def count(self) -> int:
        """Number of frames."""

    @property
    def shape(self) -> tuple[int, int]:
        """(row, column) as stored."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the frames."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """File name of every frame, where each has its own."""

    def read(self, indices: Indices) -> Frames:
        """Return the frames of these numbers, (n, row, column)."""

    def check(self) -> None:
        """Look at every file without reading the frames; raise InputError where one cannot be right."""


@dataclass(frozen=True)
class ArrayFrames:
    """Frames that are in memory."""

    label: str
    array: NDArray[np.generic]
    files: tuple[Path, ...] = ()
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "array", as_stack(np.asarray(self.array), self.label))

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.array.shape[0])

    @property
    def shape(self) -> tuple[int, int]:
        """(row, column)."""
        return (int(self.array.shape[1]), int(self.array.shape[2]))

    def read(self, indices: Indices) -> Frames:
        """Return a copy of the frames."""
        return np.asarray(self.array[indices]).astype(np.float32)

    def check(self) -> None:
        """Nothing can be wrong with an array that was checked on construction."""


@dataclass(frozen=True)
class SelectedFrames:
    """Some frames of another source."""

    source: FrameSource
    indices: Indices
    label: str

    @property
    def count(self) -> int:
        """Number of frames."""
        return int(self.indices.size)

    @property
    def shape(self) -> tuple[int, int]:
        """(row, column)."""
        return self.source.shape

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the whole source."""
        return self.source.files

    @property
    def names(self) -> tuple[str, ...] | None:
        """File names of the selected frames."""
        names = self.source.names
        return None if names is None else tuple(names[i] for i in self.indices)

    def read(self, indices: Indices) -> Frames:
        """Return the frames of these numbers among the selected."""
        return self.source.read(self.indices[indices])

    def check(self) -> None:
        """Look at the whole source."""
        self.source.check()


@dataclass(frozen=True)
class JoinedFrames:
    """Frames of several sources, one after the other."""

    parts: tuple[FrameSource, ...]
    label: str

    def __post_init__(self) -> None:
        first = self.parts[0]
        for part in self.parts[1:]:
            if part.shape != first.shape:
                raise InputError(
                    f"{part.label}: found frames of {part.shape} (row, column), expected {first.shape} "
                    f"as in {first.label}"
                )

    @property
    def count(self) -> int:
        """Number of frames."""
        return sum(part.count for part in self.parts)

    @property
    def shape(self) -> tuple[int, int]:
        """(row, column)."""
        return self.parts[0].shape

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all parts."""
        return tuple(file for part in self.parts for file in part.files)

    @property
    def names(self) -> tuple[str, ...] | None:
        """File names, where all parts have them."""
        names = [part.names for part in self.parts]
        return tuple(n for part in names if part for n in part) if all(names) else None

    def read(self, indices: Indices) -> Frames:
        """Return frames by their number in the joined sequence."""
        frames = np.empty((indices.size, *self.shape), np.float32)
        first = 0
        for part in self.parts:
            here = np.flatnonzero((indices >= first) & (indices < first + part.count))
            if here.size:
                frames[here] = part.read(indices[here] - first)
            first += part.count
        return frames

    def check(self) -> None:
        """Look at all parts."""
        for part in self.parts:
            part.check()


def join(parts: list[FrameSource], label: str) -> FrameSource | None:
    """Return one source for several, None for none."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else JoinedFrames(tuple(parts), label)


def as_stack(array: NDArray[np.generic], label: str) -> NDArray[np.generic]:
    """Return (n, row, column) for one frame or several.

    Raises
    ------
    InputError
        If the array has another number of axes, is empty, or does not hold real numbers.
    """
    check_stack(array.shape, array.dtype, label)
    return array[np.newaxis] if array.ndim == 2 else array


def check_stack(shape: tuple[int, ...], dtype: np.dtype[np.generic], label: str) -> None:
    """Raise InputError unless it is a stack of frames, or one frame, of real numbers."""
    if dtype.kind not in "uif":
        raise InputError(f"{label}: found values of type {dtype}, expected whole or real numbers")
    if len(shape) == 4 or (len(shape) == 3 and shape[2] in (3, 4) and shape[1] > 4 and shape[0] > 4):
        raise InputError(
            f"{label}: found an array of shape {shape}, colour images?; expected grey (angle, row, column)"
        )
    if len(shape) not in (2, 3):
        raise InputError(f"{label}: found an array of shape {shape}, expected (angle, row, column)")
    if 0 in shape:
        raise InputError(f"{label}: found an empty array of shape {shape}, expected frames")


def runs(indices: Indices) -> list[tuple[int, int, int]]:
    """Split numbers into runs of consecutive ones: (position, first, stop)."""
    if indices.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = np.concatenate(([0], breaks))
    stops = np.concatenate((breaks, [indices.size]))
    return [(int(a), int(indices[a]), int(indices[b - 1]) + 1) for a, b in zip(starts, stops, strict=True)]
