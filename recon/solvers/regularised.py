"""Regularised reconstruction: accelerated proximal gradients (FISTA) and primal-dual splitting (PDHG)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.kernels.tv import tv_value
from deltamu.recon.solvers.gradients import divergence_transpose, gradient
from deltamu.recon.solvers.iterate import Iterate
from deltamu.recon.solvers.largest_eigenvalue import largest_eigenvalue
from deltamu.recon.solvers.operators import Operator
from deltamu.recon.solvers.penalties import Penalty, TotalVariation, Unpenalised
from deltamu.recon.solvers.problem import Array, Float, Problem, make_problem, reciprocal

# what finds the largest curvature approaches it from below
CURVATURE_MARGIN = 1.02


def fista_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    penalty: Penalty | None = None,
    start: NDArray[np.floating] | None = None,
    **options: Any,
) -> Iterator[Iterate]:
    """Minimise ½ Σ w (Ax − b)² + penalty(x) within bounds; the objective never rises.

    Parameters
    ----------
    A : Operator
    line_integrals : (angle, row, column) array
    penalty : Penalty, optional
        Of `penalties`; none by default.
    start : (z, y, x) array, optional
        Zero by default; a filtered back-projection saves iterations.
    **options
        weights, lower, upper, support as in `problem.make_problem`.

    Yields
    ------
    Iterate

    Notes
    -----
    One projection and one back-projection per iteration: those of extrapolated volumes are combined from
    those at hand. Where nothing couples the slices, each is accepted on its own.

    References
    ----------
    A. Beck, M. Teboulle, SIAM J. Imaging Sci. 2 (2009), and IEEE Trans. Image Process. 18 (2009) for the
    monotone variant.
    """
    problem = make_problem(A, line_integrals, **options)
    asked: Penalty = Unpenalised() if penalty is None else penalty
    proximal = asked.proximal(problem.bounds)
    step = 1 / (CURVATURE_MARGIN * largest_curvature(problem))
    x, residual = problem.start(start)
    y, y_residual, cost, t = x, residual, _cost(problem, asked, x, residual), 1.0
    number = 0
    while True:
        descent = A.T(problem.xp.ascontiguousarray(problem.weighted(y_residual)))
        z = proximal(y + np.float32(step) * descent, step)
        z_residual = problem.residual(z)
        z_cost = _cost(problem, asked, z, z_residual)
        better = z_cost <= cost
        previous, previous_residual = x, residual
        x, residual = _choose(better, z, x, 0), _choose(better, z_residual, residual, 1)
        cost = np.where(better, z_cost, cost)
        t, last_t = 0.5 * (1 + np.sqrt(1 + 4 * t * t)), t
        y = _ahead(x, z, previous, last_t, t)
        y_residual = _ahead(residual, z_residual, previous_residual, last_t, t)
        number += 1
        yield Iterate(number, x, partial(_known_values, problem, residual, float(cost.sum())))


def pdhg_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    penalty: TotalVariation,
    start: NDArray[np.floating] | None = None,
    balance: float = 2.0,
    **options: Any,
) -> Iterator[Iterate]:
    """Minimise ½ Σ w (Ax − b)² + penalty(x) within bounds by primal-dual hybrid gradients.

    Every ray and voxel has a step of its own, so that very uneven weights do not slow it down, and no inner
    iterations are needed; the objective may rise on the way.

    Parameters
    ----------
    A, line_integrals, start, **options
        As in `fista_iterates`.
    penalty : TotalVariation
        With or without a threshold.
    balance : float
        Above 1 favours steps of the volume over those of the dual variables.

    References
    ----------
    A. Chambolle, T. Pock, J. Math. Imaging Vis. 40 (2011); T. Pock, A. Chambolle, ICCV 2011 (diagonal steps);
    E. Y. Sidky, J. H. Jørgensen, X. Pan, Phys. Med. Biol. 57 (2012).
    """
    problem = make_problem(A, line_integrals, **options)
    steps = _DiagonalSteps(problem, penalty, balance)
    x, residual = problem.start(start)
    ahead, ahead_residual = x, residual
    dual = np.zeros_like(residual)
    field = problem.xp.zeros((2 if penalty.planar else 3, *x.shape), np.float32)
    number = 0
    while True:
        dual = steps.data_dual(dual, ahead_residual)
        field = steps.field_dual(field, ahead)
        move = A.T(dual) + np.float32(steps.scale) * divergence_transpose(field)
        previous, previous_residual = x, residual
        x = problem.bounds.project(x - steps.voxel * move)
        residual = problem.residual(x)
        ahead, ahead_residual = 2 * x - previous, 2 * residual - previous_residual
        number += 1
        yield Iterate(number, x, partial(_values, problem, penalty, x, residual))


class _DiagonalSteps:
    """Steps 1/Σ|K| along rows and columns of K = (A, scale · ∇)."""

    def __init__(self, problem: Problem, penalty: TotalVariation, balance: float) -> None:
        A = problem.A
        along = A(problem.xp.ones(A.domain_shape, np.float32))
        seen = A.T(problem.xp.ones(A.range_shape, np.float32))
        directions = 2 if penalty.planar else 3
        # gradients weigh as much as the data in a voxel's step
        self.scale = max(float(seen.max()), 1e-30) / (2 * directions)
        self.voxel = np.float32(balance) * reciprocal(seen + np.float32(2 * directions * self.scale))
        ray = reciprocal(along) / np.float32(balance)
        weights = np.float32(1) if problem.weights is None else problem.weights
        # a ray without weight gets a dual variable that stays zero
        self.shrink = weights / (weights + ray)
        self.ray = ray
        self.field = 1 / (2 * self.scale * balance)
        self.radius = penalty.strength / self.scale
        self.threshold = penalty.threshold * self.scale / penalty.strength if penalty.strength else 0.0

    def data_dual(self, dual: Array, residual: Array) -> Array:
        """Proximal step of the conjugate of ½ w (· − b)²; the residual is b − Ax."""
        moved = (dual - self.ray * residual) * self.shrink
        return array_module(moved).ascontiguousarray(moved, np.float32)  # type: ignore[no-any-return]

    def field_dual(self, field: Array, volume: Array) -> Array:
        """Proximal step of the conjugate of the penalty: shrunk by Huber's threshold, cut to the radius."""
        moved = field + np.float32(self.field * self.scale) * gradient(volume, planar=len(field) == 2)
        moved /= np.float32(1 + self.field * self.threshold * self.scale)
        if self.radius == 0:
            return np.zeros_like(field)
        length = np.sqrt(np.sum(moved * moved, axis=0))
        result: Array = moved / np.maximum(length / np.float32(self.radius), np.float32(1))
        return result


