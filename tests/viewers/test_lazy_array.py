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


def read_by(source, work):
    before = source.read
    work()
    return source.read - before


def test_a_drag_reads_one_row_of_chunks_ahead_in_its_direction():
    source, array = lazy(shape=(8, 4, 5), chunks=(2, 4, 5))
    plane, row = 4 * 5, 2 * 4 * 5

    def show(z):
        np.testing.assert_array_equal(array[z], source.values[z])
        array.cache.wait()

    assert read_by(source, lambda: show(2)) == plane + row
    # the first plane out of the cache has no direction yet
    assert read_by(source, lambda: show(2)) == 0
    assert read_by(source, lambda: show(3)) == row
    # the row that was read ahead, and the one after it
    assert read_by(source, lambda: show(4)) == row
    assert read_by(source, lambda: show(5)) == 0
    # the last row has none after it, and those before are known but for the first
    assert read_by(source, lambda: [show(z) for z in (6, 7, 6, 5, 4)]) == 0
    assert read_by(source, lambda: show(3)) == row


def test_a_jump_reads_nothing_ahead():
    source, array = lazy(shape=(80, 4, 5), chunks=(2, 4, 5))
    for z in (0, 40):
        array[z]
        array.cache.wait()
    assert read_by(source, lambda: (array[0], array[40], array.cache.wait())) == 0


def test_a_frame_that_is_a_chunk_is_read_once():
    source, array = lazy(shape=(8, 4, 5), chunks=(1, 4, 5))
    assert read_by(source, lambda: (array[3], array.cache.wait())) == 4 * 5


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


def test_a_cleared_cache_is_empty():
    cache = ChunkCache(1 << 10)
    cache.put("a", np.zeros(10))
    cache.step_to("a", 3)
    cache.clear()
    assert cache.get("a") is None
    assert (cache.nbytes, cache.step_to("a", 5)) == (0, 0)


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = ChunkCache(8)
    cache.put("a", np.zeros(10))
    assert cache.get("a") is None
    assert cache.nbytes == 0
