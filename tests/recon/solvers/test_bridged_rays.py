"""Rays without weight are bridged along their row, and nothing else changes."""

import numpy as np

from deltamu.recon.solvers.bridged_rays import bridge_silent_rays

VIEWS = np.tile(np.arange(8, dtype=np.float32), (3, 2, 1))


def test_silent_rays_follow_their_neighbours():
    weights = np.ones(VIEWS.shape, np.float32)
    weights[1, 0, 3:5] = 0
    spoilt = np.where(weights == 0, np.float32(99), VIEWS)
    # a row is linear here, and so is what bridges it
    np.testing.assert_array_equal(bridge_silent_rays(spoilt, weights), VIEWS)
    assert spoilt.max() == 99


def test_ends_are_continued_and_silent_rows_stay():
    weights = np.ones(VIEWS.shape, np.float32)
    weights[0, 0, :2], weights[2, 1] = 0, 0
    found = bridge_silent_rays(VIEWS, weights)
    np.testing.assert_array_equal(found[0, 0, :3], [2, 2, 2])
    np.testing.assert_array_equal(found[2, 1], VIEWS[2, 1])


def test_nothing_is_copied_where_all_rays_speak():
    assert bridge_silent_rays(VIEWS, None) is VIEWS
    assert bridge_silent_rays(VIEWS, np.ones((1, 1, 8), np.float32)) is VIEWS
