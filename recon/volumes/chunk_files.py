"""Boxes of our own arrays, read from and written to their files without an event loop.

Only arrays as `zarr_store.create_array` makes them: little-endian values, uncompressed, a CRC-32C behind every chunk,
in files of one chunk or of several with an index at the end (zarr's sharding). Zarr reads and writes them as well, at
less than half the speed: every chunk passes through tasks, queues and two copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_CHECKSUM = 4
_MISSING = 2**64 - 1
Box = tuple[slice, ...]


@dataclass(frozen=True)
class ChunkLayout:
    """Where the chunks of an array lie.

    Attributes
    ----------
    path : Path
        Folder of the array.
    shape, chunks : tuple of int
    files : tuple of int
        Elements per file, a multiple of `chunks`.
    dtype : numpy.dtype
    fill : float or int
        Of chunks that were never written.
    sharded : bool
        Whether files end with an index.
    """

    path: Path
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    files: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    sharded: bool

    @property
    def per_file(self) -> tuple[int, ...]:
        """Chunks of a file along every axis."""
        return tuple(whole // part for whole, part in zip(self.files, self.chunks, strict=True))


def chunk_layout(array: Any, path: Path) -> ChunkLayout | None:
    """Describe a zarr array, or None where it is not of our making."""
    codecs = array.metadata.codecs
    sharded = array.shards is not None
    if sharded:
        outer = codecs[0].to_dict()["configuration"] if len(codecs) == 1 else {}
        if str(getattr(outer.get("index_location"), "value", outer.get("index_location"))) != "end":
            return None
        codecs = codecs[0].codecs
    if [codec.to_dict()["name"] for codec in codecs] != ["bytes", "crc32c"] or array.dtype.byteorder == ">":
        return None
    chunks = tuple(array.chunks)
    files = tuple(array.shards or chunks)
    return ChunkLayout(
        path, tuple(array.shape), chunks, files, np.dtype(array.dtype), array.fill_value, sharded
    )


def box_of(key: Any, shape: Sequence[int]) -> Box | None:
    """Slices of a key that is made of forward slices of step 1 only; None for any other."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > len(shape) or not all(isinstance(part, slice) for part in parts):
        return None
    whole = [*parts, *[slice(None)] * (len(shape) - len(parts))]
    ranges = [part.indices(size) for part, size in zip(whole, shape, strict=True)]
    if any(step != 1 for _, _, step in ranges):
        return None
    return tuple(slice(start, max(start, stop)) for start, stop, _ in ranges)


def read_box(layout: ChunkLayout, box: Box) -> NDArray[Any]:
    """Read a box.

    Raises
    ------
    ValueError
        If a chunk or an index does not match its checksum, or a file is too short.
    OSError
        If a file cannot be read.
    """
    out = np.empty([part.stop - part.start for part in box], layout.dtype)
    if out.size == 0:
        return out
    for place in product(*(_touched(part, step) for part, step in zip(box, layout.files, strict=True))):
        _read_file(layout, place, box, out)
    return out


