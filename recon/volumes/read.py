"""Read volumes that were reconstructed elsewhere: TIFF, HDF5, Zarr, .npy, NRRD."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames, FrameSource, Indices
from deltamu.recon.scans.hdf5 import dataset_names, hdf5_frames, opened
from deltamu.recon.scans.names import HDF5_SUFFIXES, TIFF_SUFFIXES, natural_sort
from deltamu.recon.scans.numpy_file import NumpyFrames, numpy_frames
from deltamu.recon.scans.tiff import tiff_source
from deltamu.recon.volumes.nrrd import read_nrrd_header
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.slices import SliceArray
from deltamu.recon.volumes.stated_scale import (
    StatedScale,
    cubic_voxel_mm,
    hdf5_scale,
    ome_zarr_scale,
    tiff_scale,
)
from deltamu.recon.volumes.units import value_unit
from deltamu.recon.volumes.volume import Volume, check_voxel_size
from deltamu.recon.volumes.zarr_store import METADATA, first_line, read_part

_ZARR_FILES = (METADATA, ".zarray", ".zgroup")
Opened = tuple[FrameSource, StatedScale]


def read_volume(
    path: str | os.PathLike[str],
    *,
    voxel_size_mm: float | None = None,
    unit: str | None = None,
    dataset: str | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    allow_nan: bool = False,
    name: str | None = None,
) -> Volume:
    """Open a volume made by another program, or by deltamu; its values are read when they are asked for.

    Parameters
    ----------
    path : path-like
        A folder of TIFF slices (in natural order of their names), a multi-page TIFF, an HDF5 file, a Zarr
        array or OME-Zarr image, a .npy file or a NRRD file with raw data. Slices are along z.
    voxel_size_mm : float, optional
        Needed unless the file states it; wins over what the file states.
    unit : str, optional
        Of the values; needed unless the file states it. Inverse lengths become cm⁻¹ ("1/mm" values are
        multiplied by 10, "1/pixel" by 10 / voxel size in mm), lengths become mm.
    dataset : str, optional
        Which dataset of an HDF5 file or array of a Zarr group; the only three-dimensional one by default.
    scale, offset : float
        Stored value × scale + offset is in `unit` (for volumes saved as integers).
    allow_nan : bool
        Accept NaN for voxels without a value; otherwise reading one raises InputError.
    name : str, optional
        The file's name by default.

    Returns
    -------
    Volume
        float32, with `notes` on what was converted.

    Raises
    ------
    InputError
        If nothing readable is there, slices differ in size, are in colour or truncated, voxels are not cubes,
        or the voxel size or the unit is missing or unknown.
    """
    file = Path(path)
    if not file.exists():
        raise InputError(f"{file}: no such file or folder; expected a volume")
    if _is_own_image(file / (dataset or "")):
        return open_image(file / (dataset or ""))
    source, stated = _open(file, dataset)
    size, size_notes = _chosen_size(file, voxel_size_mm, stated)
    written = unit or _known_unit(stated.unit, size)
    if written is None:
        raise InputError(
            f"{file}: unit is missing and the file does not state it; set unit to 'cm^-1', '1/mm', …"
        )
    known, factor = value_unit(written, size)
    notes = (*size_notes, *_unit_notes(written, known, factor))
    data = SliceArray(source, scale * factor, offset * factor, allow_nan)
    return Volume(data, size, known, name or file.stem, notes=notes)


def _open(path: Path, dataset: str | None) -> Opened:
    """Choose the reader by what is there, not by trial."""
    suffix = path.suffix.lower()
    if path.is_dir():
        if any((path / name).is_file() for name in _ZARR_FILES):
            return _open_zarr(path, dataset)
        return _open_tiff_folder(path)
    if suffix in TIFF_SUFFIXES:
        return tiff_source(str(path), (path,)), tiff_scale(path)
    if suffix in HDF5_SUFFIXES:
        return _open_hdf5(path, dataset)
    if suffix == ".npy":
        return numpy_frames(path), StatedScale()
    if suffix == ".nrrd":
        return _open_nrrd(path)
    raise InputError(
        f"{path}: found a file of type {suffix or '(none)'}, expected a folder of TIFFs, "
        ".tif, .h5, .zarr, .npy or .nrrd"
    )


def _open_tiff_folder(folder: Path) -> Opened:
    files = tuple(
        natural_sort(f for f in folder.iterdir() if f.suffix.lower() in TIFF_SUFFIXES and f.is_file())
    )
    if not files:
        raise InputError(f"{folder}: found no TIFF files in it, expected one per slice (or a .zarr folder)")
    source = tiff_source(str(folder), files)
    source.check()
    # a single slice says nothing about the distance to the next: only a stack file can state a voxel size
    return source, tiff_scale(files[0]) if len(files) == 1 else StatedScale()


def _open_nrrd(path: Path) -> Opened:
    header = read_nrrd_header(path)
    z, y, x = header.shape
    size = cubic_voxel_mm(str(path), header.spacing, header.length_unit) if header.spacing else None
    return NumpyFrames(path, z, (y, x), header.dtype, header.data_offset), StatedScale(
        size, header.value_unit
    )


def _open_hdf5(path: Path, dataset: str | None) -> Opened:
    source = hdf5_frames(path, dataset or _only_dataset(path))
    location = source.label
    with opened(source.files[0]) as root:
        attributes = dict(root[location.rsplit(": ", 1)[1]].attrs)
    return source, hdf5_scale(location, attributes)


def _only_dataset(path: Path) -> str:
    """Return the three-dimensional dataset of a file that has one."""
    with opened(path) as root:
        names = [name for name in dataset_names(root) if getattr(root.get(name), "ndim", 0) == 3]
    if len(names) != 1:
        found = ", ".join(names[:8]) or "none"
        raise InputError(
            f"{path}: found three-dimensional datasets: {found}; set dataset to the one with the volume"
        )
    return names[0]


@dataclass(frozen=True)
class _ZarrSlices:
    """Slices of a zarr array whose axes before the last three have length 1 (time, channel)."""

    label: str
    path: Path
    array: Any

    @property
    def count(self) -> int:
        return int(self.array.shape[-3])

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.array.shape[-2]), int(self.array.shape[-1])

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(sorted(file for file in self.path.rglob("*") if file.is_file()))

    @property
    def names(self) -> None:
        return None

    def read(self, indices: Indices) -> Frames:
        first, stop = int(indices.min()), int(indices.max()) + 1
        leading = (0,) * (len(self.array.shape) - 3)
        block = read_part(self.array, (*leading, slice(first, stop)), self.label)
        return block[indices - first].astype(np.float32)

    def check(self) -> None:
        """Nothing to look at beyond the description, which was read on opening."""


def _open_zarr(path: Path, dataset: str | None) -> Opened:
    import zarr

    try:
        node: Any = zarr.open(str(path), mode="r")
        node = node[dataset] if dataset else node
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as Zarr, dataset {dataset!r} ({first_line(error)})"
        ) from None
    label = f"{path}: {dataset}" if dataset else str(path)
    array, stated = (
        (node, _attribute_scale(label, node)) if isinstance(node, zarr.Array) else _ome_level(label, node)
    )
    if array.dtype.kind not in "uif":
        raise InputError(f"{label}: found values of type {array.dtype}, expected whole or real numbers")
    if len(array.shape) < 3 or any(n != 1 for n in array.shape[:-3]) or 0 in array.shape:
        raise InputError(
            f"{label}: found shape {array.shape}, expected (z, y, x), time and channel of length 1 at most"
        )
    return _ZarrSlices(label, path, array), stated


def _ome_level(label: str, group: Any) -> tuple[Any, StatedScale]:
    """Return the finest level of an OME-Zarr image, or the only array of a group."""
    attributes = group.attrs.asdict()
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if multiscales:
        array = group[multiscales[0]["datasets"][0]["path"]]
        scale = ome_zarr_scale(label, multiscales[0], 0)
        return array, StatedScale(scale.voxel_size_mm, _attribute_scale(label, group).unit)
    arrays = dict(group.arrays())
    if len(arrays) != 1:
        found = ", ".join(sorted(arrays)[:8]) or "no arrays"
        raise InputError(
            f"{label}: found a Zarr group with {found}; set dataset to the array with the volume"
        )
    array = next(iter(arrays.values()))
    return array, _attribute_scale(label, array)


def _attribute_scale(label: str, node: Any) -> StatedScale:
    return hdf5_scale(label, node.attrs.asdict())


def _is_own_image(path: Path) -> bool:
    """Whether a folder is an image that deltamu wrote, so that its own reader can check it."""
    try:
        return b'"deltamu"' in (path / METADATA).read_bytes() and (path / "0" / METADATA).is_file()
    except OSError:
        return False


def _chosen_size(path: Path, given: float | None, stated: StatedScale) -> tuple[float, tuple[str, ...]]:
    if given is None and stated.voxel_size_mm is None:
        raise InputError(f"{path}: voxel_size_mm is missing and the file does not state it; set it in mm")
    if given is None:
        size = check_voxel_size(float(stated.voxel_size_mm or 0), str(path))
        return size, (f"voxel size {size:g} mm as stated in the file",)
    size = check_voxel_size(given, str(path))
    if stated.voxel_size_mm is not None and abs(stated.voxel_size_mm - size) > 1e-3 * size:
        return size, (f"voxel size {size:g} mm as given; the file states {stated.voxel_size_mm:g} mm",)
    return size, ()


def _known_unit(text: str | None, voxel_size_mm: float) -> str | None:
    """Return a unit that a file states, None when it means nothing here ('Gray Value')."""
    try:
        return text if text and value_unit(text, voxel_size_mm) else None
    except InputError:
        return None


def _unit_notes(written: str, known: str, factor: float) -> tuple[str, ...]:
    if factor == 1.0:
        return ()
    return (f"values in {written} were multiplied by {factor:g} to be in {known}",)
