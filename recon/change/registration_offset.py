"""Differences that range more widely than an edge: taken out of a registration, and what that does to its errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.recon.change.gauss_newton import Motion
from deltamu.recon.change.registration_information import displacements
from deltamu.recon.change.registration_pyramid import Level
from deltamu.recon.change.registration_weights import kept_weights, moved

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# edge of the cube over which differences count as an offset; a shifted edge is ten times narrower
_OFFSET_RANGE = 21
# cubes whose sums stand for their voxels: small beside the range, and half a cube of the scores
_BLOCK = 4
_RANGE_BLOCKS = 5


@dataclass(frozen=True)
class OffsetInfluence:
    """What fitting a local and a common offset takes from the normal equations, in their units.

    Attributes
    ----------
    structure : (n, n) array, one row per motion
        Part of the product of both gradients that an offset explains as well as a motion.
    bundle_scores : (z, y, x, n) array
        Part of the scores of the cubes of 8 voxels that goes to the offsets.
    """

    structure: Float
    bundle_scores: Float


def local_offset(level: Level, motion: Motion, cut: float) -> Array:
    """What the moving volume has more than the reference, averaged over the mask in a wide neighbourhood.

    Residuals above `cut` have no part in it (Tukey's biweight).
    """
    residual = moved(level, motion)
    weights = kept_weights(level, motion, residual, cut)
    residual *= np.float32(motion.gain)
    residual += np.float32(motion.offset)
    residual -= level.reference
    residual[weights == 0] = 0
    residual *= weights
    norm = ndimage.uniform_filter(weights, _OFFSET_RANGE, mode="constant")
    offset: Array = ndimage.uniform_filter(residual, _OFFSET_RANGE, mode="constant")
    # a neighbourhood with hardly a voxel of the mask has no mean worth taking out
    offset /= np.maximum(norm, np.float32(1e-3))
    return offset


def offset_influence(
    near: Level,
    still: Motion,
    weights: Array,
    cut: float,
    *,
    displace: Callable[[Float], Float] = displacements,
) -> OffsetInfluence:
    """Work out how the offsets lessen what a fit of volumes that lie over each other knows of the motion.

    A shifted edge has a mean, which a local offset takes away: with U its averaging, the fit solves
    sum of w g (1 - U) r = 0. Both (1 - U) on the shifted edge and its transpose on the weighted gradient are
    formed from sums over small cubes, for U is wide.

    Parameters
    ----------
    near : Level
        The reference without offset, and the moving volume laid over it.
    still : Motion
        At rest, with gain and offset.
    weights : (z, y, x) array
        Of the fit, without its influence function.
    cut : float
        Residual at which a voxel loses influence.
    displace : callable
        How the n motions displace points (m, 3): (3, n, m); by default the six rigid ones.
    """
    moving = moved(near, still)
    kept = kept_weights(near, still, moving, cut)
    moving *= np.float32(still.gain)
    residual = _where_known(moving + np.float32(still.offset) - near.reference)
    listened = kept * weights
    moves = _block_moves(near, still, displace)
    seen = _moved_sums(near, near.reference, listened, moves)
    told = _moved_sums(near, moving, kept, moves)
    norm = np.maximum(_box(_block_sums(kept)), 1e-3 * (_BLOCK * _RANGE_BLOCKS) ** 3)
    taken = np.array([_box(part / norm) for part in seen])
    rest = _block_sums(residual * kept)
    left = rest - _box(rest) / norm * _block_sums(kept)
    structure = np.einsum("kzyx,lzyx->kl", taken, told)
    return OffsetInfluence(structure, _bundles(taken * left))


def _block_moves(near: Level, still: Motion, displace: Callable[[Float], Float]) -> Float:
    """Displacement of the middle of every cube by each of the motions, (component, motion, z, y, x)."""
    shape = _block_sums(near.weights).shape
    middle = (still.center - near.reference_origin) / near.spacing
    index = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)
    place = ((index + 0.5) * _BLOCK - 0.5 - middle) * near.spacing
    return displace(place).reshape(3, -1, *shape)


def _moved_sums(near: Level, volume: Array, weights: Array, moves: Float) -> Float:
    """Sums over cubes of the weighted change of a volume with each motion, (motion, z, y, x).

    Per voxel of the full resolution, as in the normal equations.
    """
    slopes = []
    for axis in range(3):
        slope = np.zeros_like(volume)
        ahead, here, behind = ([slice(None)] * 3 for _ in range(3))
        ahead[axis], here[axis], behind[axis] = slice(2, None), slice(1, -1), slice(None, -2)
        slope[tuple(here)] = (volume[tuple(ahead)] - volume[tuple(behind)]) * np.float32(
            0.5 / near.spacing[axis]
        )
        slopes.append(_block_sums(_where_known(slope) * weights))
    result: Float = np.einsum("azyx,akzyx->kzyx", slopes, moves)
    return result


def _where_known(values: Array) -> Array:
    """Replace what is not finite by 0, in place."""
    values[~np.isfinite(values)] = 0
    return values


def _block_sums(values: Array) -> Float:
    """Sum over cubes of _BLOCK voxels; the last ones may be cut."""
    total: NDArray[Any] = values
    for axis in range(3):
        lines = np.moveaxis(total, axis, 0)
        sums = np.zeros((-(-len(lines) // _BLOCK), *lines.shape[1:]), np.float64)
        for step in range(_BLOCK):
            part = lines[step::_BLOCK]
            sums[: len(part)] += part
        total = np.moveaxis(sums, 0, axis)
    return np.ascontiguousarray(total)


def _box(sums: Float) -> Float:
    """Sum over the cubes within the range of the offset."""
    mean: Float = ndimage.uniform_filter(sums, _RANGE_BLOCKS, mode="constant")
    return mean * _RANGE_BLOCKS**3


def _bundles(products: Float) -> Float:
    """Sum (motion, z, y, x) over cubes of 8 voxels, (z, y, x, motion)."""
    for axis in (1, 2, 3):
        products = np.add.reduceat(products, np.arange(0, products.shape[axis], 8 // _BLOCK), axis=axis)
    return np.moveaxis(products, 0, -1)
