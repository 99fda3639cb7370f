"""Fit the surfaces between layers to the columns of all states at once.

The geometry (surfaces, blur) is common to all states; the levels inside the layers are each state's own and
enter linearly, so they are eliminated state by state (variable projection: Golub and Pereyra, SIAM J. Numer.
Anal. 10, 1973; in the form of Kaufman, BIT 15, 1975). Gaussian priors on thickness and on the likeness of
the two surfaces of a layer keep the fit defined where a contrast is missing in every state.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.blurred_layers import gaussian
from deltamu.recon.change.columns import Columns
from deltamu.recon.change.score_scatter import score_scatter
from deltamu.recon.change.surface_model import (
    StateSamples,
    SurfaceModel,
    edge_contrasts,
    edge_heights,
    lateral_scale,
    level_basis,
)
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
HUBER = 1.5
# while the surfaces are still off, high powers would take what the edges leave
FIRST_DEGREES = (6, 6)
HIGHEST_DEGREE = 8
# a polynomial of higher degree than one for so many voxels cannot be told from the noise
VOXELS_PER_DEGREE = 1.5
WIDTH_BOUNDS_VOXEL = (0.2, 3.0)
# what remains of the shape of the attenuation after the polynomials, measured on phantoms with known surfaces
MODEL_ERROR_VOXEL = 0.03


@dataclass(frozen=True, eq=False)
class SurfaceFit:
    """Outcome of a fit.

    Attributes
    ----------
    coefficients : (edge, 4) array
        c0 (mm), cy, cx, cb (1/mm) of every interface.
    covariance : (4·edge, 4·edge) array
        Of the coefficients; clusters of columns are taken as independent, which allows for texture and for
        the correlation of the noise inside a cluster.
    width_mm : float
        Standard deviation of the blur, voxel included.
    converged : bool
    significance : (edge,) array
        Contrast of every interface over its standard error, root sum of squares over the states. Chance alone
        reaches about 3, because the position is chosen where the contrast looks largest.
    contrast : (edge,) array
        Attenuation below less that above, cm⁻¹, of the states as the position weighs them: by their squares.
    """

    coefficients: Float
    covariance: Float
    width_mm: float
    converged: bool
    significance: Float
    contrast: Float


@dataclass(frozen=True, eq=False)
class _Normal:
    """Cost, gradient and curvature of the geometry with the levels eliminated."""

    cost: float
    gradient: Float
    curvature: Float
    scores: list[tuple[Float, Float]]  # per state: residual (sample,), projected Jacobian (sample, parameter)


def fit_surfaces(
    states: Sequence[Columns],
    start_mm: NDArray[np.floating],
    model: SurfaceModel,
    *,
    reach_mm: tuple[float, float],
    rounds: int = 4,
) -> SurfaceFit:
    """Fit the interfaces of a model to the columns of one or several states.

    Parameters
    ----------
    states : sequence of Columns
        On the same grid; each keeps its own levels.
    start_mm : (edge, 4) array
        Coefficients to start from, within about two voxels; ascending in z.
    reach_mm : tuple of 2 floats
        How far the window reaches below the first and above the last interface.
    rounds : int
        Times that the robust weights are renewed.

    Raises
    ------
    InputError
        If too few samples lie in the window.
    """
    scale = lateral_scale(model)
    theta = np.concatenate([(np.asarray(start_mm, float) * scale).ravel(), [np.log(1.3 * model.width_mm)]])
    data = [_select(columns, theta, model, reach_mm) for columns in states]
    weights = [_row_weights(d, d.value - _row_medians(d)) for d in data]
    converged = False
    for number in range(rounds):
        limit = FIRST_DEGREES[number] if number < len(FIRST_DEGREES) else HIGHEST_DEGREE
        data = [_choose_degrees(theta, d, w, model, limit) for d, w in zip(data, weights, strict=True)]
        theta, normal, converged = _descend(theta, data, weights, model)
        weights = [_robust_weights(d, r) for d, (r, _) in zip(data, normal.scores, strict=True)]
    normal = _normal_equations(theta, data, weights, model)
    return _summarise(theta, normal, data, weights, model, converged)


def _lateral(columns: Columns, model: SurfaceModel) -> Float:
    v = (columns.y_mm - model.axis_mm[0]) / model.radius_mm
    u = (columns.x_mm - model.axis_mm[1]) / model.radius_mm
    return np.stack([np.ones_like(v), v, u, v * v + u * u])


def _select(
    columns: Columns, theta: Float, model: SurfaceModel, reach_mm: tuple[float, float]
) -> StateSamples:
    lateral = _lateral(columns, model)
    heights = edge_heights(theta, lateral, model)
    low, high = heights[0] - reach_mm[0], heights[-1] + reach_mm[1]
    z = columns.z_mm[:, None]
    row, column = np.nonzero((z >= low) & (z <= high) & (columns.fraction > 0.3))
    if row.size < 40 * len(model.degrees):
        raise InputError(
            f"surfaces: only {row.size} samples around the interfaces near z = {theta[0]:.2f} mm; "
            "check the thicknesses and the position of the stack"
        )
    cell = 3 * columns.block * model.voxel_size_mm
    cluster = np.unique(
        np.floor(columns.y_mm / cell) * 4096 + np.floor(columns.x_mm / cell), return_inverse=True
    )[1]
    return StateSamples(
        columns.z_mm[row],
        lateral[:, column],
        columns.mean[row, column],
        columns.fraction[row, column],
        row,
        cluster[column],
        tuple(min(degree, 1) for degree in model.degrees),
    )


def _row_medians(data: StateSamples) -> Float:
    """Median of every row, spread over its samples."""
    medians = np.zeros(int(data.row.max()) + 1)
    for row in np.unique(data.row):
        medians[row] = np.median(data.value[data.row == row])
    spread: Float = medians[data.row]
    return spread


def _row_weights(data: StateSamples, residual: Float) -> Float:
    """One over the robust variance of each row, so that starved rows count for what they are worth."""
    scaled = residual * np.sqrt(data.fraction)
    spread = np.zeros(int(data.row.max()) + 1)
    for row in np.unique(data.row):
        spread[row] = 1.4826 * np.median(np.abs(scaled[data.row == row]))
    # a row cannot be much better than the others: a floor keeps a chance zero from taking all the weight
    floor = 0.5 * np.median(spread[np.unique(data.row)])
    weights: Float = data.fraction / np.maximum(spread, max(floor, 1e-6))[data.row] ** 2
    return weights


def _robust_weights(data: StateSamples, residual: Float) -> Float:
    """Huber's weights: pores, cracks and streaks lose their pull."""
    weights = _row_weights(data, residual)
    normalised = np.abs(residual) * np.sqrt(weights)
    robust: Float = weights * np.minimum(1.0, HUBER / np.maximum(normalised, 1e-12))
    return robust


