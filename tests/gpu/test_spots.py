"""Medians and spots: device against CPU. They choose and compare values, so they agree to the last bit."""

import numpy as np
import pytest

from deltamu.kernels.spots import fill_flagged, find_spots, local_median, running_median


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(2, 7, 37), (1, 1, 1), (2, 9)])
def test_same_local_medians_as_on_the_cpu(device, agree, size, shape):
    # few different values: many are equal
    frames = np.random.default_rng(1).integers(0, 9, shape).astype(np.float32)
    agree(local_median(device.asarray(frames), size=size), local_median(frames, size=size), 0)


@pytest.mark.parametrize("window", [1, 3, 9, 41])
def test_same_running_medians_as_on_the_cpu(device, agree, window):
    lines = np.random.default_rng(2).integers(0, 30, (3, 2, 17)).astype(np.float32)
    agree(running_median(device.asarray(lines), window=window), running_median(lines, window=window), 0)


def test_an_even_window_is_refused(device):
    with pytest.raises(ValueError, match="window"):
        running_median(device.zeros((1, 4), np.float32), window=2)


def frames_with_spots():
    """An edge, a corner, noise, single hits, clusters, hits at the border and a track longer than the reach."""
    rng = np.random.default_rng(3)
    level = np.where(np.add.outer(np.arange(30), np.arange(41)) > 40, 0.9, 0.3)
    level[20:, 25:] = 0.1
    frames = level + rng.normal(0, 0.01, (3, *level.shape))
    for frame in frames:
        for row, column in rng.integers(0, level.shape, (12, 2)):
            height, width = rng.integers(1, 4, 2)
            frame[row : row + height, column : column + width] += rng.exponential(0.3)
    frames[1, 8, 5:25] += 0.5
    return frames.astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 30, 41), (1, 5, 2), (0, 8, 8)])
def test_same_spots_as_on_the_cpu(device, shape):
    frames = frames_with_spots()[: shape[0], : shape[1], : shape[2]]
    rng = np.random.default_rng(4)
    noise = [(1e-4 * rng.uniform(0.5, 2, frames.shape[1:])).astype(np.float32) for _ in range(2)]
    expected = find_spots(frames, (noise[0], noise[1]))
    found = find_spots(device.asarray(frames), (device.asarray(noise[0]), device.asarray(noise[1])))
    assert found.dtype == bool
    assert np.array_equal(found.get(), expected)
    if shape == (3, 30, 41):
        assert 50 < np.count_nonzero(expected) < 400


def test_same_values_in_place_of_spots_as_on_the_cpu(device, agree):
    """Single pixels, a hole wider than the first window, a frame that is all flagged."""
    frames = frames_with_spots()
    mask = np.random.default_rng(5).random(frames.shape) < 0.1
    mask[0, 3:16, 4:17] = True
    mask[2] = True
    on_device = device.asarray(frames)
    fill_flagged(on_device, device.asarray(mask))
    filled = frames.copy()
    fill_flagged(filled, mask)
    assert np.array_equal(filled[~mask], frames[~mask])
    agree(on_device, filled, 0)


def test_frames_and_noise_in_different_places_are_refused(device):
    frames, noise = frames_with_spots(), np.ones((30, 41), np.float32)
    with pytest.raises(ValueError, match="variance in numpy"):
        find_spots(device.asarray(frames), (noise, noise))
    with pytest.raises(ValueError, match="mask in numpy"):
        fill_flagged(device.asarray(frames), frames > 1)
