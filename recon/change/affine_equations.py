"""How twelve small motions of a body, six of them rigid, change what is seen, and what that says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.gauss_newton import Motion
from deltamu.recon.change.registration_information import PARAMETERS, displacements
from deltamu.recon.change.registration_offset import offset_influence
from deltamu.recon.change.registration_pyramid import Level
from deltamu.recon.change.registration_weights import kept_weights

Array = NDArray[np.float32]
Float = NDArray[np.float64]

STRAINS = ("stretch_z", "stretch_y", "stretch_x", "shear_zy", "shear_zx", "shear_yx")
AFFINE_PARAMETERS = (*PARAMETERS, *STRAINS)
# axes of every strain, in the order of their names
STRAIN_AXES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
# edge of the cubes whose scores are compared, as in the kernel of the rigid registration
_BUNDLE = 8


@dataclass(frozen=True)
class AffineEquations:
    """Normal equations of the twelve motions, less what local offsets explain.

    Attributes
    ----------
    structure : (12, 12) array
        Product of both volumes' gradients: the curvature that noise does not add to.
    score : (12,) array
        Gradient of half the cost.
    bundle_scores : (z, y, x, 12) array
        The same, summed over cubes of 8 voxels, as far as their own noise makes it: their scatter is its error.
    """

    structure: Float
    score: Float
    bundle_scores: Float

    def scaled(self, scales: Float) -> "AffineEquations":
        """Write the equations in parameters that are multiplied by `scales`."""
        return AffineEquations(
            self.structure * np.outer(scales, scales), self.score * scales, self.bundle_scores * scales
        )


def affine_displacements(points: Float) -> Float:
    """How the twelve small motions, about the origin, displace points (n, 3): (3, 12, n)."""
    strained = np.zeros((3, len(STRAINS), len(points)))
    for index, (first, second) in enumerate(STRAIN_AXES):
        strained[first, index] = points[:, second]
        strained[second, index] = points[:, first]
    return np.concatenate([displacements(points), strained], axis=1)


def displacement_matrix(motions: Float) -> Float:
    """Write twelve small motions as a displacement (3, 4): what a point about the centre is moved by, and the shift."""
    ends = affine_displacements(np.vstack([np.eye(3), np.zeros(3)]))
    moved: Float = np.einsum("akn,k->an", ends, motions)
    moved[:, :3] -= moved[:, 3:]
    return moved


def affine_equations(
    near: Level, still: Motion, weights: Array, cut: float, offset: Array
) -> AffineEquations:
    """Sum the normal equations of a moving volume that lies over the reference, plane by plane.

    Parameters
    ----------
    near : Level
        At full resolution, the moving volume laid over the reference.
    still : Motion
        At rest, about the centre of the motions, with gain and offset.
    weights : (z, y, x) array
        Of the fit, without its influence function.
    cut : float
        Residual at which a voxel loses influence.
    offset : (z, y, x) array
        Wide differences that are taken out.
    """
    kept = kept_weights(near, still, near.moving.copy(), cut) * weights
    _clear_rim(kept)
    nz, ny, nx = kept.shape
    structure = np.zeros((12, 12))
    scores = np.zeros((*(-(-n // _BUNDLE) for n in (nz, ny, nx)), 12))
    for z in range(1, nz - 1):
        _add_plane(z, near, still, kept, offset, structure, scores)
    taken = offset_influence(near, still, weights, cut, displace=affine_displacements)
    score = scores.sum(axis=(0, 1, 2))
    return AffineEquations(structure - taken.structure, score, scores - taken.bundle_scores)


def _add_plane(
    z: int, near: Level, still: Motion, kept: Array, offset: Array, structure: Float, scores: Float
) -> None:
    y, x = np.nonzero(kept[z])
    if y.size == 0:
        return
    weight = kept[z, y, x].astype(float)
    residual = still.gain * near.moving[z, y, x] + still.offset - near.reference[z, y, x] - offset[z, y, x]
    places = np.column_stack([np.full(y.size, float(z)), y, x]) - (still.center - near.reference_start)
    moves = affine_displacements(places)
    own, other = (
        np.einsum("an,akn->kn", _gradient(volume, z, y, x), moves) for volume in (near.reference, near.moving)
    )
    own *= weight
    structure += own @ (still.gain * other).T
    own *= residual
    across = scores.shape[2]
    cube = (y // _BUNDLE) * across + x // _BUNDLE
    row = scores[z // _BUNDLE].reshape(-1, 12)
    for index, products in enumerate(own):
        row[:, index] += np.bincount(cube, products, minlength=len(row))


def _gradient(volume: Array, z: int, y: NDArray[np.intp], x: NDArray[np.intp]) -> Float:
    """Central differences at some voxels of a plane, (3, n)."""
    return 0.5 * np.array(
        [
            volume[z + 1, y, x].astype(float) - volume[z - 1, y, x],
            volume[z, y + 1, x].astype(float) - volume[z, y - 1, x],
            volume[z, y, x + 1].astype(float) - volume[z, y, x - 1],
        ]
    )


def _clear_rim(weights: Array) -> None:
    """Leave out voxels that have no neighbour on one side."""
    for axis in range(3):
        along = np.moveaxis(weights, axis, 0)
        along[0] = along[-1] = 0
