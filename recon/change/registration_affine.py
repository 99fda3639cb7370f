"""Affine refinement of a rigid registration: what a body that also stretches or shears leaves open."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.warp import warp
from deltamu.recon.change.registration import Registration
from deltamu.recon.change.registration_pyramid import Level, finest_level
from deltamu.recon.errors import InputError

Array = NDArray[np.float32]
Float = NDArray[np.float64]

_PARAMETERS = 12
# a last step that moves no point of the mask further than this, voxels, ends the search
_TOLERANCE = 0.002
# Tukey's biweight keeps 95 % of the efficiency of least squares at this many standard deviations
_TUKEY = 4.685
# residuals below this share of the contrast are no outliers, however little noise there is
_LEAST_CUT = 0.25
# edge of the cubes whose scores are compared: wide beside what ties the noise of neighbouring voxels
_CUBE = 8
# directions with less than this share of the information of the best one are not determined
_LEAST_SHARE = 1e-5


@dataclass(frozen=True)
class AffineRegistration:
    """An affine map from reference to moving coordinates.

    Attributes
    ----------
    matrix : (3, 3) array
        On (z, y, x) vectors.
    translation_mm : (3,) array
    center_mm : (3,) array
        A point p goes to matrix (p - center) + center + translation.
    strain : (3, 3) array
        Symmetric part of what the map does beside the rigid motion it started from, minus one: stretches along
        (z, y, x) on the diagonal, half the shears beside it.
    strain_standard_error : (3, 3) array
    iterations : int
    converged : bool
    """

    matrix: Float
    translation_mm: Float
    center_mm: Float
    strain: Float
    strain_standard_error: Float
    iterations: int
    converged: bool

    def apply(self, points_mm: Float) -> Float:
        """Take points (n, 3) of the reference to where the moving volume shows them."""
        moved: Float = (points_mm - self.center_mm) @ self.matrix.T + self.center_mm + self.translation_mm
        return moved


def refine_affine(
    reference: Any,
    moving: Any,
    found: Registration,
    *,
    voxel_size_mm: float,
    mask: Any | None = None,
    presmooth: float = 1.0,
    max_iterations: int = 20,
) -> AffineRegistration:
    """Let a registered body stretch and shear: 12 parameters, starting from its rigid motion.

    Parameters
    ----------
    reference, moving : (z, y, x) arrays, cm^-1
    found : Registration
        Of the same volumes, by `register`.
    voxel_size_mm : float
    mask : (z, y, x) array, optional
        As for `register`.
    presmooth : float
        Standard deviation of a Gaussian on both volumes, voxels.
    max_iterations : int

    Returns
    -------
    AffineRegistration

    Raises
    ------
    InputError
        If the data leave a stretch or a shear open.

    Notes
    -----
    Gauss-Newton on the squared difference with a gain and an offset, Tukey's biweight, the reference's gradient in
    the score and the product of both volumes' gradients as the curvature, so that noise does not shift the
    solution; errors from the scatter of the scores of cubes (White, Econometrica 48, 1980).
    """
    affine = found.transform.index_affine(voxel_size_mm, voxel_size_mm)
    level = finest_level(reference, moving, mask, affine, factors=(1, 1, 1), presmooth=presmooth)
    problem = _Problem(level, np.asarray(found.transform.center_mm) / voxel_size_mm - level.reference_start)
    rigid, iterations, step = affine, 0, np.full((3, 4), np.inf)
    while iterations < max_iterations and problem.largest_move(step) >= _TOLERANCE:
        step, errors = problem.step(affine)
        affine = _after(affine, step, problem.center + level.reference_start)
        iterations += 1
    matrix = affine[:, :3]
    center = np.asarray(found.transform.center_mm)
    deformed = np.linalg.solve(rigid[:, :3], matrix)
    return AffineRegistration(
        matrix=matrix,
        translation_mm=(affine[:, 3] + matrix @ (center / voxel_size_mm)) * voxel_size_mm - center,
        center_mm=center,
        strain=0.5 * (deformed + deformed.T) - np.eye(3),
        strain_standard_error=errors,
        iterations=iterations,
        converged=problem.largest_move(step) < _TOLERANCE,
    )


def _after(affine: Float, step: Float, center: Float) -> Float:
    """Move first by a small affine displacement about the centre, then as before."""
    small = np.eye(3) + step[:, :3]
    offset = step[:, 3] - step[:, :3] @ center
    return np.column_stack([affine[:, :3] @ small, affine[:, :3] @ offset + affine[:, 3]])


class _Problem:
    """Voxels of a level, their places about a centre, and the step that lessens their difference."""

    def __init__(self, level: Level, center: Float) -> None:
        inner = np.zeros(level.weights.shape, bool)
        inner[1:-1, 1:-1, 1:-1] = True
        self.level, self.center = level, center
        self.index = np.nonzero((level.weights > 0) & inner)
        if self.index[0].size < 8 * _PARAMETERS:
            raise InputError(
                f"mask: found {self.index[0].size} voxels above 0; expected some hundred at least"
            )
        self.places = np.column_stack([*(i - c for i, c in zip(self.index, center, strict=True))])
        self.gradient = _gradient(level.reference, self.index)
        cubes = [i // _CUBE for i in self.index]
        shape = [n // _CUBE + 1 for n in level.weights.shape]
        self.cube = np.ravel_multi_index(cubes, shape)

    def largest_move(self, step: Float) -> float:
        """How far a step moves a point of the mask at most, voxels."""
        if not np.all(np.isfinite(step)):
            return np.inf
        reach = np.abs(self.places).max(axis=0)
        return float(np.linalg.norm(np.abs(step[:, 3]) + np.abs(step[:, :3]) @ reach))

    def step(self, affine: Float) -> tuple[Float, Float]:
        """Displacement (3, 4) that lessens the difference: matrix and shift; and standard errors of the strain."""
        level = self.level
        nz, ny, nx = level.reference.shape
        moved = warp(level.moving, level.index_affine(affine), output_shape=(nz, ny, nx), order=3)
        value, slope = moved[self.index].astype(float), _gradient(moved, self.index)
        target = level.reference[self.index].astype(float)
        known = np.isfinite(value + target + slope.sum(axis=1) + self.gradient.sum(axis=1))
        weights = level.weights[self.index] * known
        for array in (value, target, slope):
            array[~known] = 0
        gradient = np.where(known[:, None], self.gradient, 0.0)
        gain, offset = _match(value, target, weights)
        residual = gain * value + offset - target
        weights = weights * _biweight(residual, target, weights)
        score = self._derivatives(gradient)
        # the common offset is fitted with the motion
        score -= (weights @ score) / weights.sum()
        curvature = (score * weights[:, None]).T @ self._derivatives(gain * slope)
        products = score * (weights * residual)[:, None]
        return self._solved(curvature, products)

    def _derivatives(self, gradient: Float) -> Float:
        """Change of every voxel with the 12 displacements, (n, 12): of each component with z, y, x, and its shift."""
        places = np.column_stack([self.places, np.ones(len(self.places))])
        found: Float = (gradient[:, :, None] * places[:, None, :]).reshape(len(places), _PARAMETERS)
        return found

    def _solved(self, curvature: Float, products: Float) -> tuple[Float, Float]:
        scales = np.tile([*np.abs(self.places).max(axis=0), 1.0], 3)
        curvature = curvature / np.outer(scales, scales)
        values = np.linalg.eigvalsh(0.5 * (curvature + curvature.T))
        if values[0] < _LEAST_SHARE * values[-1]:
            raise InputError(
                "mask: what it holds does not determine every stretch and shear; try a mask with edges in all "
                "directions, or the rigid registration"
            )
        inverse = np.linalg.inv(curvature) / scales[:, None]
        sums = np.column_stack([np.bincount(self.cube, column) for column in (products / scales).T])
        step = -inverse @ sums.sum(axis=0)
        influence = sums @ inverse.T
        return step.reshape(3, 4), _strain_error(influence.T @ influence)


def _strain_error(covariance: Float) -> Float:
    """Standard errors of the symmetric part of the displacement's matrix."""
    index = np.arange(_PARAMETERS).reshape(3, 4)[:, :3]
    together = covariance[index, index] + covariance[index.T, index.T] + 2 * covariance[index, index.T]
    return np.asarray(0.5 * np.sqrt(np.maximum(together, 0.0)), np.float64)


