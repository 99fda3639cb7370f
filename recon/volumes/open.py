"""Open images and maps of the store; nothing is read before it is asked for."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import BlockArray, block_files, create_stack, open_stack, write_block
from deltamu.recon.volumes.image import own_attributes
from deltamu.recon.volumes.pyramid import level_origin_mm, level_scale_mm
from deltamu.recon.volumes.volume import Volume, check_voxel_size
from deltamu.recon.volumes.zarr_store import METADATA, read_metadata


def open_image(path: str | os.PathLike[str], *, level: int = 0, require_complete: bool = True) -> Volume:
    """Open an image written by deltamu.

    Parameters
    ----------
    path : path-like
        Folder of the image, for example study.zarr/states/pristine/attenuation.
    level : int
        Of the pyramid; 0 is the finest.
    require_complete : bool
        Refuse an image that is still being written, or lacks a file. Without it missing parts read as NaN
        (0 in label images).

    Returns
    -------
    Volume
        Reading a damaged part of it raises InputError.

    Raises
    ------
    InputError
        If the image is missing, damaged or incomplete, or has no such level.
    """
    folder = Path(path)
    own = own_attributes(folder)
    if require_complete and not own.get("complete"):
        raise InputError(f"{folder}: is not complete; `deltamu run` continues the run that was writing it")
    array = _open_level(folder, level)
    if require_complete:
        _check_files(array)
    size = check_voxel_size(own["voxel_size_mm"], str(folder))
    origin = level_origin_mm(size, level)
    return Volume(array, level_scale_mm(size, level), str(own["unit"]), folder.name, (origin, origin, origin))


def image_attributes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what deltamu keeps with an image: unit, voxel size, slab, provenance, whether it is complete."""
    return own_attributes(Path(path))


def count_levels(path: str | os.PathLike[str]) -> int:
    """Levels of the pyramid of an image."""
    attributes = read_metadata(Path(path), node_type="group")["attributes"]
    return len(attributes["ome"]["multiscales"][0]["datasets"])


@dataclass(frozen=True)
class Map:
    """A two-dimensional array with a scale, such as the height of a surface over (y, x).

    Attributes
    ----------
    values : (y, x) array
    pixel_size_mm : float
    unit : str
        Of the values.
    attributes : mapping
        Further JSON.
    """

    values: NDArray[Any]
    pixel_size_mm: float
    unit: str
    attributes: Mapping[str, Any]


def write_map(
    path: str | os.PathLike[str],
    values: NDArray[Any],
    *,
    pixel_size_mm: float,
    unit: str,
    attributes: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a (y, x) map as a plain zarr array with attributes, and return its files (without fsync).

    Raises
    ------
    ValueError
        If the values are not two-dimensional.
    ResourceError
        If the disk is full.
    """
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{path}: found shape {values.shape}, expected (y, x)")
    shape = (int(values.shape[0]), int(values.shape[1]))
    size = check_voxel_size(pixel_size_mm, str(path))
    content = {"unit": unit, "pixel_size_mm": size, **(attributes or {})}
    array = create_stack(path, shape=shape, chunks=shape, dtype=values.dtype, attributes=content)
    return [array.path / METADATA, *write_block(array, 0, values)]


def open_map(path: str | os.PathLike[str]) -> Map:
    """Read a map written by `write_map`.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    array = open_stack(path)
    own = read_metadata(array.path, node_type="array").get("attributes", {}).get("deltamu", {})
    if len(array.shape) != 2 or not {"unit", "pixel_size_mm"} <= own.keys():
        raise InputError(f"{array.path}: is not a map of deltamu, unit or pixel_size_mm is missing")
    _check_files(array)
    rest = {key: value for key, value in own.items() if key not in ("unit", "pixel_size_mm")}
    return Map(np.asarray(array[:, :]), float(own["pixel_size_mm"]), str(own["unit"]), rest)


def _open_level(folder: Path, level: int) -> BlockArray:
    levels = count_levels(folder)
    if not 0 <= level < levels:
        raise InputError(f"{folder}: found level {level}, expected 0 to {levels - 1}")
    array = open_stack(folder / str(level))
    if len(array.shape) != 3:
        raise InputError(f"{array.path / METADATA}: found shape {array.shape}, expected (z, y, x)")
    return array


def _check_files(array: BlockArray) -> None:
    """Refuse missing files: zarr would read them as NaN, or as label 0, without a word."""
    for index in range(array.slabs):
        for file in block_files(array, index):
            if not file.is_file():
                raise InputError(f"{file}: is missing; restore it, or `deltamu run` computes it again")
