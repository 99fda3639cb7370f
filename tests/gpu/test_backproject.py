"""Back-projection of views: device against CPU."""

import numpy as np
import pytest

from deltamu.kernels.backproject import add_views


def orbit(views, shape, detector, *, distance=None):
    """Views about the middle of a volume, somewhat tilted; every voxel is seen well inside the detector."""
    angles = np.linspace(0.1, 3.3, views)
    x, y, z = ((n - 1) / 2 for n in reversed(shape))
    across = np.stack([np.cos(angles), np.sin(angles), np.full(views, 0.02)], axis=1)
    up = np.stack([np.full(views, 0.01), np.zeros(views), np.ones(views)], axis=1)
    seen = np.stack([across, up], axis=1)
    seen = np.concatenate([seen, -(seen @ [x, y, z])[..., None]], axis=2)
    middle = (np.array(detector[::-1]) - 1) / 2
    if distance is None:
        seen[:, :, 3] += middle
        return seen
    toward = np.stack([-np.sin(angles), np.cos(angles), np.zeros(views)], axis=1) / distance
    w = np.concatenate([toward, 1 - (toward @ [x, y, z])[:, None]], axis=1)[:, None]
    return np.concatenate([seen + middle[:, None] * w, w], axis=1)


@pytest.mark.parametrize("distance", [None, 60.0])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_same_sum_as_on_the_cpu(device, agree, distance, storage):
    rng = np.random.default_rng(3)
    # more views than a block takes at a time; sides that no block divides
    shape, detector, views = (9, 6, 35), (17, 52), 70
    matrices = orbit(views, shape, detector, distance=distance)
    data = rng.normal(size=(views, *detector)).astype(np.float32)
    start = rng.normal(size=shape).astype(np.float32)
    expected, found = start.copy(), device.asarray(start)
    add_views(expected, data, matrices, storage=storage)
    add_views(found, device.asarray(data), matrices, storage=storage)
    # positions in 32 bits: 50 columns have steps of 4e-6
    agree(found, expected, 1e-5)


def test_sixteen_bits_cost_what_is_stated():
    """Each value is off by at most 2**-11 of itself, so the sum is by that of the sum of magnitudes."""
    rng = np.random.default_rng(4)
    shape, detector, views = (9, 6, 35), (17, 52), 70
    matrices = orbit(views, shape, detector)
    for factor in (1.0, 1e-7, 1e9):  # far beyond what 16 bits hold by themselves
        data = (factor * rng.normal(size=(views, *detector))).astype(np.float32)
        exact, magnitudes, rounded = (np.zeros(shape, np.float32) for _ in range(3))
        add_views(exact, data, matrices)
        add_views(magnitudes, abs(data), matrices)
        add_views(rounded, data, matrices, storage="float16")
        assert np.all(abs(rounded - exact) <= (2**-11 + 1e-6) * magnitudes)
        assert abs(rounded - exact).max() > 0


def test_unseen_voxels_are_unknown_there_too(device, agree):
    matrices = np.array([[[1.0, 0, 0, -1.0], [0, 0, 0.4, -0.8]]])
    view = np.arange(1, 7, dtype=np.float32).reshape(1, 2, 3)
    expected, found = np.zeros((6, 1, 5), np.float32), device.zeros((6, 1, 5), np.float32)
    add_views(expected, view, matrices)
    add_views(found, device.asarray(view), matrices)
    assert np.isnan(expected).any()
    agree(found, expected, 1e-6)


def test_voxels_behind_the_source_are_unknown_there_too(device, agree):
    matrices = np.array([[[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -0.4, 0, 1.0]]])
    view = np.ones((1, 4, 4), np.float32)
    expected, found = np.zeros((1, 6, 1), np.float32), device.zeros((1, 6, 1), np.float32)
    add_views(expected, view, matrices)
    add_views(found, device.asarray(view), matrices)
    assert np.isnan(expected).sum() == 3
    agree(found, expected, 1e-6)


def test_arrays_of_both_kinds_are_refused(device):
    with pytest.raises(ValueError, match="volume in numpy, views in cupy"):
        add_views(np.zeros((1, 1, 1), np.float32), device.zeros((1, 2, 2), np.float32), np.ones((1, 2, 4)))