def largest_curvature(problem: Problem) -> float:
    """Largest eigenvalue of Aᵀ w A.

    Where all slices are alike, one of them stands for all, with the largest weight of each ray.
    """
    A, weights = problem.A, problem.weights
    if weights is None:
        return A.norm() ** 2
    small = Operator(A.pair.representative())
    if small.range_shape[1] < A.range_shape[1] and weights.shape[1] > 1:
        weights = weights.max(axis=1, keepdims=True)
    xp = problem.xp
    return largest_eigenvalue(
        lambda x: small.T(xp.ascontiguousarray(small(x) * weights)), xp.ones(small.domain_shape, np.float32)
    )


def _cost(problem: Problem, penalty: Penalty, volume: Array, residual: Array) -> Float:
    """Objective of every slice where they do not touch each other, else one number."""
    squares, values = problem.squares(residual), penalty.value(volume)
    if problem.separable and penalty.planar:
        return np.asarray(0.5 * squares + values)
    return np.array([0.5 * squares.sum() + values.sum()])


def _choose(better: NDArray[np.bool_], new: Array, old: Array, axis: int) -> Array:
    if better.all():
        return new
    if not better.any():
        return old
    shape = [1, 1, 1]
    shape[axis] = better.size
    chosen: Array = np.where(array_module(new).asarray(better.reshape(shape)), new, old)
    return chosen


def _ahead(x: Array, z: Array, previous: Array, last_t: float, t: float) -> Array:
    """X + (last_t/t)(z − x) + ((last_t − 1)/t)(x − previous)."""
    if z is x:
        return x + np.float32((last_t - 1) / t) * (x - previous)
    result: Array = x + np.float32(last_t / t) * (z - x) + np.float32((last_t - 1) / t) * (x - previous)
    return result


def _values(problem: Problem, penalty: TotalVariation, volume: Array, residual: Array) -> tuple[float, float]:
    square = float(problem.squares(residual).sum())
    value = tv_value(volume, threshold=penalty.threshold, planar=penalty.planar).sum()
    return 0.5 * square + penalty.strength * float(value), float(np.sqrt(square))


def _known_values(problem: Problem, residual: Array, objective: float) -> tuple[float, float]:
    return objective, float(np.sqrt(problem.squares(residual).sum()))
