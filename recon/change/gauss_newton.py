"""Gauss-Newton steps towards the rigid motion that makes two volumes agree."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.align import NormalEquations, normal_equations
from deltamu.kernels.warp import warp
from deltamu.recon.change.registration_pyramid import Level
from deltamu.recon.geometry import RigidTransform, from_matrix

Float = NDArray[np.float64]

# Tukey's biweight keeps 95 % of the efficiency of least squares at this many standard deviations
_TUKEY = 4.685
# residuals below this share of the contrast are never outliers, however little noise there is
_LEAST_CUT = 0.25
# values that the scale of the residuals is read from
_SCALE_SAMPLES = 50_000
# a curvature below this share of its maximum belongs to no structure at all
_SINGULAR = 1e-6


@dataclass(frozen=True)
class Motion:
    """A rigid motion in voxels of the full resolution: turn about `center`, then translate; with intensities.

    Attributes
    ----------
    rotation : (3, 3) array on (z, y, x) vectors
    translation : (3,) array, voxels
    center : (3,) array, voxels
    radius : float
        Distance that a rotation of 1 radian moves a typical voxel: makes rotations and translations alike.
    gain, offset : float
        `gain` x moving + `offset` is compared with the reference.
    """

    rotation: Float
    translation: Float
    center: Float
    radius: float
    gain: float = 1.0
    offset: float = 0.0

    @property
    def affine(self) -> Float:
        """(3, 4) map from full-resolution reference index to moving index."""
        return np.column_stack([self.rotation, self.center - self.rotation @ self.center + self.translation])

    @property
    def scales(self) -> Float:
        """Parameters of the motion per voxel of displacement."""
        return np.array([1.0, 1.0, 1.0, 1 / self.radius, 1 / self.radius, 1 / self.radius])

    def step(self, voxels: Float) -> "Motion":
        """Move first by a small motion, given as (6,) displacements in voxels, then by this one."""
        small = voxels * self.scales
        turn = RigidTransform(tuple(np.degrees(small[3:]))).matrix
        return replace(
            self, rotation=self.rotation @ turn, translation=self.translation + self.rotation @ small[:3]
        )

    def after(self, first: "Motion") -> "Motion":
        """Move first by a motion about the same centre, whose intensities are kept, then by this one."""
        return replace(
            first,
            rotation=self.rotation @ first.rotation,
            translation=self.translation + self.rotation @ first.translation,
        )

    def without_motion(self) -> "Motion":
        """Return the same intensities at rest."""
        return replace(self, rotation=np.eye(3), translation=np.zeros(3))

    def distance(self, other: "Motion") -> float:
        """Displacement between two motions about one centre, at the distance `radius` from it, voxels."""
        shift = float(np.linalg.norm(self.translation - other.translation))
        return shift + self.radius * float(np.linalg.norm(self.rotation - other.rotation)) / 2**0.5

    def transform(self, voxel_size_mm: float) -> RigidTransform:
        """Return the motion on points in mm."""
        center = self.center * voxel_size_mm
        return from_matrix(
            self.rotation,
            self.translation * voxel_size_mm,
            (float(center[0]), float(center[1]), float(center[2])),
        )


@dataclass(frozen=True)
class Fit:
    """A motion, the normal equations there, and how it was reached."""

    motion: Motion
    equations: NormalEquations
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Method:
    """How a level is fitted.

    Attributes
    ----------
    moving_share : float
        0.5 to converge from far, 0 for a solution that noise does not shift (kernels/align.py).
    redescending : bool
        Tukey's biweight, otherwise Huber's weight.
    tolerance : float
        The last step, voxels of the full resolution.
    max_iterations : int
    held : (6, n) array
        Directions (unit vectors of displacement) along which nothing moves.
    fit_gain : bool
        Otherwise the gain stays as it is and only the offset is fitted.
    """

    moving_share: float
    redescending: bool
    tolerance: float
    max_iterations: int
    held: Float
    fit_gain: bool = True


def fit_level(level: Level, start: Motion, method: Method) -> Fit:
    """Iterate to convergence twice: the scale of the residuals is read again at the first solution."""
    first = _iterate(level, start, method, influence_cut(level, start, method))
    second = _iterate(level, first.motion, method, influence_cut(level, first.motion, method))
    return replace(second, iterations=first.iterations + second.iterations)


def fit_roughly(level: Level, start: Motion, method: Method) -> Fit:
    """Iterate to convergence once: enough to tell starts apart."""
    return _iterate(level, start, method, influence_cut(level, start, method))


def _iterate(level: Level, motion: Motion, method: Method, cut: float) -> Fit:
    for iteration in range(1, method.max_iterations + 1):
        equations = equations_at(level, motion, method, cut)
        if equations.robust_weight <= 0:
            return Fit(motion, equations, iteration, False)
        step = _limited(newton_step(equations, motion, method), 2 * float(level.spacing.max()))
        motion = with_intensities(motion.step(step), equations, fit_gain=method.fit_gain)
        if np.linalg.norm(step) < method.tolerance:
            return Fit(motion, equations, iteration, True)
    return Fit(motion, equations, method.max_iterations, False)


def equations_at(level: Level, motion: Motion, method: Method, cut: float) -> NormalEquations:
    """Sum the normal equations of a level at a motion."""
    return normal_equations(
        level.reference,
        level.moving,
        level.weights,
        level.index_affine(motion.affine),
        rotation=motion.rotation,
        spacing=level.spacing,
        center=(motion.center - level.reference_origin) / level.spacing,
        gain=motion.gain,
        offset=motion.offset,
        cut=cut,
        redescending=method.redescending,
        moving_share=method.moving_share,
    )


def newton_step(equations: NormalEquations, motion: Motion, method: Method) -> Float:
    """Step (6,) in voxels of displacement, orthogonal to the directions that are held."""
    scales = motion.scales
    free = free_directions(method.held)
    curvature = free.T @ (equations.hessian * np.outer(scales, scales)) @ free
    gradient = free.T @ (equations.score * scales)
    if method.moving_share == 0:
        structure = free.T @ (equations.cross * np.outer(scales, scales)) @ free
        curvature = _structural_curvature(curvature, structure)
    values, vectors = np.linalg.eigh(curvature)
    sound = values > _SINGULAR * values.max(initial=0.0)
    inverse = np.where(sound, 1 / np.where(sound, values, 1.0), 0.0)
    step: Float = -free @ (vectors @ (inverse * (vectors.T @ gradient)))
    return step


def free_directions(held: Float) -> Float:
    """Orthonormal basis (k, k - n) of the k displacements that `held` (k, n) leaves free."""
    if held.shape[1] == 0:
        return np.eye(held.shape[0])
    complete, _ = np.linalg.qr(np.column_stack([held, np.eye(held.shape[0])]))
    basis: Float = complete[:, held.shape[1] :]
    return basis


def _structural_curvature(curvature: Float, structure: Float) -> Float:
    """Take from the curvature what is noise, direction by direction, down to a fifth of it.

    Noise in the gradients makes the curvature too large and the steps too short; the product of both volumes'
    gradients is free of it, but need not be positive.
    """
    values, vectors = np.linalg.eigh(curvature)
    sound = values > _SINGULAR * values.max(initial=0.0)
    if not sound.all():
        return curvature
    root = vectors * np.sqrt(values)
    inverse_root = vectors / np.sqrt(values)
    share, directions = np.linalg.eigh(inverse_root.T @ structure @ inverse_root)
    turned = root @ directions
    result: Float = (turned * np.clip(share, 0.2, 1.0)) @ turned.T
    return result


def _limited(step: Float, most: float) -> Float:
    length = float(np.linalg.norm(step))
    return step if length <= most else step * (most / length)


def with_intensities(motion: Motion, equations: NormalEquations, *, fit_gain: bool) -> Motion:
    """Match offset and gain, the latter by the reduced major axis: noise alike in both volumes leaves it."""
    gain = motion.gain
    if fit_gain and equations.covariance > 0 and equations.var_moving > 0:
        gain = math.sqrt(equations.var_reference / equations.var_moving)
    return replace(motion, gain=gain, offset=equations.mean_reference - gain * equations.mean_moving)


def influence_cut(level: Level, motion: Motion, method: Method) -> float:
    """Residual at which a voxel loses influence, from the spread of most of them."""
    reference, residual = _sampled_residuals(level, motion)
    if residual.size < 10:
        return math.inf
    scale = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    factor = _TUKEY if method.redescending else 1.345
    return max(factor * scale, _LEAST_CUT * float(reference.std()), 1e-30)


def _sampled_residuals(level: Level, motion: Motion) -> tuple[Float, Float]:
    """Reference values and residuals inside the mask on every n-th plane and line."""
    count = int(np.count_nonzero(level.weights))
    stride = max(1, round((count / _SCALE_SAMPLES) ** 0.5))
    affine = level.index_affine(motion.affine)
    affine[:, :2] *= stride
    weights = level.weights[::stride, ::stride]
    nz, ny, nx = weights.shape
    moving = warp(level.moving, affine, output_shape=(nz, ny, nx))
    reference = level.reference[::stride, ::stride]
    residual = motion.gain * moving + motion.offset - reference
    known = (weights > 0) & np.isfinite(residual)
    return reference[known].astype(float), residual[known].astype(float)