def _touched(part: slice, step: int) -> range:
    return range(part.start // step, (part.stop - 1) // step + 1)


def _read_file(layout: ChunkLayout, place: tuple[int, ...], box: Box, out: NDArray[Any]) -> None:
    """Read what a box takes of one file."""
    first = [at * step for at, step in zip(place, layout.files, strict=True)]
    inside = [
        slice(max(part.start - begin, 0), min(part.stop - begin, step))
        for part, begin, step in zip(box, first, layout.files, strict=True)
    ]
    chunks = list(product(*(_touched(part, step) for part, step in zip(inside, layout.chunks, strict=True))))
    try:
        file = layout.path.joinpath("c", *map(str, place)).open("rb", buffering=0)
    except FileNotFoundError:
        chunks, file = _leave_out(layout, first, chunks, box, out), None
    if file is None:
        return
    with file:
        offsets = _offsets(layout, file)
        for chunk in chunks:
            begin = [at + step * k for at, step, k in zip(first, layout.chunks, chunk, strict=True)]
            values = _read_chunk(layout, file, None if offsets is None else offsets[chunk])
            _place(layout, values, begin, box, out)


def _leave_out(
    layout: ChunkLayout, first: list[int], chunks: list[tuple[int, ...]], box: Box, out: NDArray[Any]
) -> list[tuple[int, ...]]:
    """Fill what a missing file would hold; nothing is left to read."""
    for chunk in chunks:
        begin = [at + step * k for at, step, k in zip(first, layout.chunks, chunk, strict=True)]
        _place(layout, None, begin, box, out)
    return []


def _offsets(layout: ChunkLayout, file: BinaryIO) -> NDArray[np.uint64] | None:
    """(chunk, …, 2) places and lengths of the chunks of a file; None where it is a single chunk."""
    if not layout.sharded:
        return None
    shape = (*layout.per_file, 2)
    size = 8 * int(np.prod(shape))
    file.seek(-(size + _CHECKSUM), 2)
    return np.frombuffer(_checked(file, size), "<u8").reshape(shape)


def _read_chunk(layout: ChunkLayout, file: BinaryIO, place: NDArray[np.uint64] | None) -> NDArray[Any] | None:
    """Values of a chunk; None where it was never written."""
    size = int(np.prod(layout.chunks)) * layout.dtype.itemsize
    if place is not None:
        if int(place[0]) == _MISSING:
            return None
        if int(place[1]) != size + _CHECKSUM:
            raise ValueError(f"a chunk of {int(place[1])} bytes, expected {size + _CHECKSUM}")
        file.seek(int(place[0]))
    return np.frombuffer(_checked(file, size), layout.dtype).reshape(layout.chunks)


def _checked(file: BinaryIO, size: int) -> bytes:
    """Read bytes and the checksum behind them, which must match."""
    import google_crc32c

    content, checksum = file.read(size), file.read(_CHECKSUM)
    if len(content) + len(checksum) != size + _CHECKSUM:
        raise ValueError("a file ends early")
    if google_crc32c.value(content) != int.from_bytes(checksum, "little"):
        raise ValueError("Stored and computed checksum do not match")
    return content


def write_rows(layout: ChunkLayout, index: int, rows: NDArray[Any]) -> None:
    """Write all files of the rows that one row of files holds; what lies beyond the array is filled.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    counts = [-(-size // step) for size, step in zip(layout.shape[1:], layout.files[1:], strict=True)]
    for place in product(*map(range, counts)):
        part = tuple(
            slice(at * step, (at + 1) * step) for at, step in zip(place, layout.files[1:], strict=True)
        )
        file = layout.path.joinpath("c", str(index), *map(str, place))
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb", buffering=0) as stream:
            _write_file(layout, stream, rows[(slice(None), *part)])


def _write_file(layout: ChunkLayout, stream: BinaryIO, values: NDArray[Any]) -> None:
    offsets = np.empty((*layout.per_file, 2), "<u8")
    position = 0
    for chunk in np.ndindex(layout.per_file):
        at = tuple(slice(k * step, (k + 1) * step) for k, step in zip(chunk, layout.chunks, strict=True))
        length = _write_checked(stream, _filled(layout, values[at]))
        offsets[chunk] = position, length
        position += length
    if layout.sharded:
        _write_checked(stream, offsets)


def _filled(layout: ChunkLayout, values: NDArray[Any]) -> NDArray[Any]:
    """Values of a whole chunk, contiguous; the fill value beyond the end of the array."""
    if values.shape == layout.chunks:
        return np.ascontiguousarray(values)
    whole = np.full(layout.chunks, layout.fill, layout.dtype)
    whole[tuple(slice(0, n) for n in values.shape)] = values
    return whole


def _write_checked(stream: BinaryIO, values: NDArray[Any]) -> int:
    """Write values and their checksum; return the number of bytes."""
    import google_crc32c

    content = values.reshape(-1).view(np.uint8)
    stream.write(content.data)
    stream.write(google_crc32c.value(content).to_bytes(_CHECKSUM, "little"))
    return content.size + _CHECKSUM


def _place(
    layout: ChunkLayout, values: NDArray[Any] | None, begin: list[int], box: Box, out: NDArray[Any]
) -> None:
    """Copy what a box takes of a chunk to where it belongs."""
    source, target = [], []
    for start, size, part in zip(begin, layout.chunks, box, strict=True):
        low, high = max(start, part.start), min(start + size, part.stop)
        source.append(slice(low - start, high - start))
        target.append(slice(low - part.start, high - part.start))
    out[tuple(target)] = layout.fill if values is None else values[tuple(source)]
