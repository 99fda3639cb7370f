"""Total variation: device against CPU."""

import math

import numpy as np
import pytest

from deltamu.kernels.tv import tv_proximal, tv_value

SHAPE = (3, 9, 35)


def image():
    return np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.2])
def test_same_value_as_on_the_cpu(device, agree, planar, threshold):
    found = tv_value(device.asarray(image()), threshold=threshold, planar=planar)
    # lengths of differences in float32, summed in float64
    agree(found, tv_value(image(), threshold=threshold, planar=planar), 1e-6)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("support", [None, 2, 3])
def test_same_minimiser_as_on_the_cpu(device, agree, planar, support):
    rng = np.random.default_rng(2)
    mask = None if support is None else rng.random(SHAPE[3 - support :]) > 0.2
    dual = (0.3 * rng.normal(size=(2 if planar else 3, *SHAPE))).astype(np.float32)
    on_device = device.asarray(dual)
    options = {"threshold": 0.1, "planar": planar, "lower": -1.0, "upper": 1.5, "iterations": 6}
    found = tv_proximal(
        device.asarray(image()),
        0.4,
        support=None if mask is None else device.asarray(mask),
        dual=on_device,
        **options,
    )
    expected = tv_proximal(image(), 0.4, support=mask, dual=dual, **options)
    agree(found, expected, 2e-6)
    agree(on_device, dual, 2e-6)


def test_no_strength_changes_nothing(device, agree):
    bounds = {"lower": -math.inf, "upper": math.inf}
    agree(tv_proximal(device.asarray(image()), 0.0, iterations=2, **bounds), image(), 1e-6)
