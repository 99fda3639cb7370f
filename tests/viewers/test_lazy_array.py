"""A lazy array gives what the array on disk holds, and reads no more than it must."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.viewers.chunk_cache import ChunkCache
from deltamu.viewers.lazy_array import LazyArray


class Counting:
    """An array that counts the voxels that are read."""

    def __init__(self, values):
        self.values, self.read = values, 0

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)

    def __getitem__(self, key):
        part = self.values[key]
        self.read += part.size
        return part


def lazy(shape=(7, 9, 11), chunks=(2, 4, 5), capacity=1 << 20):
    source = Counting(np.arange(np.prod(shape), dtype=np.float32).reshape(shape))
    return source, LazyArray(source, chunks, "a", cache=ChunkCache(capacity))


def keys(length):
    whole = st.integers(-length, length - 1)
    return st.one_of(whole, st.slices(length))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([1 << 20, 500, 0]))
def test_indexing_is_that_of_numpy_whatever_the_cache(data, capacity):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    chunks = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    source, array = lazy(shape, chunks, capacity)
    for _ in range(3):
        key = tuple(data.draw(keys(n)) for n in shape[: data.draw(st.integers(1, 3))])
        np.testing.assert_array_equal(np.asarray(array[key]), source.values[key])


def test_a_part_is_lazy_and_its_parts_are_right():
    source, array = lazy()
    part = array[:, 2:8, 1:][1:]
    assert source.read == 0
    assert part.shape == (6, 6, 10)
    np.testing.assert_array_equal(part[3], source.values[1:, 2:8, 1:][3])
    np.testing.assert_array_equal(array[..., 4], source.values[..., 4])


def test_a_plane_is_read_alone_and_its_neighbours_come_from_chunks():
    source, array = lazy()
    array[2, :4, :5]
    array.cache.wait()
    assert source.read == 4 * 5 + 2 * 4 * 5
    np.testing.assert_array_equal(array[3, :4, :5], source.values[3, :4, :5])
    assert source.read == 4 * 5 + 2 * 4 * 5


def test_a_box_reads_its_chunks_once():
    source, array = lazy()
    np.asarray(array[2:4, :4, :5])
    np.asarray(array[2:4, 1:3, :5])
    assert source.read == 2 * 4 * 5


def test_outside_is_an_error():
    with pytest.raises(IndexError):
        lazy()[1][7]


def test_the_cache_forgets_what_was_not_used_for_longest():
    cache = ChunkCache(3 * 80)
    for key in "abc":
        cache.put(key, np.zeros(10))
    cache.get("a")
    cache.put("d", np.zeros(10))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.nbytes == 240


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = ChunkCache(8)
    cache.put("a", np.zeros(10))
    assert cache.get("a") is None
    assert cache.nbytes == 0
