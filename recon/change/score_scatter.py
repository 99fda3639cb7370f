"""How far the scores of a fit scatter: between clusters of columns, and between whole states.

Scores of clusters allow for texture and for noise that is correlated inside a cluster. What a model misses in the same
way everywhere cancels in their sum: it shows where the states pull against each other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def score_scatter(scores: Sequence[Float], clusters: Sequence[NDArray[np.intp]]) -> Float:
    """Sum outer products of scores, as the middle of a sandwich covariance.

    Parameters
    ----------
    scores : sequence of (sample, parameter) arrays
        Gradient of the cost by sample, one array for every state.
    clusters : sequence of (sample,) int arrays
        Cluster of every sample; the same number means the same columns in all states.

    Returns
    -------
    (parameter, parameter) array
        Of the clusters, and of the states as far as it goes beyond that.

    References
    ----------
    Liang and Zeger, Biometrika 73 (1986) 13: covariance from clusters of correlated observations.
    """
    noise = _between_clusters(scores, clusters)
    return noise + _positive_part(_between_states(scores) - noise)


def _between_clusters(scores: Sequence[Float], clusters: Sequence[NDArray[np.intp]]) -> Float:
    count = 1 + max(int(cluster.max()) for cluster in clusters)
    sums = np.zeros((count, scores[0].shape[1]))
    for score, cluster in zip(scores, clusters, strict=True):
        np.add.at(sums, cluster, score)
    return np.asarray(sums.T @ sums * (count / (count - 1)))


def _between_states(scores: Sequence[Float]) -> Float:
    sums = np.stack([score.sum(axis=0) for score in scores])
    count = len(sums)
    return np.asarray(sums.T @ sums * (count / (count - 1))) if count > 1 else np.zeros((sums.shape[1],) * 2)


def _positive_part(matrix: Float) -> Float:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
