"""Write volumes for Fiji, Avizo, ParaView and 3D Slicer, a slab at a time, with their voxel size."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import tifffile
from numpy.typing import NDArray

from deltamu.recon.atomic import ensure_free, replacing
from deltamu.recon.errors import InputError
from deltamu.recon.volumes.nrrd import nrrd_header
from deltamu.recon.volumes.volume import Volume

Format = Literal["tiff", "nrrd", "hdf5"]

_SLAB_BYTES = 1 << 26
# the offsets of a classic TIFF are 32 bits; leave room for its tables
_LARGEST_TIFF = (1 << 32) - (1 << 25)
_HEADROOM = 1.01


def export_volume(volume: Volume, target: str | os.PathLike[str], *, format: str = "tiff") -> Path:
    """Write a volume to one file for other programs. The file appears when it is complete.

    Parameters
    ----------
    volume : Volume
        Read a slab at a time.
    target : path-like
        The file; an existing one is replaced when the new one is complete.
    format : {"tiff", "nrrd", "hdf5"}
        "tiff": a stack that ImageJ and Fiji open with its voxel size in mm; above 4 GB an OME-BigTIFF,
        which Fiji opens through Bio-Formats.
        "nrrd": raw data behind a header, for ParaView, 3D Slicer and ITK.
        "hdf5": dataset `volume` with the attributes `element_size_um` (z, y, x), as Fiji's HDF5 plugin
        writes it, `voxel_size_mm` and `unit`.

    Returns
    -------
    Path
        The target. Values and NaN are what the volume holds; integers stay integers.

    Raises
    ------
    InputError
        If the format is unknown, or the target is a folder or cannot be written to.
    ResourceError
        If the disk is full; nothing is left behind.
    """
    writers: dict[str, Callable[[Volume, Path], None]] = {
        "tiff": write_tiff,
        "nrrd": write_nrrd,
        "hdf5": write_hdf5,
    }
    file = Path(target)
    if format not in writers:
        raise InputError(f"format: found {format!r}, expected one of {', '.join(writers)}")
    if file.is_dir():
        raise InputError(f"{file}: is a folder; expected the name of a file to write")
    ensure_free(file, int(volume.nbytes * _HEADROOM))
    with replacing(file) as temporary:
        writers[format](volume, temporary)
    return file


def write_tiff(volume: Volume, path: Path, *, largest: int = _LARGEST_TIFF) -> None:
    """Write an ImageJ stack, or an OME-BigTIFF when the data exceed `largest` bytes."""
    dtype = _exported_type(volume, ("f4", "u1", "u2"))
    size = volume.voxel_size_mm
    about = f"{volume.name}\nunit of the values: {volume.unit}\n"
    planes = (plane for slab in _slabs(volume, dtype) for plane in slab)
    options: dict[str, Any] = {"shape": volume.shape, "dtype": dtype, "photometric": "minisblack"}
    if np.prod(volume.shape, dtype=np.int64) * dtype.itemsize <= largest:
        low, high = _display_range(volume)
        metadata = {"axes": "ZYX", "spacing": size, "unit": "mm", "Info": about, "min": low, "max": high}
        with tifffile.TiffWriter(path, imagej=True, byteorder="<") as tif:
            tif.write(planes, resolution=(1 / size, 1 / size), metadata=metadata, **options)
        return
    scale = {
        f"PhysicalSize{axis}{end}": value for axis in "XYZ" for end, value in (("", size), ("Unit", "mm"))
    }
    with tifffile.TiffWriter(path, ome=True, bigtiff=True, byteorder="<") as tif:
        tif.write(
            planes, metadata={"axes": "ZYX", "Name": volume.name, "Description": about, **scale}, **options
        )


def write_nrrd(volume: Volume, path: Path) -> None:
    """Write a NRRD file with an attached header and raw data."""
    dtype = _exported_type(volume, ("f4", "f8", "u1", "u2", "i2", "i4", "u4"))
    header = nrrd_header(
        volume.shape, dtype, voxel_size_mm=volume.voxel_size_mm, unit=volume.unit, content=volume.name
    )
    with path.open("wb") as stream:
        stream.write(header)
        for slab in _slabs(volume, dtype):
            stream.write(slab.data)


def write_hdf5(volume: Volume, path: Path) -> None:
    """Write an HDF5 file with one contiguous dataset, `volume`."""
    dtype = volume.dtype.newbyteorder("<")
    offset = _reserve_dataset(volume, dtype, path)
    # not through the HDF5 library, which ends the process with a segmentation fault when the disk gets full
    with path.open("r+b") as stream:
        stream.seek(offset)
        for slab in _slabs(volume, dtype):
            stream.write(slab.data)


def _reserve_dataset(volume: Volume, dtype: np.dtype[Any], path: Path) -> int:
    """Make the file with its attributes and room for the data; return where the data begin."""
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_layout(h5py.h5d.CONTIGUOUS)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        kind, space = h5py.h5t.py_create(dtype), h5py.h5s.create_simple(volume.shape)
        data = h5py.Dataset(h5py.h5d.create(file.id, b"volume", kind, space, layout))
        data.attrs["element_size_um"] = np.full(3, volume.voxel_size_mm * 1e3)
        data.attrs["voxel_size_mm"] = volume.voxel_size_mm
        data.attrs["unit"] = volume.unit
        data.attrs["name"] = volume.name
        return int(data.id.get_offset())


def _slabs(volume: Volume, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the volume in slabs of bounded size."""
    plane = volume.shape[1] * volume.shape[2] * volume.dtype.itemsize
    # whole chunks of our own images; 16 rows keep a chunk of 32 from being read more than twice
    rows = max(16, _SLAB_BYTES // plane // 32 * 32)
    for start in range(0, volume.shape[0], rows):
        yield np.ascontiguousarray(volume[start : start + rows], dtype)


def _exported_type(volume: Volume, possible: tuple[str, ...]) -> np.dtype[Any]:
    """Return the type to write: that of the volume, or float32 where the format does not have it."""
    own = volume.dtype.newbyteorder("<")
    return own if own.str[1:] in possible else np.dtype("<f4")


def _display_range(volume: Volume) -> tuple[float, float]:
    """Grey levels for a first look, from the slice in the middle; ImageJ would take the first slice."""
    middle = np.asarray(volume[volume.shape[0] // 2], np.float32)
    finite = middle[np.isfinite(middle)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = (float(level) for level in np.percentile(finite, (0.5, 99.5)))
    return low, high if high > low else low + 1.0
