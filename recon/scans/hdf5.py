"""Datasets in HDF5 files: found through links, checked, read by ranges."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, FrameSource, Indices, check_stack, runs

# frames read in one request: bounds the memory that integer frames need beside the float32 result
_FRAMES_PER_READ = 32
_DEPTH = 8


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Raises
    ------
    InputError
        If it does not exist, is truncated or is not HDF5, also when that shows while reading.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        # no lock: a file that the instrument still holds, or on a file system without locks, can be read
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except InputError:
        raise
    # h5py: OSError for the file and its data, RuntimeError for its structures, KeyError for its links
    except (OSError, RuntimeError, KeyError) as error:
        text = " ".join(str(error).split())
        reason = (
            "truncated"
            if "truncated" in text or "eof" in text.lower()
            else f"not a readable HDF5 file ({text[:120]})"
        )
        raise InputError(f"{path}: {reason}; copy the file again") from None


@dataclass(frozen=True)
class DatasetLocation:
    """A dataset and the file it is really in."""

    file: Path
    path: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}"


def locate(file: Path, path: str) -> DatasetLocation:
    """Follow soft and external links to a dataset or group.

    External links are looked for where they point to and, because files get moved, beside the file that holds
    the link.

    Raises
    ------
    InputError
        If a link's file is missing, or a name does not exist: with the nearest one that does.
    """
    with opened(file) as root:
        group: Any = root
        parts = [part for part in path.split("/") if part]
        for i, part in enumerate(parts):
            link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
            if isinstance(link, h5py.ExternalLink):
                target = _external_file(file, link.filename, f"{file}: {path}")
                return locate(target, "/".join([link.path, *parts[i + 1 :]]))
            if isinstance(link, h5py.SoftLink):
                start = [] if link.path.startswith("/") else parts[:i]
                return locate(file, "/".join([*start, link.path, *parts[i + 1 :]]))
            if link is None:
                raise InputError(f"{file}: no dataset '{path}'; {_nearest(root, path)}")
            group = group[part]
        return DatasetLocation(file, "/" + "/".join(parts))


def _external_file(file: Path, target: str, where: str) -> Path:
    """Return where the file of an external link lies."""
    name = target.replace("\\", "/")
    for candidate in (file.parent / name, file.parent / Path(name).name):
        if candidate.is_file():
            return candidate
    raise InputError(f"{where}: links to the file '{target}', which is not there; put it beside {file.name}")


def exists(file: Path, path: str) -> bool:
    """Return whether a dataset can be reached."""
    try:
        location = locate(file, path)
        with opened(location.file) as root:
            return isinstance(root[location.path], h5py.Dataset)
    except InputError:
        return False


def dataset_names(root: Any) -> list[str]:
    """Return the paths of all datasets and links below a group, in the order of the file."""
    found: list[str] = []
    _collect(root, "", found, _DEPTH)
    return found


def _collect(group: Any, prefix: str, found: list[str], depth: int) -> None:
    for name in group:
        path = f"{prefix}/{name}"
        # dangling links have no class; they are named so that a message can point at them
        kind = group.get(name, getclass=True) if _is_hard(group, name) else None
        if kind is h5py.Group:
            if depth:
                _collect(group[name], path, found, depth - 1)
        elif kind is h5py.Dataset or kind is None:
            found.append(path)


def _is_hard(group: Any, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _nearest(root: Any, path: str) -> str:
    names = [name.lstrip("/") for name in dataset_names(root)]
    close = difflib.get_close_matches(path.strip("/"), names, n=2, cutoff=0.5)
    if close:
        return f"nearest: {', '.join(close)}"
    return f"the file holds {', '.join(names[:8]) or 'no datasets'}{', …' if len(names) > 8 else ''}"


@dataclass(frozen=True)
class Hdf5Frames:
    """Frames of a dataset (angle, row, column), or one frame (row, column)."""

    location: DatasetLocation
    count: int
    shape: tuple[int, int]

    @property
    def label(self) -> str:
        """File and dataset."""
        return str(self.location)

    @property
    def files(self) -> tuple[Path, ...]:
        """The file the data are in."""
        return (self.location.file,)

    @property
    def names(self) -> None:
        """Frames of a dataset have no names."""
        return None

    def read(self, indices: Indices) -> Frames:
        """Read runs of consecutive frames; the file is opened anew for every call."""
        frames = np.empty((indices.size, *self.shape), np.float32)
        with opened(self.location.file) as root:
            dataset = root[self.location.path]
            if dataset.ndim == 2:
                frames[:] = dataset[...]
                return frames
            for position, first, stop in runs(indices):
                for start in range(first, stop, _FRAMES_PER_READ):
                    end = min(start + _FRAMES_PER_READ, stop)
                    frames[position + start - first : position + end - first] = dataset[start:end]
        return frames

    def check(self) -> None:
        """Look the dataset up again."""
        hdf5_frames(self.location.file, self.location.path)


def hdf5_frames(file: Path, path: str) -> FrameSource:
    """Return the frames of a dataset, checked without reading them."""
    location = locate(file, path)
    with opened(location.file) as root:
        dataset = root[location.path]
        if not isinstance(dataset, h5py.Dataset):
            inside = ", ".join(list(dataset)[:8]) or "nothing"
            raise InputError(f"{location}: found a group, expected a dataset; it holds {inside}")
        check_stack(dataset.shape, dataset.dtype, str(location))
        _check_filters(dataset, location)
        _check_virtual(dataset, location)
        count = 1 if dataset.ndim == 2 else int(dataset.shape[0])
        return Hdf5Frames(location, count, (int(dataset.shape[-2]), int(dataset.shape[-1])))


def _check_filters(dataset: Any, location: DatasetLocation) -> None:
    """Refuse a compression that nothing here can undo."""
    properties = dataset.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(i)
        if not h5py.h5z.filter_avail(code) and not _plugin_provides(code):
            title = name.decode(errors="replace").split(";")[0] or "unnamed"
            raise InputError(
                f"{location}: compressed with HDF5 filter {code} ({title}), which is not installed; "
                "try: pip install 'deltamu[hdf5]'"
            )


def _plugin_provides(code: int) -> bool:
    try:
        import hdf5plugin  # noqa: F401  (registers its filters)
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(code))


def _check_virtual(dataset: Any, location: DatasetLocation) -> None:
    """Refuse a virtual dataset with a missing source: HDF5 would give zeros for it."""
    if not dataset.is_virtual:
        return
    for source in dataset.virtual_sources():
        name = source.file_name
        if name != "." and not (location.file.parent / name).is_file():
            raise InputError(f"{location}: takes frames from the file '{name}', which is not there")


@dataclass(frozen=True)
class Values:
    """Numbers of a small dataset, with the unit it states."""

    values: NDArray[np.float64]
    unit: str | None
    label: str


def read_values(file: Path, path: str) -> Values:
    """Read a small numeric dataset, such as the angles."""
    location = locate(file, path)
    with opened(location.file) as root:
        dataset = root[location.path]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "uif":
            raise InputError(f"{location}: expected a dataset of numbers")
        unit = dataset.attrs.get("units", dataset.attrs.get("unit"))
        return Values(np.atleast_1d(np.asarray(dataset[...], np.float64)), text_of(unit), str(location))


def text_of(value: Any) -> str | None:
    """Return an attribute as text: HDF5 files hold bytes, text, and arrays of one of them."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
