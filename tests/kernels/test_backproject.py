"""Voxel-driven back-projection against scipy's interpolation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from deltamu.kernels.backproject import add_views


def expected_sum(shape, views, matrices, margin):
    z, y, x = np.indices(shape)
    total = np.zeros(shape)
    for view, matrix in zip(views.astype(float), matrices, strict=True):
        seen = np.einsum("ij,j...->i...", matrix, np.stack([x, y, z, np.ones(shape)]))
        w = seen[2] if len(matrix) == 3 else 1.0
        column, row = seen[0] / w, seen[1] / w
        clamped = np.clip(row, 0, view.shape[0] - 1)
        value = map_coordinates(view, [clamped, np.clip(column, 0, view.shape[1] - 1)], order=1)
        value = np.where((column < 0) | (column > view.shape[1] - 1), 0, value)
        total += np.where(abs(row - clamped) > margin, np.nan, value) / w**2
    return total


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 10), st.integers(1, 20), st.integers(1, 140)),
    detector=st.tuples(st.integers(1, 9), st.integers(1, 12)),
    views=st.integers(1, 4),
    cone=st.booleans(),
    seed=st.integers(0, 999),
)
def test_sums_interpolated_views(shape, detector, views, cone, seed):
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(views, 3 if cone else 2, 4)) * 0.1
    matrices[:, :2, 3] = rng.uniform(0, 9, (views, 2))
    if cone:
        # the source is far enough that no voxel is behind it
        matrices[:, 2] *= 0.01
        matrices[:, 2, 3] = 1
    data = rng.normal(size=(views, *detector)).astype(np.float32)
    volume = np.zeros(shape, np.float32)
    add_views(volume, data, matrices, row_margin=0.5)
    expected = expected_sum(shape, data, matrices, 0.5)
    # a voxel on the very edge of a view may fall on either side of it
    same = np.isclose(volume, expected, atol=1e-3, equal_nan=True)
    assert same.mean() > 0.98
    assert np.isnan(volume).mean() == pytest.approx(np.isnan(expected).mean(), abs=0.02)


def test_adds_to_what_is_there():
    matrices = np.array([[[1.0, 0, 0, 0], [0, 0, 1.0, 0]]])
    volume = np.ones((2, 1, 3), np.float32)
    view = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    add_views(volume, view, matrices)
    np.testing.assert_array_equal(volume[:, 0], view[0] + 1)


def test_what_no_view_shows_is_not_a_number():
    """Rows 0 and 1 are seen half a row beyond their centres; further out there is nothing to add."""
    matrices = np.array([[[1.0, 0, 0, 0], [0, 0, 0.4, -0.8]]])
    volume = np.zeros((6, 1, 1), np.float32)
    add_views(volume, np.ones((1, 2, 2), np.float32), matrices)
    # rows -0.8, -0.4, 0, 0.4, 0.8, 1.2
    assert np.isnan(volume[:, 0, 0]).tolist() == [True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"matrices": np.zeros((2, 2, 4))}, "matrices"),
        ({"matrices": np.full((1, 2, 4), np.inf)}, "matrices"),
        ({"row_margin": np.nan}, "row_margin"),
        ({"volume": np.zeros((1, 1, 1))}, "volume"),
        ({"views": np.zeros((1, 1), np.float32)}, "views"),
    ],
)
def test_bad_arguments_are_named(change, words):
    arguments = {
        "volume": np.zeros((1, 1, 1), np.float32),
        "views": np.zeros((1, 2, 2), np.float32),
        "matrices": np.ones((1, 2, 4)),
    } | change
    with pytest.raises(ValueError, match=words):
        add_views(**arguments)