def _gradient(volume: Array, index: tuple[NDArray[np.intp], ...]) -> Float:
    """Central differences at some voxels, (n, 3)."""
    columns = []
    for axis in range(3):
        ahead, behind = (
            tuple(i + (side if k == axis else 0) for k, i in enumerate(index)) for side in (1, -1)
        )
        columns.append(0.5 * (volume[ahead].astype(float) - volume[behind]))
    return np.column_stack(columns)


def _match(value: Float, target: Float, weights: Float) -> tuple[float, float]:
    """Gain by the reduced major axis, which noise alike in both volumes leaves, and offset."""
    total = float(weights.sum())
    if total <= 0:
        raise InputError("moving: no voxel of the mask lies inside it")
    means = [float(weights @ v) / total for v in (value, target)]
    spread = [float(weights @ (v - m) ** 2) for v, m in zip((value, target), means, strict=True)]
    gain = (spread[1] / spread[0]) ** 0.5 if spread[0] > 0 else 1.0
    return gain, means[1] - gain * means[0]


def _biweight(residual: Float, target: Float, weights: Float) -> Float:
    used = weights > 0
    scale = 1.4826 * float(np.median(np.abs(residual[used])))
    cut = max(_TUKEY * scale, _LEAST_CUT * float(target[used].std()), 1e-30)
    kept: Float = np.maximum(1 - (residual / cut) ** 2, 0.0) ** 2
    return kept
