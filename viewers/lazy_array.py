"""Arrays that read what is shown, and remember the chunks they read."""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from operator import index as whole_number
from operator import itemgetter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.viewers.chunk_cache import SHARED, ChunkCache

Box = tuple[slice, slice, slice]
Index = tuple[int, ...]
# a request for more than this part of the cache would push out everything else: it is read past it
LARGEST_PART = 0.5


class Source(Protocol):
    """What is read from: slices come back as numpy arrays."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    def __getitem__(self, key: Any) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class LazyArray:
    """A three-dimensional array on disk, or a box of it, of which only what is asked for is read.

    Slices give another lazy array; an index of one axis reads. This is what napari needs of a level of a pyramid.

    Attributes
    ----------
    source : array-like
        Indexed by three slices of step 1.
    chunks : (z, y, x)
        What the source reads together.
    key : hashable
        Names the source in the cache.
    box : three slices, optional
        The part of the source that this array stands for; all of it by default.
    cache : ChunkCache
    """

    source: Source
    chunks: tuple[int, int, int]
    key: Hashable
    box: Box | None = None
    cache: ChunkCache = field(default=SHARED, repr=False)

    def __post_init__(self) -> None:
        if len(self.source.shape) != 3 or len(self.chunks) != 3 or min(self.chunks) < 1:
            raise ValueError(f"found shape {self.source.shape} in chunks {self.chunks}, expected three axes")

    @property
    def shape(self) -> tuple[int, ...]:
        """(z, y, x)."""
        return tuple(part.stop - part.start for part in self._box)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self.source.dtype)

    def __len__(self) -> int:
        """Length of the first axis."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all of it."""
        values = self._read(self._box)
        return values if dtype is None else values.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> "LazyArray | NDArray[Any] | Any":
        """Return a lazy part for slices of step 1, the values otherwise."""
        keys = _whole_key(key)
        if all(isinstance(k, slice) and k.step in (None, 1) for k in keys):
            return replace(self, box=self._part(keys))
        if any(not isinstance(k, slice | int | np.integer) for k in keys):
            return np.asarray(self)[tuple(keys)]
        spans = [_span(k, n) for k, n in zip(keys, self.shape, strict=True)]
        values = self._read(self._part(spans))
        return values[tuple(_within(k, n) for k, n in zip(keys, self.shape, strict=True))]

    @property
    def _box(self) -> Box:
        if self.box is not None:
            return self.box
        z, y, x = self.source.shape
        return slice(0, z), slice(0, y), slice(0, x)

    def _part(self, keys: list[Any]) -> Box:
        """Box of the source for three slices of this array."""
        z, y, x = (_shifted(k, part) for k, part in zip(keys, self._box, strict=True))
        return z, y, x

    def _read(self, box: Box) -> NDArray[Any]:
        shape = tuple(part.stop - part.start for part in box)
        if 0 in shape:
            return np.empty(shape, self.dtype)
        touched = [range(p.start // c, -(-p.stop // c)) for p, c in zip(box, self.chunks, strict=True)]
        held = self.dtype.itemsize * int(
            np.prod([len(r) * c for r, c in zip(touched, self.chunks, strict=True)], dtype=np.int64)
        )
        if held > LARGEST_PART * self.cache.capacity:
            return np.asarray(self.source[box])
        missing = self._missing(touched)
        axis = shape.index(1) if 1 in shape else None
        if missing and axis is not None and self.chunks[axis] > 1:
            # a plane is shown at once; its neighbours follow from the chunks, which take several times as long
            self.cache.fill_later(lambda: self._fill(missing))
            return np.asarray(self.source[box])
        values = np.empty(shape, self.dtype)
        fresh = self._fetch(missing) if missing else {}
        for index in product(*touched):
            self._copy(fresh[index] if index in fresh else self._chunk(index), index, values, box)
        if axis is not None:
            self._read_ahead(axis, box[axis].start, touched)
        return values

    def _missing(self, touched: list[range]) -> list[Index]:
        return [i for i in product(*touched) if self.cache.get((self.key, i)) is None]

    def _read_ahead(self, axis: int, place: int, touched: list[range]) -> None:
        """While planes are dragged through, read the next row of chunks before it is asked for."""
        step = self.cache.step_to((self.key, axis), place)
        ahead = touched[axis][0] + (1 if step > 0 else -1)
        if (
            not 0 < abs(step) <= self.chunks[axis]
            or not 0 <= ahead * self.chunks[axis] < self.source.shape[axis]
        ):
            return
        missing = self._missing([*touched[:axis], range(ahead, ahead + 1), *touched[axis + 1 :]])
        if missing:
            self.cache.fill_later(lambda: self._fill(missing))

    def _chunk(self, index: Index) -> NDArray[Any]:
        """Return a chunk, which another thread may have pushed out of the cache since."""
        chunk = self.cache.get((self.key, index))
        return self._fetch([index])[index] if chunk is None else chunk

    def _fetch(self, missing: list[Index]) -> dict[Index, NDArray[Any]]:
        """Read chunks and keep them."""
        return {index: chunk for line in _lines(missing) for index, chunk in self._fetch_line(line).items()}

    def _fill(self, missing: list[Index]) -> None:
        """Read chunks into the cache, with no more than a line of them in memory beside it."""
        for line in _lines(missing):
            self._fetch_line(line)

    def _fetch_line(self, missing: list[Index]) -> dict[Index, NDArray[Any]]:
        """Read chunks together and keep them."""
        low, high = np.min(missing, axis=0), np.max(missing, axis=0)
        corner = [int(i) * c for i, c in zip(low, self.chunks, strict=True)]
        ends = [
            min((int(i) + 1) * c, n) for i, c, n in zip(high, self.chunks, self.source.shape, strict=True)
        ]
        block = np.asarray(self.source[tuple(slice(a, b) for a, b in zip(corner, ends, strict=True))])
        found = {}
        for index in missing:
            begin = [i * c - a for i, c, a in zip(index, self.chunks, corner, strict=True)]
            found[index] = block[tuple(slice(b, b + c) for b, c in zip(begin, self.chunks, strict=True))]
            self.cache.put((self.key, index), found[index])
        return found

    def _copy(self, chunk: NDArray[Any], index: Index, values: NDArray[Any], box: Box) -> None:
        """Copy what a chunk and a box share."""
        into, out_of = [], []
        for i, c, n, part in zip(index, self.chunks, chunk.shape, box, strict=True):
            low, high = max(i * c, part.start), min(i * c + n, part.stop)
            into.append(slice(low - part.start, high - part.start))
            out_of.append(slice(low - i * c, high - i * c))
        values[tuple(into)] = chunk[tuple(out_of)]


def _lines(indices: list[Index]) -> list[list[Index]]:
    """Cut sorted indices of chunks into lines: along the first axis, or the second where the first is one chunk long."""
    axis = 0 if len({index[0] for index in indices}) > 1 else 1
    return [list(line) for _, line in groupby(indices, key=itemgetter(axis))]


def _whole_key(key: Any) -> list[Any]:
    """Write an index out for three axes."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (4 - len(keys))
    if len(keys) > 3:
        raise IndexError(f"found {len(keys)} indices, expected at most 3")
    return keys + [slice(None)] * (3 - len(keys))


def _span(key: Any, length: int) -> slice:
    """Contiguous part of an axis that an index needs."""
    if isinstance(key, slice):
        chosen = range(*key.indices(length))
        return slice(min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1) if chosen else slice(0, 0)
    at = whole_number(key)
    if not -length <= at < length:
        raise IndexError(f"index {at} is outside an axis of length {length}")
    return slice(at % length, at % length + 1)


def _within(key: Any, length: int) -> Any:
    """Index inside the span that an index needed."""
    if not isinstance(key, slice):
        return 0
    return slice(None, None, key.step)


def _shifted(key: Any, part: slice) -> slice:
    start, stop, _ = key.indices(part.stop - part.start)
    return slice(part.start + start, part.start + max(start, stop))
