"""Medians: device against CPU. They choose one of the values, so they agree to the last bit."""

import numpy as np
import pytest

from deltamu.kernels.spots import local_median, running_median


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
