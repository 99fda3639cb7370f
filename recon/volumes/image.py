"""OME-Zarr images (OME-NGFF 0.5) that are written slab by slab, all levels of the pyramid at once."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from deltamu.recon.atomic import disk_errors, fsync_files
from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import (
    BlockArray,
    block_files,
    block_rows,
    delete_block,
    new_block_array,
    open_stack,
    write_block,
)
from deltamu.recon.volumes.pyramid import (
    Reduction,
    halve,
    level_chunks,
    level_count,
    level_origin_mm,
    level_scale_mm,
    level_shape,
    level_shards,
    storage_slab,
)
from deltamu.recon.volumes.volume import check_voxel_size
from deltamu.recon.volumes.zarr_store import METADATA, make_parent_groups, read_metadata, write_group

__all__ = [
    "Image",
    "create_image",
    "delete_slab",
    "finish_image",
    "set_aside",
    "slab_files",
    "slab_rows",
    "storage_slab",
    "write_cost",
    "write_slab",
]

# what zarr holds beside the data, however small they are
_ENCODING_BYTES = 16_000_000


@dataclass(frozen=True)
class Image:
    """An image that is being written.

    Attributes
    ----------
    path : Path
        Folder of the image.
    levels : tuple of BlockArray
        The pyramid, finest first.
    voxel_size_mm, unit : float, str
    reduction : {"mean", "mode"}
        How a level becomes the next.
    """

    path: Path
    levels: tuple[BlockArray, ...]
    voxel_size_mm: float
    unit: str
    reduction: Reduction

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""
        return self.levels[0].shape

    @property
    def slab(self) -> int:
        """Rows of a slab."""
        return self.levels[0].slab

    @property
    def slabs(self) -> int:
        """Number of slabs."""
        return self.levels[0].slabs


def create_image(
    group_path: str | os.PathLike[str],
    name: str,
    *,
    shape: tuple[int, int, int],
    voxel_size_mm: float,
    unit: str,
    dtype: DTypeLike = np.float32,
    slab: int | None = None,
    reduction: Reduction | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Image:
    """Make an image, or continue one of the same shape, scale, type and slabs.

    Parameters
    ----------
    group_path : path-like
        Folder that will hold the image, for example study.zarr/states/pristine; the groups above are made.
    name : str
        Name of the image in that folder.
    shape : (z, y, x)
    voxel_size_mm : float
    unit : str
        Of the values, "cm^-1".
    dtype : numpy type
        float32 by default; uint8 for label images.
    slab : int, optional
        Rows that are written at a time, a power of two; `storage_slab(shape[0])` by default.
    reduction : {"mean", "mode"}, optional
        By default "mean" for floating point and "mode" (most frequent value) for integers, which are labels.
    attributes : mapping, optional
        JSON that is kept with the image (provenance).

    Returns
    -------
    Image
        Marked as incomplete until `finish_image`. The slabs of a continued image are kept; one of another
        shape, scale, type or slab is removed and made anew.

    Raises
    ------
    InputError
        If something that is not an image of deltamu is in the way, or it is damaged.
    ResourceError
        If the disk is full.
    """
    folder = Path(group_path) / name
    kind = np.dtype(dtype)
    rows = storage_slab(shape[0]) if slab is None else slab
    how: Reduction = reduction or ("mean" if kind.kind == "f" else "mode")
    size = check_voxel_size(voxel_size_mm, name)
    own = {"unit": unit, "voxel_size_mm": size, "slab": rows, "reduction": how, "complete": False}
    content = {"ome": _multiscales(name, size, rows, how), "deltamu": {**own, **(attributes or {})}}
    with disk_errors(folder):
        make_parent_groups(folder)
        levels = _continued_levels(folder, shape, kind, rows, own)
        if levels is None:
            shutil.rmtree(folder, ignore_errors=True)
            write_group(folder, content)
            levels = _new_levels(folder, shape, kind, rows)
        else:
            write_group(folder, content)
    return Image(folder, levels, size, unit, how)


def write_slab(
    target: Image | BlockArray,
    index: int,
    data: NDArray[Any],
    *,
    between_levels: Callable[[], None] | None = None,
) -> list[Path]:
    """Write a slab on every level and return its files; what they held before is removed first.

    Different slabs may be written by different threads at the same time. The files have not reached the disk
    when this returns (no fsync): `deltamu.recon.study.storage` sees to that.

    Parameters
    ----------
    target : Image or BlockArray
    index : int
        Slab 0 holds rows 0 to slab − 1; the last may have fewer.
    data : (rows, y, x) array
    between_levels : callable, optional
        Called after each level but the last.

    Raises
    ------
    ValueError
        If the index, the shape or the type of the data does not fit.
    ResourceError
        If the disk is full.
    """
    delete_slab(target, index)
    files: list[Path] = []
    level = data
    for k, array in enumerate(target.levels):
        if k > 0:
            if between_levels is not None:
                between_levels()
            level = halve(level, target.reduction if isinstance(target, Image) else "mean")
        files += write_block(array, index, level)
    return files


def write_cost(slab: int, side: int) -> int:
    """Bytes that `write_slab` needs beside a slab of float32: two files being encoded, and the next level."""
    return 4 * slab * side**2 + _ENCODING_BYTES


def slab_rows(target: Image | BlockArray, index: int) -> slice:
    """Rows (z) that a slab holds."""
    return block_rows(target.levels[0], index)


def slab_files(target: Image | BlockArray, index: int) -> list[Path]:
    """Files of a slab on all levels, whether they exist or not."""
    return [file for array in target.levels for file in block_files(array, index)]


def delete_slab(target: Image | BlockArray, index: int) -> None:
    """Remove the files of a slab on all levels."""
    for array in target.levels:
        delete_block(array, index)


def finish_image(image: Image) -> None:
    """Mark an image as complete; from now on `open_image` accepts it.

    Raises
    ------
    InputError
        If a file of a slab is missing.
    ResourceError
        If the disk is full.
    """
    missing = [f for index in range(image.slabs) for f in slab_files(image, index) if not f.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: is missing, so the image is not complete; write its slab before finishing"
        )
    _mark(image.path, complete=True)


def set_aside(path: Path) -> None:
    """Mark an image as incomplete, so that nobody takes it for a result; its slabs stay."""
    if own_attributes(path).get("complete"):
        _mark(path, complete=False)


def _mark(path: Path, *, complete: bool) -> None:
    attributes = read_metadata(path, node_type="group")["attributes"]
    attributes["deltamu"]["complete"] = complete
    with disk_errors(path):
        write_group(path, attributes)


def _new_levels(
    folder: Path, shape: tuple[int, int, int], kind: np.dtype[Any], slab: int
) -> tuple[BlockArray, ...]:
    levels = tuple(
        new_block_array(
            folder / str(k),
            shape=level_shape(shape, k),
            dtype=kind,
            chunks=level_chunks(shape, slab, k),
            shards=level_shards(shape, slab, k),
            attributes={},
        )
        for k in range(level_count(slab))
    )
    fsync_files([level.path / METADATA for level in levels], root=folder.parent)
    return levels


def _continued_levels(
    folder: Path, shape: tuple[int, int, int], kind: np.dtype[Any], slab: int, own: Mapping[str, Any]
) -> tuple[BlockArray, ...] | None:
    """Open the levels of an existing image that is what is wanted; None when it must be made."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    found = own_attributes(folder)
    if any(found.get(key) != value for key, value in own.items() if key != "complete"):
        return None
    paths = [folder / str(k) for k in range(level_count(slab))]
    if not all((path / METADATA).exists() for path in paths):
        return None
    levels = tuple(open_stack(path, writable=True) for path in paths)
    wanted = [(level_shape(shape, k), kind, level_shards(shape, slab, k)) for k in range(len(paths))]
    return levels if [(a.shape, a.dtype, a.file_shape) for a in levels] == wanted else None


