"""Volumes of other programs as lazy arrays: slices are read, scaled and checked when they are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import FrameSource

_SLICES_PER_READ = 32


@dataclass(frozen=True)
class SliceArray:
    """A (z, y, x) float32 array behind a source of slices.

    Attributes
    ----------
    source : FrameSource
        Slice z is its frame z.
    factor, offset : float
        Stored values × factor + offset are what comes out.
    allow_nan : bool
        Whether NaN may stand for "no value here".
    """

    source: FrameSource
    factor: float = 1.0
    offset: float = 0.0
    allow_nan: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        return (self.source.count, *self.source.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always float32."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read a part: integers and slices; whole slices are read, a few at a time.

        Raises
        ------
        InputError
            If the files cannot be read, or a value is not finite.
        """
        along_z, in_slice = _split_key(key)
        wanted = np.arange(self.shape[0])[along_z]
        parts = [part[(slice(None), *in_slice)] for part in self._read(np.atleast_1d(wanted))]
        if not parts:
            return np.empty((0, *self.source.shape), np.float32)[(slice(None), *in_slice)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return joined if wanted.ndim else joined[0]

    def _read(self, wanted: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        for first in range(0, wanted.size, _SLICES_PER_READ):
            indices = wanted[first : first + _SLICES_PER_READ]
            slices = self.source.read(indices)
            self._check(slices, indices)
            if self.factor != 1.0:
                slices *= np.float32(self.factor)
            if self.offset != 0.0:
                slices += np.float32(self.offset)
            yield slices

    def _check(self, slices: NDArray[np.float32], indices: NDArray[np.int64]) -> None:
        bad = np.isinf(slices) if self.allow_nan else ~np.isfinite(slices)
        if bad.any():
            worst = int(indices[np.argmax(bad.sum(axis=(1, 2)))])
            raise InputError(
                f"{self.source.label}: found {int(bad.sum())} values that are not finite, "
                f"most in slice {worst}; expected numbers everywhere: "
                "save the volume with 0 where nothing was reconstructed"
            )


def _split_key(key: Any) -> tuple[Any, tuple[Any, ...]]:
    """Separate the index along z from those within a slice."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(part is Ellipsis for part in parts):
        place = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts = (*parts[:place], *[slice(None)] * (4 - len(parts)), *parts[place + 1 :])
    if len(parts) > 3 or not all(isinstance(part, (int, np.integer, slice)) for part in parts):
        raise IndexError(f"volume index: found {key!r}, expected up to three integers or slices")
    return (parts[0] if parts else slice(None)), tuple(parts[1:])
