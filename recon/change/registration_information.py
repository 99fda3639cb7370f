"""What a pair of volumes tells about each of the six motions, and with which uncertainty."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from deltamu.kernels.align import NormalEquations
from deltamu.recon.change.gauss_newton import Motion, free_directions

Float = NDArray[np.float64]

PARAMETERS = (
    "translation_z",
    "translation_y",
    "translation_x",
    "rotation_z",
    "rotation_y",
    "rotation_x",
)

# a direction that noise leaves open by more than this many voxels (one standard deviation) is not determined
_OPEN_VOXELS = 0.25
# nor is one with less than this share of the information of the best one: sampling artefacts look like that
_LEAST_SHARE = 1e-3
# what sampling and splines leave of a displacement without any noise, voxels of the level: cells in 10 poses
_SAMPLING_VOXELS = 0.003
# a weak direction this close to one parameter is that parameter
_PURE = 0.85


@dataclass(frozen=True)
class Information:
    """Covariance of the motion, and the directions the data leave open.

    Attributes
    ----------
    covariance : (k, k) array
        Of the displacements in voxels (a rotation counts by the distance it moves a typical voxel of the
        mask); zero along held directions.
    open_directions : (k, n) array
        Unit vectors that the data do not determine, among those that were free.
    """

    covariance: Float
    open_directions: Float


def measure_information(
    equations: NormalEquations, motion: Motion, held: Float, *, spacing: float = 1.0
) -> Information:
    """Compare the structure that both volumes share with what noise does to the score.

    The curvature is the product of the two volumes' gradients, which noise does not add to. The score's own
    covariance is that of its sums over cubes of voxels, so noise that correlates over a few voxels is counted
    (the sandwich estimator: White, Econometrica 48, 1980), with what neighbouring cubes share of it, widened where
    few cubes tell a parameter. `spacing` is the size of a voxel of the level, to which sampling is exact.
    """
    scales = motion.scales
    structure = equations.cross * np.outer(scales, scales)
    return information_from(structure, equations.bundle_scores * scales, held, spacing=spacing)


def information_from(structure: Float, scores: Float, held: Float, *, spacing: float) -> Information:
    """Work out the information of any displacements, as `measure_information` does.

    Parameters
    ----------
    structure : (k, k) array
        Product of both volumes' gradients along the k displacements.
    scores : (z, y, x, k) array
        Sums over cubes of 8 voxels.
    held : (k, n) array
        Unit vectors along which nothing moves.
    spacing : float
        Size of a voxel of the level, in the unit of the displacements.
    """
    free = free_directions(held)
    structure = free.T @ structure @ free
    scores = scores @ free
    noise = _score_covariance(scores)
    values, vectors = np.linalg.eigh(structure)
    deviation = np.sqrt(np.einsum("ij,ik,kj->j", vectors, noise, vectors))
    known = values > np.maximum(_LEAST_SHARE * values.max(initial=0.0), deviation / _OPEN_VOXELS)
    inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T
    # variances are meant for intervals of a normal variable
    wide = _few_cubes(scores @ inverse)
    covariance = inverse @ noise @ inverse * np.outer(wide, wide)
    resolved = vectors[:, known] @ vectors[:, known].T
    covariance = free @ (covariance + (_SAMPLING_VOXELS * spacing) ** 2 * resolved) @ free.T
    return Information(covariance, named_directions(free @ vectors[:, ~known]))


def _score_covariance(scores: Float) -> Float:
    """Covariance of the sum of (z, y, x, n) scores that correlate with their neighbours, and along rings.

    How much neighbours add is one number for all parameters: a parameter that one small feature determines has
    too few cubes to tell. Rings, the noise of an open beam, hold together what lies in a row but not different
    rows: where sums over whole rows scatter more than their cubes explain, they count.
    """
    alone: Float = np.einsum("zyxi,zyxj->ij", scores, scores)
    if not np.all(np.diag(alone) > 0):
        return alone
    shared = np.einsum("zyxi,zyxi->i", scores, _with_neighbours(scores)) / np.diag(alone)
    cubes: Float = alone * max(1.0, float(np.mean(shared)))
    slabs = scores.sum(axis=(1, 2))
    return _larger(cubes, slabs.T @ slabs)


def _few_cubes(influence: Float) -> Float:
    """How much wider than a normal variable's an interval is whose width comes from few cubes, (n,).

    Student's 95 % interval with the degrees of freedom that Satterthwaite (Biometrics 2, 1946) gives a sum of
    unequal squares.
    """
    squares = influence.reshape(-1, influence.shape[-1]) ** 2
    fourth = np.sum(squares**2, axis=0)
    freedom = np.sum(squares, axis=0) ** 2 / np.where(fourth > 0, fourth, 1.0)
    return np.where(fourth > 0, special.stdtrit(np.maximum(freedom, 2.0), 0.975) / 1.96, 1.0)


def _with_neighbours(scores: Float) -> Float:
    """Sum every cube's scores with those of the 26 around it."""
    for axis in range(3):
        padded = np.pad(scores, [(1, 1) if k == axis else (0, 0) for k in range(4)])
        here = np.arange(1, padded.shape[axis] - 1)
        scores = padded.take(here - 1, axis) + padded.take(here, axis) + padded.take(here + 1, axis)
    return scores


def _larger(first: Float, second: Float) -> Float:
    """Covariance that is, in every common principal direction, the larger of two."""
    values, vectors = np.linalg.eigh(first)
    sound = values > 1e-12 * values.max()
    root = vectors[:, sound] * np.sqrt(values[sound])
    whiten = vectors[:, sound] / np.sqrt(values[sound])
    ratio, directions = np.linalg.eigh(whiten.T @ second @ whiten)
    turned = root @ directions
    larger: Float = (turned * np.maximum(ratio, 1.0)) @ turned.T
    return larger


def named_directions(directions: Float) -> Float:
    """Replace directions that are nearly one parameter by that parameter."""
    clean = []
    for direction in directions.T:
        largest = int(np.abs(direction).argmax())
        clean.append(np.eye(len(direction))[largest] if abs(direction[largest]) > _PURE else direction)
    return np.array(clean).T.reshape(len(directions), len(clean))


def parameter_names(directions: Float) -> tuple[str, ...]:
    """Parameters that have the largest part in each direction."""
    return tuple(dict.fromkeys(PARAMETERS[int(np.abs(direction).argmax())] for direction in directions.T))


def displacement_deviation(covariance: Float, motion: Motion, points: Float) -> Float:
    """Standard deviation (n,), in voxels, of where the motion takes (n, 3) reference points in voxels."""
    moves = displacements((points - motion.center) / motion.radius)
    deviation: Float = np.sqrt(np.maximum(variances(moves, covariance), 0.0))
    return deviation


def displacements(points: Float) -> Float:
    """How the six small motions, about the origin, displace points (n, 3): (3, 6, n)."""
    z, y, x = points.T
    zero, one = np.zeros_like(z), np.ones_like(z)
    return np.array(
        [
            [one, zero, zero, zero, -x, y],
            [zero, one, zero, x, zero, -z],
            [zero, zero, one, -y, z, zero],
        ]
    )


def variances(moves: Float, covariance: Float) -> Float:
    """Variance (n,) of `displacements`, summed over the three components."""
    total: Float = np.einsum("ijn,jk,ikn->n", moves, covariance, moves)
    return total
