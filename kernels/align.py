"""Normal equations of a rigid registration, summed over the voxels of a mask."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels import _cpu
from deltamu.kernels.warp import as_volume

Float = NDArray[np.float64]

_UPPER = np.triu_indices(6)


@dataclass(frozen=True)
class NormalEquations:
    """Sums over voxels that say how to move, in the order translation (z, y, x), rotation (z, y, x).

    Attributes
    ----------
    hessian : (6, 6) array
        Sum of the outer products of the score's derivatives: noise in the gradients adds to it.
    cross : (6, 6) array
        The same between the two volumes' gradients: noise that the volumes do not share averages out of it,
        so it is the curvature that the structure alone provides.
    bundle_scores : (z, y, x, 6) array
        Gradient of half the cost, summed over cubes of 8 voxels: their scatter is what noise does to it.
    weight, robust_weight : float
        Mask weight that fell inside the moving volume; what of it the influence function kept.
    mean_reference, mean_moving, var_reference, var_moving, covariance, residual_ms : float
        Moments of the values with the robust weights, and of the residual.
    """

    hessian: Float
    cross: Float
    bundle_scores: Float
    weight: float
    robust_weight: float
    mean_reference: float
    mean_moving: float
    var_reference: float
    var_moving: float
    covariance: float
    residual_ms: float

    @property
    def score(self) -> Float:
        """Gradient of half the cost, (6,)."""
        total: Float = self.bundle_scores.sum(axis=(0, 1, 2))
        return total


def normal_equations(
    reference: NDArray[np.float32],
    moving: NDArray[np.float32],
    weights: NDArray[np.float32],
    affine: ArrayLike,
    *,
    rotation: ArrayLike,
    spacing: ArrayLike,
    center: ArrayLike,
    gain: float = 1.0,
    offset: float = 0.0,
    cut: float = math.inf,
    redescending: bool = True,
    moving_share: float = 0.5,
) -> NormalEquations:
    """Sum the normal equations of `gain` x moving(T x) + `offset` - reference(x) over the mask.

    Parameters
    ----------
    reference, moving : (z, y, x) float32 arrays
        Voxels that are not finite do not count.
    weights : (z, y, x) float32 array
        On the reference grid, 0 to 1.
    affine : (3, 4) array
        The motion as a map from reference index to moving index.
    rotation : (3, 3) array
        The rotation of the motion on (z, y, x) vectors.
    spacing : (3,) array
        Voxel size along (z, y, x); the unit of the motion's translation.
    center : (3,) array
        Reference index about which the motion turns.
    cut : float
        Residual at which a voxel loses influence: wholly (Tukey's biweight) or in part (Huber).
    redescending : bool
        Tukey, otherwise Huber.
    moving_share : float
        0.5 is the efficient second-order method (Benhimane and Malis 2004): the mean of both gradients, which
        converges from far. With 0 the gradient is the reference's alone; the noise of a central difference is
        independent of the noise of its own voxel, so that noise does not shift the solution.
    """
    rows = _cpu.normal_equations(
        as_volume(reference, "reference"),
        as_volume(moving, "moving"),
        as_volume(weights, "weights"),
        *(np.ascontiguousarray(values, np.float64) for values in (affine, rotation, spacing, center)),
        gain,
        offset,
        cut,
        redescending,
        moving_share,
    )
    return _from_bundles(rows)


def _from_bundles(rows: Float) -> NormalEquations:
    total = rows.sum(axis=(0, 1, 2))
    robust, f, m, ff, mm, fm, rr, weight = total[48:56]
    norm = 1 / robust if robust > 0 else 0.0
    return NormalEquations(
        hessian=_symmetric(total[:21]),
        cross=_symmetric(total[21:42]),
        bundle_scores=rows[..., 42:48],
        weight=float(weight),
        robust_weight=float(robust),
        mean_reference=float(f * norm),
        mean_moving=float(m * norm),
        var_reference=float(max(ff * norm - (f * norm) ** 2, 0.0)),
        var_moving=float(max(mm * norm - (m * norm) ** 2, 0.0)),
        covariance=float(fm * norm - f * m * norm**2),
        residual_ms=float(rr * norm),
    )


def _symmetric(upper: Float) -> Float:
    matrix = np.zeros((6, 6))
    matrix[_UPPER] = upper
    return matrix + np.triu(matrix, 1).T