def _normal_equations(
    theta: Float, data: list[StateSamples], weights: list[Float], model: SurfaceModel
) -> _Normal:
    cost, gradient, curvature = _prior(theta, model)
    scores = []
    for state, weight in zip(data, weights, strict=True):
        residual, jacobian = _projected(theta, state, weight, model)
        cost += 0.5 * float(np.sum(weight * residual**2))
        gradient += jacobian.T @ (weight * residual)
        curvature += jacobian.T @ (weight[:, None] * jacobian)
        scores.append((residual, jacobian))
    return _Normal(cost, gradient, curvature, scores)


def _projected(theta: Float, data: StateSamples, weight: Float, model: SurfaceModel) -> tuple[Float, Float]:
    """Residual at the best levels, and the Jacobian of the geometry with the levels projected out."""
    heights, width = edge_heights(theta, data.lateral, model), float(np.exp(theta[-1]))
    basis = level_basis(data, heights, width, model)
    weighted, normal = _level_equations(basis, weight)
    levels: Float = np.linalg.solve(normal, weighted @ data.value).astype(np.float64)
    residual = data.value - levels @ basis
    contrasts = edge_contrasts(levels, data, heights, model)
    parts = [
        contrast * gaussian(data.z - height, width) * data.lateral
        for contrast, height in zip(contrasts, heights, strict=True)
    ]
    step = 1e-3
    wider = levels @ level_basis(data, heights, width * np.exp(step), model)
    jacobian = np.concatenate([*parts, [(wider - levels @ basis) / step]])
    jacobian -= np.linalg.solve(normal, weighted @ jacobian.T).T @ basis
    return residual, jacobian.T


