"""Slab heights, levels and how a level becomes the next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.volumes.pyramid import (
    halve,
    level_chunks,
    level_count,
    level_origin_mm,
    level_shape,
    level_shards,
    storage_slab,
)


@pytest.mark.parametrize(
    ("rows", "slab"),
    [(2048, 64), (1024, 64), (1023, 32), (256, 32), (128, 32), (64, 16), (48, 8), (2, 4), (1, 4)],
)
def test_the_slab_depends_on_the_rows_alone(rows, slab):
    assert storage_slab(rows) == slab


def test_the_coarsest_slab_keeps_at_least_four_rows():
    for slab in (4, 8, 16, 32, 64):
        assert slab >> (level_count(slab) - 1) >= 4
        assert slab >> level_count(slab) < 4


@pytest.mark.parametrize("slab", [0, 2, 12, -8])
def test_slabs_that_are_no_power_of_two_are_refused(slab):
    with pytest.raises(ValueError, match="power of two"):
        level_count(slab)


def test_chunks_and_shards_of_the_design():
    shape = (1024, 1024, 1024)
    assert [level_chunks(shape, 64, k) for k in (0, 1, 4)] == [(32, 128, 128), (32, 128, 128), (4, 64, 64)]
    assert [level_shards(shape, 64, k) for k in (0, 1, 4)] == [(64, 512, 512), (32, 512, 512), (4, 64, 64)]


@given(st.tuples(st.integers(1, 9), st.integers(1, 700), st.integers(1, 700)), st.sampled_from([4, 8, 32]))
@settings(max_examples=50, deadline=None)
def test_a_shard_holds_whole_chunks(shape, slab):
    for k in range(level_count(slab)):
        chunks, shards = level_chunks(shape, slab, k), level_shards(shape, slab, k)
        assert all(shard % chunk == 0 for shard, chunk in zip(shards, chunks, strict=True))
        assert shards[1] <= 512
        assert shards[2] <= 512


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 13), st.integers(1, 13)), st.booleans(), st.integers(0, 99)
)
@settings(max_examples=60, deadline=None)
def test_the_mean_is_that_of_the_voxels_that_are_there(shape, holes, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=shape).astype(np.float32)
    if holes:
        image[rng.random(shape) < 0.5] = np.nan
    padding = [(0, n % 2) for n in shape]
    padded = np.pad(image, padding, constant_values=np.nan).astype(float)
    z, y, x = (n // 2 for n in padded.shape)
    blocks = padded.reshape(z, 2, y, 2, x, 2)
    count = np.isfinite(blocks).sum(axis=(1, 3, 5))
    expected = np.where(count, np.nansum(blocks, axis=(1, 3, 5)) / np.maximum(count, 1), np.nan)
    halved = halve(image, "mean")
    assert halved.dtype == np.float32
    assert halved.shape == level_shape(shape, 1)
    # sums of eight float32 numbers near 1
    np.testing.assert_allclose(halved, expected, atol=1e-6)


def test_the_mean_does_not_write_to_its_input():
    image = np.ones((1, 3, 3), np.float32)
    halve(image, "mean")
    assert np.all(image == 1)


def test_integers_are_averaged_without_overflow_when_asked():
    assert halve(np.full((2, 2, 2), 65535, np.uint16), "mean")[0, 0, 0] == 65535


@given(st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_labels_are_never_mixed(shape, seed):
    labels = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)
    halved = halve(labels, "mode")
    for z, y, x in np.ndindex(halved.shape):
        block = labels[2 * z : 2 * z + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].ravel()
        votes = np.bincount(block)
        assert halved[z, y, x] == max(np.flatnonzero(votes == votes.max()))


def test_a_level_sits_in_the_middle_of_its_voxels():
    # voxels 0 and 1 of 0.1 mm have their centres at 0 and 0.1: their mean belongs to 0.05
    assert level_origin_mm(0.1, 0) == 0
    assert level_origin_mm(0.1, 1) == pytest.approx(0.05)
    assert level_origin_mm(0.1, 2) == pytest.approx(0.15)
