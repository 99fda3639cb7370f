"""Flashes against the definition in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from deltamu.kernels.flashes import find_flashes


def defined(frame, before, after, variance, once, twice):
    flags = np.zeros(frame.shape, bool)
    for level, threshold in ((np.maximum(before, after), once), (np.minimum(before, after), twice)):
        excess = np.maximum(frame - level, 0)
        allowed = variance[0] + variance[1] * np.maximum(level, 0)
        seeds = excess**2 > np.float32(threshold**2) * allowed
        beside = maximum_filter(seeds, 3, mode="constant")
        flags |= seeds | (beside & (4 * excess**2 > np.float32(threshold**2) * allowed))
    return flags


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 19), columns=st.integers(1, 37), seed=st.integers(0, 1000), once=st.floats(1.0, 4.0)
)
def test_as_defined(rows, columns, seed, once):
    rng = np.random.default_rng(seed)
    frame, before, after = rng.normal(0.5, 0.4, (3, rows, columns)).astype(np.float32)
    variance = (rng.random((rows, columns)) * 0.01, rng.random((rows, columns)) * 0.1)
    variance = tuple(v.astype(np.float32) for v in variance)
    found = find_flashes(frame, before, after, variance, once=once, twice=1.6 * once)
    np.testing.assert_array_equal(found, defined(frame, before, after, variance, once, 1.6 * once))


def test_what_does_not_fit_is_refused():
    frame, smaller = np.zeros((4, 5), np.float32), np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match="one shape"):
        find_flashes(frame, frame, smaller, (frame, frame), once=5, twice=8)
    with pytest.raises(ValueError, match="positive standard deviations"):
        find_flashes(frame, frame, frame, (frame, frame), once=0, twice=8)
