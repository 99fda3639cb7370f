"""Profiles along a depth image."""

import numpy as np
import pytest

from deltamu.recon.change.depth_image import depth_means, sector_sums
from deltamu.recon.errors import InputError

EDGES = np.linspace(0, 1, 6)


def test_a_ramp_and_its_noise() -> None:
    """Mean, spread and error of independent noise: the classic ones."""
    rng = np.random.default_rng(1)
    depth = rng.uniform(-0.2, 1.2, (20, 60, 60))
    sector = rng.integers(0, 12, (60, 60))
    values = 2 * np.floor(depth * 5) / 5 + rng.normal(0, 0.5, depth.shape)
    parts = [sector_sums(values[k], depth[k], sector, EDGES, sectors=12) for k in (slice(0, 7), slice(7, 20))]
    found = depth_means(parts[0] + parts[1])
    expected = 0.5 / np.sqrt(found.count)
    # five sigma of a mean; the error from twelve sectors scatters by 1/sqrt(22) = 21 %
    np.testing.assert_allclose(found.mean, 2 * EDGES[:-1], atol=5 * expected.max())
    np.testing.assert_allclose(found.standard_error, expected, rtol=0.8)
    np.testing.assert_allclose(found.spread, 0.5, rtol=0.05)
    assert found.count.sum() == np.count_nonzero((depth >= 0) & (depth < 1))


def test_what_does_not_count() -> None:
    depth = np.array([0.1, 0.1, np.nan, 0.1, 5.0])
    values = np.array([1.0, np.nan, 1.0, 7.0, 1.0])
    found = depth_means(sector_sums(values, depth, np.array([0, 0, 0, -1, 0]), EDGES, sectors=3))
    assert found.count.tolist() == [1, 0, 0, 0, 0]
    assert found.mean[0] == 1.0
    assert np.isnan(found.standard_error).all()


def test_edges_must_ascend() -> None:
    with pytest.raises(InputError, match="ascending"):
        sector_sums(np.zeros(3), np.zeros(3), np.zeros(3, int), EDGES[::-1], sectors=3)
