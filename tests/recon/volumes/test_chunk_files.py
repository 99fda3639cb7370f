"""Our own reading and writing of chunks against zarr's."""

import numpy as np
import pytest
import zarr

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import create_stack, new_block_array, open_stack, write_block
from deltamu.recon.volumes.chunk_files import box_of

# edges that no file and no chunk divides
SHAPE = (11, 21, 37)


def made(folder, *, shards, dtype=np.float32):
    array = new_block_array(
        folder / "a", shape=SHAPE, dtype=np.dtype(dtype), chunks=(4, 8, 16), shards=shards, attributes={}
    )
    values = np.random.default_rng(3).uniform(0, 200, SHAPE).astype(dtype)
    for index in range(array.slabs):
        write_block(array, index, values[index * array.slab : (index + 1) * array.slab])
    return array, values


@pytest.mark.parametrize(
    ("shards", "dtype"),
    [(None, np.float32), ((4, 8, 16), np.float32), ((4, 16, 32), np.float32), ((8, 16, 48), np.uint8)],
)
def test_zarr_reads_what_is_written_and_the_other_way_round(tmp_path, shards, dtype):
    array, values = made(tmp_path, shards=shards, dtype=dtype)
    foreign = zarr.open_array(tmp_path / "a", mode="r+")
    np.testing.assert_array_equal(foreign[:], values)
    foreign[:] = values[::-1]
    np.testing.assert_array_equal(array[:], values[::-1])
    for key in (
        slice(2, 3),
        (slice(3, 9), slice(7, 20), slice(-5, None)),
        (slice(None), slice(5, 5)),
        4,
        (1, 2),
    ):
        np.testing.assert_array_equal(array[key], values[::-1][key])


def test_chunks_that_were_never_written_are_not_numbers(tmp_path):
    array = new_block_array(
        tmp_path / "a",
        shape=SHAPE,
        dtype=np.dtype(np.float32),
        chunks=(4, 8, 16),
        shards=(4, 16, 32),
        attributes={},
    )
    write_block(array, 1, np.ones((4, 21, 37), np.float32))
    found = array[2:6]
    assert np.isnan(found[:2]).all()
    assert (found[2:] == 1).all()
    # zarr leaves chunks out of a file when only some are set
    zarr.open_array(tmp_path / "a", mode="r+")[0:4, 0:8, 0:16] = 2.0
    found = array[0:4]
    assert (found[:, :8, :16] == 2).all()
    assert np.isnan(found[:, 8:]).all()


@pytest.mark.parametrize("place", [10, -20])
def test_a_flipped_bit_is_found(tmp_path, place):
    array, _ = made(tmp_path, shards=(4, 16, 32))
    file = tmp_path / "a/c/0/0/0"
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    with pytest.raises(InputError, match="checksum"):
        array[0:1]
    # files beside it are as they were
    array[4:8]


def test_a_file_that_was_cut_is_told(tmp_path):
    stack = create_stack(tmp_path / "s", shape=(4, 8, 16), chunks=(4, 8, 16))
    write_block(stack, 0, np.zeros((4, 8, 16), np.float32))
    file = tmp_path / "s/c/0/0/0"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match="damaged"):
        open_stack(tmp_path / "s")[:]


@pytest.mark.parametrize("key", [slice(None, None, 2), slice(5, 1, -1), ..., (slice(0, 1),) * 4, [1, 2], 3])
def test_other_keys_are_left_to_zarr(key):
    assert box_of(key, SHAPE) is None
