"""Centre of rotation from the centre of mass, which moves on a sinusoid about it."""

import numpy as np

from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights

EDGE_FRACTION = 32
# a rim this bright against the brightest column means the object leaves the field
TRUNCATED = 0.05
ERROR_PX = 0.05
ROUNDS = 3


def centers_from_mass(heights: Heights) -> HeightCenters:
    """Fit c + a cos θ + b sin θ to the centre of mass of every view.

    Heights at which the object leaves the field have no answer.

    Source: S. G. Azevedo et al., IEEE Trans. Nucl. Sci. 37 (1990) 1525.
    """
    sinograms = heights.sinograms
    width = max(sinograms.shape[2] // EDGE_FRACTION, 2)
    rim = np.concatenate([sinograms[:, :, :width], sinograms[:, :, -width:]], axis=2)
    mass = sinograms.sum(axis=2)
    position = np.arange(sinograms.shape[2]) - (sinograms.shape[2] - 1) / 2
    moment = sinograms @ position
    edges = np.stack([rim[:, :, :width].mean(axis=2), rim[:, :, width:].mean(axis=2)])
    truncated = np.abs(edges).max(axis=0).mean(axis=1) > TRUNCATED * sinograms.max(axis=2).mean(axis=1)
    terms = np.column_stack([np.ones_like(heights.angles), np.cos(heights.angles), np.sin(heights.angles)])
    centers = np.full(len(sinograms), np.nan)
    for height in np.flatnonzero(~truncated & (mass.min(axis=1) > 0)):
        found = _robust_fit(terms, moment[height] / mass[height])
        centers[height] = found[0] + (sinograms.shape[2] - 1) / 2
    low, high = heights.search
    centers[(centers < low) | (centers > high)] = np.nan
    return HeightCenters("centre of mass", centers, np.maximum(mass.mean(axis=1), 0) ** 2, ERROR_PX)


def _robust_fit(terms: Float, values: Float) -> Float:
    """Least squares without views more than five standard deviations off."""
    keep = np.ones(len(values), bool)
    for _ in range(ROUNDS):
        found = np.linalg.lstsq(terms[keep], values[keep], rcond=None)[0]
        distance = np.abs(values - terms @ found)
        keep = distance <= max(5 * 1.4826 * float(np.median(distance)), 1e-6)
    return np.asarray(found)