def own_attributes(folder: Path) -> dict[str, Any]:
    """Read what deltamu keeps with an image.

    Raises
    ------
    InputError
        If the folder is not an image of deltamu.
    """
    attributes = read_metadata(folder, node_type="group").get("attributes", {})
    found = attributes.get("deltamu") if isinstance(attributes, dict) else None
    if not isinstance(found, dict) or "slab" not in found or "ome" not in attributes:
        raise InputError(
            f"{folder / METADATA}: has no attributes of a deltamu image; if it was one, it is damaged and "
            "`deltamu run --fresh` starts over, otherwise choose another output"
        )
    return found


def _multiscales(name: str, voxel_size_mm: float, slab: int, reduction: Reduction) -> dict[str, Any]:
    """The `ome` attribute of OME-NGFF 0.5: axes, per level a scale and the place of its first voxel."""
    datasets = []
    for k in range(level_count(slab)):
        scale = {"type": "scale", "scale": [level_scale_mm(voxel_size_mm, k)] * 3}
        shift = {"type": "translation", "translation": [level_origin_mm(voxel_size_mm, k)] * 3}
        datasets.append({"path": str(k), "coordinateTransformations": [scale, shift]})
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    image = {"name": name, "axes": axes, "datasets": datasets, "type": f"{reduction} of 2x2x2 blocks"}
    return {"version": "0.5", "multiscales": [image]}
