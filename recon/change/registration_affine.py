"""Affine refinement of a rigid registration: what a body that also stretches or shears leaves open."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.affine_equations import (
    AFFINE_PARAMETERS,
    STRAIN_AXES,
    AffineEquations,
    affine_displacements,
    affine_equations,
    displacement_matrix,
)
from deltamu.recon.change.gauss_newton import Method, Motion, equations_at, influence_cut
from deltamu.recon.change.registration import Registration, mask_points
from deltamu.recon.change.registration_information import (
    Information,
    information_from,
    variances,
)
from deltamu.recon.change.registration_offset import local_offset
from deltamu.recon.change.registration_pyramid import Level, finest_level
from deltamu.recon.change.registration_weights import (
    laid_over,
    matched_gain,
    noise_energy,
    structure_weights,
)
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform, from_affine_matrix

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# a last step that moves a typical voxel of the mask no further than this, voxels, ends the search
_TOLERANCE = 0.002
_LONGEST_STEP = 2.0
_RIGID = 6
# of a direction that the data leave open, the part of a strain from which on it is that strain that is held
_STRAIN_PART = 0.3
_ROBUST = Method(0.0, True, _TOLERANCE, 1, np.zeros((_RIGID, 0)))


@dataclass(frozen=True)
class AffineRegistration:
    """An affine motion from reference to moving coordinates, and how well the data determine it.

    Attributes
    ----------
    transform : AffineTransform
    covariance : (12, 12) array
        Of translation (z, y, x) in mm, rotation (z, y, x) in degrees and the strains zz, yy, xx, zy, zx, yx, about
        the transform's centre. Of a rigid parameter that was held, the rigid registration's.
    undetermined : tuple of str
        Parameters that neither registration determines; a strain that was held is 0.
    residual_voxel : float
        Largest standard deviation of the displacement over the mask, voxels.
    iterations : int
    converged : bool
    """

    transform: AffineTransform
    covariance: Float
    undetermined: tuple[str, ...]
    residual_voxel: float
    iterations: int
    converged: bool

    @property
    def uncertainty(self) -> dict[str, float]:
        """Standard deviation of each of the twelve parameters: mm, degrees, 1."""
        deviation = np.sqrt(np.diag(self.covariance))
        return {name: float(value) for name, value in zip(AFFINE_PARAMETERS, deviation, strict=True)}

    @property
    def volume_factor_standard_error(self) -> float:
        """Standard deviation of the volume factor: of the sum of the three stretches."""
        return float(np.sqrt(max(self.covariance[6:9, 6:9].sum(), 0.0)))

    def axial_deviation_mm(self, heights_mm: Float) -> float:
        """Largest standard deviation of the displacement along z at some heights on the axis of the mask."""
        away = np.asarray(heights_mm) - self.transform.center_mm[0]
        both = self.covariance[np.ix_([0, 6], [0, 6])]
        variance = both[0, 0] + 2 * away * both[0, 1] + away**2 * both[1, 1]
        return float(np.sqrt(max(float(variance.max()), 0.0)))

    def deviation_mm(self, points_mm: Float) -> Float:
        """Standard deviation (n,) of the displacement of points (n, 3) of the reference."""
        moves = affine_displacements(points_mm - np.asarray(self.transform.center_mm))
        units = np.concatenate([np.ones(3), np.full(3, np.pi / 180), np.ones(6)])
        found: Float = np.sqrt(np.maximum(variances(moves, self.covariance * np.outer(units, units)), 0.0))
        return found

    @property
    def strain_standard_error(self) -> Float:
        """(3, 3) array, as the strain of the transform; 0 where it was held."""
        found = np.zeros((3, 3))
        for (first, second), name in zip(STRAIN_AXES, AFFINE_PARAMETERS[_RIGID:], strict=True):
            found[first, second] = found[second, first] = self.uncertainty[name]
        return found


def refine_affine(
    reference: Any,
    moving: Any,
    found: Registration,
    *,
    voxel_size_mm: float,
    mask: Any | None = None,
    presmooth: float = 1.0,
    max_iterations: int = 40,
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
        If the mask holds no structure.

    Notes
    -----
    Gauss-Newton as the finest level of `register`: the reference's gradient in the score and the product of both
    volumes' gradients as the curvature, so that noise does not shift the solution, structure weights, Tukey's
    biweight, wide differences taken out, and errors from the scatter of the scores of cubes. What the data leave
    open is held one parameter at a time, strains first, for then a rigid motion explains as much.
    """
    affine = found.transform.index_affine(voxel_size_mm, voxel_size_mm)
    level = finest_level(reference, moving, mask, affine, factors=(1, 1, 1), presmooth=presmooth)
    problem = _Problem.of(level, affine, np.asarray(found.transform.center_mm) / voxel_size_mm)
    held: tuple[int, ...] = ()
    while True:
        held = _all_open(problem, affine, held)
        fit = problem.fit(affine, held, max_iterations)
        more = _what_is_open(problem.information(fit.equations, held), held)
        if len(more) == len(held):
            return _result(problem, fit, held, found, voxel_size_mm)
        held = more


@dataclass(frozen=True)
class _Fit:
    affine: Float
    equations: AffineEquations
    iterations: int
    converged: bool