def _level_equations(basis: Float, weight: Float) -> tuple[Float, Float]:
    """Weighted basis and normal matrix of the levels."""
    weighted = basis * weight
    normal = weighted @ basis.T
    # a whisper of ridge: a layer of one voxel cannot tell its highest powers apart
    normal += 1e-9 * np.trace(normal) / len(normal) * np.eye(len(normal))
    return weighted, normal


def _choose_degrees(
    theta: Float, data: StateSamples, weight: Float, model: SurfaceModel, limit: int
) -> StateSamples:
    """Degrees of the inner layers by Schwarz's criterion (Ann. Statist. 6, 1978) at the present surfaces."""
    heights, width = edge_heights(theta, data.lateral, model), float(np.exp(theta[-1]))
    best = replace(data, degrees=tuple(min(degree, 1) for degree in model.degrees))
    for layer, highest in enumerate(model.degrees):
        costs = {}
        for degree in range(1, min(highest, limit) + 1):
            trial = replace(best, degrees=(*best.degrees[:layer], degree, *best.degrees[layer + 1 :]))
            basis = level_basis(trial, heights, width, model)
            weighted, normal = _level_equations(basis, weight)
            residual = data.value - np.linalg.solve(normal, weighted @ data.value) @ basis
            costs[trial.degrees] = float(np.sum(weight * residual**2)) + len(basis) * np.log(data.value.size)
        best = replace(best, degrees=min(costs, key=lambda degrees: costs[degrees]))
    return best


def _prior(theta: Float, model: SurfaceModel) -> tuple[float, Float, Float]:
    """Cost, descent direction and curvature of the Gaussian priors."""
    rows, targets, sigmas = [], [], []
    for edge in range(model.edges - 1):
        for k in range(4):
            row = np.zeros(theta.size)
            row[4 * edge + k], row[4 * edge + 4 + k] = -1.0, 1.0
            rows.append(row)
            targets.append(model.thickness_mm[edge] if k == 0 else 0.0)
            sigmas.append(model.thickness_sigma_mm[edge] if k == 0 else model.likeness_sigma_mm)
    rows.append(np.eye(theta.size)[-1])
    targets.append(np.log(model.width_mm))
    sigmas.append(model.width_sigma)
    matrix = np.stack(rows) / np.array(sigmas)[:, None]
    miss = np.array(targets) / np.array(sigmas) - matrix @ theta
    return 0.5 * float(miss @ miss), matrix.T @ miss, matrix.T @ matrix


def _descend(
    theta: Float, data: list[StateSamples], weights: list[Float], model: SurfaceModel
) -> tuple[Float, _Normal, bool]:
    """Gauss–Newton with step halving at fixed weights."""
    normal = _normal_equations(theta, data, weights, model)
    for _ in range(12):
        damping = 1e-6 * np.diag(np.diag(normal.curvature)) + 1e-12 * np.eye(theta.size)
        step = np.linalg.solve(normal.curvature + damping, normal.gradient)
        step *= min(1.0, model.voxel_size_mm / max(float(np.max(np.abs(step[:-1]))), 1e-12))
        step[-1] = np.clip(step[-1], -0.5, 0.5)
        for _ in range(5):
            candidate = _bounded(theta + step, model)
            trial = _normal_equations(candidate, data, weights, model)
            if trial.cost <= normal.cost:
                break
            step = 0.5 * step
        else:
            return theta, normal, True
        theta, normal = candidate, trial
        if np.max(np.abs(step[:-1])) < 1e-3 * model.voxel_size_mm:
            return theta, normal, True
    return theta, normal, False


