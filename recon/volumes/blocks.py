"""Arrays on disk that are written in blocks of rows of the first axis; no two blocks share a file."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from deltamu.recon.atomic import disk_errors, fsync_files
from deltamu.recon.errors import InputError
from deltamu.recon.volumes.chunk_files import ChunkLayout, box_of, chunk_layout, read_box, write_rows
from deltamu.recon.volumes.zarr_store import (
    METADATA,
    bounded_concurrency,
    create_array,
    damage_told,
    make_parent_groups,
    open_array,
    read_part,
)


@dataclass(frozen=True)
class BlockArray:
    """A zarr array whose files each belong to one block of rows.

    Attributes
    ----------
    path : Path
        Folder of the array.
    shape : tuple of int
    dtype : numpy.dtype
    file_shape : tuple of int
        Elements per file; `file_shape[0]` rows are one block.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file_shape: tuple[int, ...]
    _array: Any = field(repr=False, compare=False)

    @property
    def slab(self) -> int:
        """Rows of a block; the last one may have fewer."""
        return self.file_shape[0]

    @property
    def slabs(self) -> int:
        """Number of blocks."""
        return -(-self.shape[0] // self.slab)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Elements that are read together."""
        return tuple(self._array.chunks)

    @property
    def levels(self) -> "tuple[BlockArray, ...]":
        """The array itself: it has one level."""
        return (self,)

    @cached_property
    def _layout(self) -> ChunkLayout | None:
        """Where the chunks lie in the files; None for an array that only zarr can read."""
        return chunk_layout(self._array, self.path)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part."""
        box = box_of(key, self.shape)
        if self._layout is None or box is None:
            return read_part(self._array, key, self.path)
        with damage_told(self.path):
            return read_box(self._layout, box)


def create_stack(
    path: str | os.PathLike[str],
    *,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: DTypeLike = np.float32,
    attributes: Mapping[str, Any] | None = None,
) -> BlockArray:
    """Make, or continue, a plain array that is written in blocks of `chunks[0]` rows (line integrals).

    Parameters
    ----------
    path : path-like
        Folder of the array, for example work.zarr/pristine.
    shape : tuple of int
        (angle, row, column) for line integrals.
    chunks : tuple of int
        One file each; (32, 32, columns) for arrays written by frames and read by rows.
    dtype : numpy type
    attributes : mapping, optional
        JSON kept with the array.

    Returns
    -------
    BlockArray
        The blocks of an existing array of the same shape, chunks, type and attributes are kept.
    """
    folder = Path(path)
    kind = np.dtype(dtype)
    clipped = tuple(min(chunk, n) for chunk, n in zip(chunks, shape, strict=True))
    wanted = {"deltamu": dict(attributes or {})}
    if (folder / METADATA).exists():
        found = open_stack(folder, writable=True)
        if (found.shape, found.dtype, found.file_shape) == (shape, kind, clipped) and _attributes(
            found
        ) == wanted:
            return found
    with disk_errors(folder):
        make_parent_groups(folder)
        return new_block_array(
            folder, shape=shape, dtype=kind, chunks=clipped, shards=None, attributes=wanted
        )


def open_stack(path: str | os.PathLike[str], *, writable: bool = False) -> BlockArray:
    """Open an array made by `create_stack`.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    folder = Path(path)
    array = open_array(folder, writable=writable)
    return BlockArray(
        folder, tuple(array.shape), np.dtype(array.dtype), tuple(array.shards or array.chunks), array
    )


def new_block_array(
    folder: Path,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    attributes: Mapping[str, Any],
) -> BlockArray:
    """Make an empty array and bring its description to the disk; what was in the folder is removed."""
    if folder.exists():
        shutil.rmtree(folder)
    names = ("z", "y", "x")[-len(shape) :]
    array = create_array(
        folder,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        dimension_names=names,
        attributes=attributes,
    )
    fsync_files([folder / METADATA], root=folder.parent)
    return BlockArray(folder, shape, dtype, shards or chunks, array)


def block_rows(array: BlockArray, index: int) -> slice:
    """Rows of the first axis that a block holds."""
    if not 0 <= index < array.slabs:
        raise ValueError(f"{array.path}: found slab {index}, expected 0 to {array.slabs - 1}")
    return slice(index * array.slab, min((index + 1) * array.slab, array.shape[0]))


def block_files(array: BlockArray, index: int) -> list[Path]:
    """Files that hold a block, whether they exist or not."""
    block_rows(array, index)
    counts = [-(-n // step) for n, step in zip(array.shape[1:], array.file_shape[1:], strict=True)]
    names = product(*(range(count) for count in counts))
    return [array.path.joinpath("c", str(index), *map(str, name)) for name in names]


def delete_block(array: BlockArray, index: int) -> None:
    """Remove the files of a block."""
    block_rows(array, index)
    shutil.rmtree(array.path / "c" / str(index), ignore_errors=True)


def write_block(array: BlockArray, index: int, data: NDArray[Any]) -> list[Path]:
    """Write a whole block and return its files. Different blocks may be written by different threads.

    Raises
    ------
    ValueError
        If the shape or the type of the data does not fit.
    ResourceError
        If the disk is full.
    """
    rows = block_rows(array, index)
    expected = (rows.stop - rows.start, *array.shape[1:])
    if data.shape != expected:
        raise ValueError(f"{array.path}, slab {index}: found shape {data.shape}, expected {expected}")
    if not np.can_cast(data.dtype, array.dtype, "same_kind"):
        raise ValueError(f"{array.path}: found {data.dtype} data, expected {array.dtype}")
    files = block_files(array, index)
    values = data.astype(array.dtype, copy=False)
    with disk_errors(array.path, needed=data.size * array.dtype.itemsize), bounded_concurrency():
        if array._layout is not None:
            write_rows(array._layout, index, values)
        else:
            array._array[rows] = values
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise InputError(
            f"{missing[0]}: was removed while it was being written; is another program at work there?"
        )
    return files


def _attributes(array: BlockArray) -> dict[str, Any]:
    return dict(array._array.attrs.asdict())