@dataclass(frozen=True)
class _Problem:
    """A level with what its fit listens to, and how far each motion moves a typical voxel of the mask."""

    level: Level
    still: Motion
    weights: Array
    scales: Float

    @classmethod
    def of(cls, level: Level, affine: Float, center: Float) -> "_Problem":
        """Read weights and gain where the rigid motion lays the moving volume."""
        used = np.argwhere(level.weights > 0)
        if len(used) < 8 * len(AFFINE_PARAMETERS):
            raise InputError(f"mask: found {len(used)} voxels above 0; expected some hundred at least")
        places = used[:: max(1, len(used) // 10_000)] + level.reference_start - center
        scales = 1 / np.maximum(np.sqrt(np.mean(affine_displacements(places) ** 2, axis=2).sum(axis=0)), 1e-9)
        still = Motion(np.eye(3), np.zeros(3), center, 1.0)
        near = laid_over(level, affine)
        cut = influence_cut(near, still, _ROBUST)
        still = replace(still, gain=matched_gain(near, still, cut))
        noise = noise_energy(equations_at(near, still, _ROBUST, cut))
        weights = structure_weights(level, noise)
        if not np.any(weights[level.weights > 0]):
            raise InputError(
                'mask: no edge in it stands above the noise; try `model = "rigid"` or a larger mask'
            )
        return cls(level, still, weights, scales)

    def equations(self, affine: Float) -> AffineEquations:
        """Normal equations, in voxels of displacement, where a motion lays the moving volume."""
        near = laid_over(self.level, affine)
        cut = influence_cut(near, self.still, _ROBUST)
        offset = local_offset(near, self.still, cut)
        return affine_equations(near, self.still, self.weights, cut, offset).scaled(self.scales)

    def information(self, equations: AffineEquations, held: tuple[int, ...]) -> Information:
        """What the equations tell with some parameters held."""
        symmetric = 0.5 * (equations.structure + equations.structure.T)
        return information_from(
            symmetric, equations.bundle_scores, np.eye(len(AFFINE_PARAMETERS))[:, list(held)], spacing=1.0
        )

    def fit(self, affine: Float, held: tuple[int, ...], limit: int) -> _Fit:
        """Step until a typical voxel stays where it is."""
        free = [k for k in range(len(AFFINE_PARAMETERS)) if k not in held]
        for iteration in range(1, limit + 1):
            equations = self.equations(affine)
            step = np.zeros(len(AFFINE_PARAMETERS))
            step[free] = -np.linalg.solve(equations.structure[np.ix_(free, free)], equations.score[free])
            length = float(np.linalg.norm(step))
            affine = self._after(affine, step * self.scales * min(1.0, _LONGEST_STEP / max(length, 1e-30)))
            if length < _TOLERANCE:
                return _Fit(affine, equations, iteration, True)
        return _Fit(affine, equations, limit, False)

    def _after(self, affine: Float, motions: Float) -> Float:
        """Move first by small motions about the centre, then as before."""
        step = displacement_matrix(motions)
        small = np.eye(3) + step[:, :3]
        offset = step[:, 3] - step[:, :3] @ self.still.center
        return np.column_stack([affine[:, :3] @ small, affine[:, :3] @ offset + affine[:, 3]])


def _all_open(problem: _Problem, affine: Float, held: tuple[int, ...]) -> tuple[int, ...]:
    """Hold parameters, where the rigid motion ends, until the data determine the others."""
    equations = problem.equations(affine)
    while len(more := _what_is_open(problem.information(equations, held), held)) > len(held):
        held = more
    return held


def _what_is_open(information: Information, held: tuple[int, ...]) -> tuple[int, ...]:
    """Add to what is held the parameter of every direction that the data leave open."""
    named = set(held)
    for direction in np.abs(information.open_directions.T):
        strain = _RIGID + int(direction[_RIGID:].argmax())
        named.add(strain if direction[strain] > _STRAIN_PART else int(direction.argmax()))
    return tuple(sorted(named))


def _result(
    problem: _Problem, fit: _Fit, held: tuple[int, ...], rigid: Registration, voxel_size_mm: float
) -> AffineRegistration:
    center = rigid.transform.center_mm
    shift = fit.affine[:, 3] + fit.affine[:, :3] @ problem.still.center - problem.still.center
    units = np.concatenate([np.full(3, voxel_size_mm), np.full(3, 180 / np.pi), np.ones(6)]) * problem.scales
    covariance = problem.information(fit.equations, held).covariance * np.outer(units, units)
    for index in (k for k in held if k < _RIGID):
        covariance[index, index] = rigid.covariance[index, index]
    strains = tuple(AFFINE_PARAMETERS[k] for k in held if k >= _RIGID)
    result = AffineRegistration(
        transform=from_affine_matrix(fit.affine[:, :3], shift * voxel_size_mm, center),
        covariance=covariance,
        undetermined=(*rigid.undetermined, *strains),
        residual_voxel=0.0,
        iterations=fit.iterations,
        converged=fit.converged,
    )
    points = (mask_points(problem.level.weights) + problem.level.reference_start) * voxel_size_mm
    return replace(result, residual_voxel=float(result.deviation_mm(points).max()) / voxel_size_mm)
