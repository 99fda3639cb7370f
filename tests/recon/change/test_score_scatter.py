"""What clusters and whole states say about the error of a fit."""

import numpy as np
import pytest

from deltamu.recon.change.score_scatter import score_scatter


def test_independent_scores_scatter_by_their_variance() -> None:
    rng = np.random.default_rng(0)
    scores = [rng.normal(0, 2.0, (4000, 1)) for _ in range(3)]
    found = score_scatter(scores, [np.repeat(np.arange(400), 10)] * 3)[0, 0]
    # 3 · 4000 · 2² from 400 clusters (7 % of it); three states may add to it, never take away
    assert 0.8 < found / 48_000 < 4


def test_states_that_pull_against_each_other_count() -> None:
    clusters = [np.arange(100)] * 2
    against = [np.full((100, 1), 1.0), np.full((100, 1), -1.0)]
    # sums of ±100, twice their squares for two states: in the clusters they cancel
    assert score_scatter(against, clusters)[0, 0] == pytest.approx(2 * 2 * 100**2)


def test_one_state_alone_has_its_clusters_only() -> None:
    alone = np.array([[1.0, 0.0], [-1.0, 2.0], [0.0, -2.0]])
    np.testing.assert_allclose(score_scatter([alone], [np.arange(3)]), alone.T @ alone * 3 / 2, atol=1e-12)