def _bounded(theta: Float, model: SurfaceModel) -> Float:
    low, high = np.log(np.array(WIDTH_BOUNDS_VOXEL) * model.voxel_size_mm)
    return np.append(theta[:-1], np.clip(theta[-1], low, high))


def _summarise(
    theta: Float,
    normal: _Normal,
    data: list[StateSamples],
    weights: list[Float],
    model: SurfaceModel,
    converged: bool,
) -> SurfaceFit:
    prior = _prior(theta, model)[2]
    inverse = np.linalg.pinv(normal.curvature)
    gradients = [(weight * r)[:, None] * j for weight, (r, j) in zip(weights, normal.scores, strict=True)]
    scatter = score_scatter(gradients, [state.cluster for state in data])
    covariance = inverse @ (prior + scatter) @ inverse + _shape_error(theta, data, weights, model)
    scale = np.tile(1.0 / lateral_scale(model), model.edges)
    for edge in range(model.edges):
        covariance[4 * edge, 4 * edge] += (MODEL_ERROR_VOXEL * model.voxel_size_mm) ** 2
    coefficients = (theta[:-1] * scale).reshape(model.edges, 4)
    found = np.array([_contrasts(theta, d, w, model) for d, w in zip(data, weights, strict=True)])
    contrast, score = found[:, 0], found[:, 1]
    return SurfaceFit(
        coefficients,
        covariance[:-1, :-1] * np.outer(scale, scale),
        float(np.exp(theta[-1])),
        converged,
        np.sqrt(np.sum(score**2, axis=0)),
        np.sum(contrast**3, axis=0) / np.maximum(np.sum(contrast**2, axis=0), 1e-12),
    )


def _contrasts(theta: Float, data: StateSamples, weight: Float, model: SurfaceModel) -> tuple[Float, Float]:
    """Contrast at every interface, averaged over the pellet, and the same over its standard error."""
    heights = edge_heights(theta, data.lateral, model)
    weighted, normal = _level_equations(level_basis(data, heights, float(np.exp(theta[-1])), model), weight)
    levels: Float = np.linalg.solve(normal, weighted @ data.value).astype(np.float64)
    # the mean contrast is linear in the levels: its gradient is the contrast of each unit level
    units = np.eye(levels.size)
    means = [[float(c.mean()) for c in edge_contrasts(unit, data, heights, model)] for unit in units]
    gradient = np.array(means)
    variance = np.einsum("ik,ik->k", gradient, np.linalg.solve(normal, gradient))
    contrasts = np.asarray(levels @ gradient)
    return contrasts, contrasts / np.sqrt(variance)


def _shape_error(theta: Float, data: list[StateSamples], weights: list[Float], model: SurfaceModel) -> Float:
    """Steps that the geometry would take with one and with two more powers of depth, as a covariance."""
    steps = []
    for extra in (1, 2):
        richer = [replace(d, degrees=_raised(d.degrees, extra, model)) for d in data]
        normal = _normal_equations(theta, richer, weights, model)
        steps.append(np.linalg.pinv(normal.curvature) @ normal.gradient)
    moved = np.stack(steps)
    return np.asarray(moved.T @ moved / len(steps))


def _raised(degrees: tuple[int, ...], extra: int, model: SurfaceModel) -> tuple[int, ...]:
    """Higher degrees, as far as the voxels of the inner layers can tell them apart."""
    most = [round(t / model.voxel_size_mm / VOXELS_PER_DEGREE) for t in model.thickness_mm]
    bounds = (degrees[0] + 1, *most, degrees[-1] + 1)
    return tuple(max(d, min(d + extra, most)) for d, most in zip(degrees, bounds, strict=True))
