"""Corners of the sample stand out of a radiograph as spots do; only spots go."""

import numpy as np
import pytest

from deltamu.kernels.spots import fill_flagged, find_spots
from deltamu.recon.preprocess.spots import corner_variance

SHAPE = (40, 90)
NOISE = 0.01
THRESHOLD = 5.0
VIEWS = 24


def corner(shift):
    """Bright wedge that ends in a corner: open above row 20, darker the closer to the wall of a bore."""
    row, column = np.indices(SHAPE, dtype=float)
    wedge = np.clip(1 - np.abs(column - 45 - shift) / 25, 0, 1) ** 0.5
    return 0.4 + 0.25 * wedge * (row > 20) * (np.abs(column - 45 - shift) < 20)


def radiographs(*, spots=0, seed=1):
    """Views whose corner wanders by some pixels, and where spots were put."""
    rng = np.random.default_rng(seed)
    shifts = 3 * np.sin(np.linspace(0, np.pi, VIEWS))
    clean = np.stack([corner(shift) for shift in shifts])
    noisy = clean + NOISE * rng.standard_normal(clean.shape)
    places = [(v, *rng.integers(5, 35, 1), *rng.integers(5, 85, 1)) for v in rng.integers(0, VIEWS, spots)]
    for view, r, c in places:
        noisy[view, r : r + 2, c : c + 2] += 1.0
    return clean, noisy.astype(np.float32), places


def variance(extra=0.0):
    return np.full(SHAPE, NOISE**2, np.float32) + np.float32(extra), np.zeros(SHAPE, np.float32)


def flagged(frames, extra):
    return find_spots(frames, variance(extra), threshold=THRESHOLD)


def test_a_corner_that_stays_is_no_spot():
    _, frames, _ = radiographs()
    before = flagged(frames, 0.0).mean(axis=0)
    # without the allowance the corner is replaced in view after view
    assert before.max() > 0.3
    extra = corner_variance(frames, variance(), threshold=THRESHOLD)
    _, others, _ = radiographs(seed=2)
    mask = flagged(others, extra)
    assert mask.mean(axis=0).max() <= 2 / VIEWS
    filled = others.copy()
    fill_flagged(filled, mask)
    # what was done to the corner, averaged over the views, against the noise of that average
    assert np.abs((filled - others).mean(axis=0)).max() < 2 * NOISE / VIEWS**0.5


def test_spots_are_still_found_on_the_corner_too():
    _, frames, _ = radiographs(spots=4)
    extra = corner_variance(frames, variance(), threshold=THRESHOLD)
    _, others, places = radiographs(spots=30, seed=3)
    mask = flagged(others, extra)
    assert all(mask[view, r : r + 2, c : c + 2].all() for view, r, c in places)
    others[5, 24:26, 62:64] += 0.5
    assert flagged(others, extra)[5, 24:26, 62:64].all()


def test_spots_that_come_and_go_earn_no_allowance():
    rng = np.random.default_rng(4)
    flat = (NOISE * rng.standard_normal((VIEWS, *SHAPE))).astype(np.float32)
    for view in range(VIEWS):
        r, c = rng.integers(3, 36), rng.integers(3, 86)
        flat[view, r : r + 2, c : c + 2] += 1.0
    # 24 hits of 2 x 2 pixels on 3600: in no 5 x 5 neighbourhood do six views have one
    assert not corner_variance(flat, variance(), threshold=THRESHOLD).any()


@pytest.mark.parametrize("views", [1, 2])
def test_too_few_views_say_nothing(views):
    _, frames, _ = radiographs()
    assert not corner_variance(frames[:views], variance(), threshold=THRESHOLD).any()
