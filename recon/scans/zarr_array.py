"""Frames in a Zarr array, or in an array of a Zarr group."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, Indices, check_stack, runs
from deltamu.recon.scans.hdf5 import Values


@dataclass(frozen=True)
class ZarrFrames:
    """Frames of an array (angle, row, column), or one frame."""

    path: Path
    dataset: str
    count: int
    shape: tuple[int, int]

    @property
    def label(self) -> str:
        """Store and array."""
        return f"{self.path}: {self.dataset}" if self.dataset else str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the array."""
        return tuple(sorted(file for file in (self.path / self.dataset).rglob("*") if file.is_file()))

    @property
    def names(self) -> None:
        """Frames of an array have no names."""
        return None

    def read(self, indices: Indices) -> Frames:
        """Read runs of consecutive frames."""
        frames = np.empty((indices.size, *self.shape), np.float32)
        array = _open_array(self.path, self.dataset)
        for position, first, stop in runs(indices):
            frames[position : position + stop - first] = _read(array, first, stop, self.label)
        return frames

    def check(self) -> None:
        """Look at the array again."""
        zarr_frames(self.path, self.dataset)


def zarr_frames(path: Path, dataset: str = "") -> ZarrFrames:
    """Look at an array; `dataset` is empty where the store is an array itself."""
    array = _open_array(path, dataset)
    check_stack(array.shape, array.dtype, f"{path}: {dataset}")
    count = 1 if len(array.shape) == 2 else int(array.shape[0])
    return ZarrFrames(path, dataset, count, (int(array.shape[-2]), int(array.shape[-1])))


def zarr_values(path: Path, dataset: str) -> Values:
    """Read a small numeric array, such as the angles."""
    array = _open_array(path, dataset)
    unit = array.attrs.get("units", array.attrs.get("unit"))
    values = np.atleast_1d(np.asarray(array[...], np.float64))
    return Values(values, None if unit is None else str(unit), f"{path}: {dataset}")


def is_zarr(path: Path) -> bool:
    """Return whether a path is a Zarr store."""
    marks = ("zarr.json", ".zarray", ".zgroup")
    return path.is_dir() and (
        path.suffix.lower() == ".zarr" or any((path / mark).is_file() for mark in marks)
    )


def array_names(path: Path) -> list[str] | None:
    """Return the paths of all arrays of a group, None where the store is an array itself."""
    node = _open(path)
    if isinstance(node, zarr.Array):
        return None
    return sorted(name for name, member in node.members(max_depth=6) if isinstance(member, zarr.Array))


def _open_array(path: Path, dataset: str) -> Any:
    node = _open(path)
    if not dataset:
        if isinstance(node, zarr.Array):
            return node
        raise InputError(f"{path}: found a group, expected an array; state data_path ({_offer(path, '')})")
    if isinstance(node, zarr.Array) or dataset not in node or not isinstance(node[dataset], zarr.Array):
        raise InputError(f"{path}: no array '{dataset}'; {_offer(path, dataset)}")
    return node[dataset]


def _offer(path: Path, dataset: str) -> str:
    names = array_names(path) or []
    close = difflib.get_close_matches(dataset, names, n=2, cutoff=0.5)
    return f"nearest: {', '.join(close)}" if close else f"it holds {', '.join(names[:8]) or 'no arrays'}"


def _open(path: Path) -> Any:
    if not path.exists():
        raise InputError(f"{path}: no such Zarr store")
    try:
        return zarr.open(str(path), mode="r")
    # zarr has no common error: a store that is none, or a broken one, may raise any of these
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a readable Zarr store ({' '.join(str(error).split())[:120]})"
        ) from None


def _read(array: Any, first: int, stop: int, label: str) -> Any:
    try:
        return array[...] if len(array.shape) == 2 else array[first:stop]
    # codecs raise RuntimeError or ValueError for chunks that are cut or damaged
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{label}: cannot be decoded ({' '.join(str(error).split())[:120]})") from None
