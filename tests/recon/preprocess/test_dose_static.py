"""Air beside an object that looks the same in every view."""

import numpy as np
import pytest

from deltamu.recon.preprocess.dose import find_air_columns


def test_a_wide_rod_on_the_axis_is_not_taken_for_air():
    rng = np.random.default_rng(3)
    columns = np.arange(24) - 11.5
    rod = np.exp(-0.2 * np.sqrt(np.maximum(36 - columns**2, 0)))
    views = rng.poisson(1000 * rod, (9, 8, 24)) / 1000
    for first, stop in find_air_columns(views.astype(np.float32)):
        assert np.all(rod[first:stop] == 1)


def test_air_is_found_beside_a_dark_cell():
    """Most columns lie behind an opaque cell and hardly scatter: the noise of air is not theirs."""
    rng = np.random.default_rng(4)
    level = np.ones(400)
    level[40:360] = 0.01
    views = rng.poisson(level * 60, (6, 24, 400)) / 60
    regions = find_air_columns(views.astype(np.float32))
    assert [first for first, _ in regions] == [0, pytest.approx(370, abs=6)]
    assert regions[0][1] == pytest.approx(30, abs=6)
