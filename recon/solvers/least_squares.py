"""Iterative reconstruction by weighted least squares: SIRT, ordered subsets of it, conjugate gradients."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.iterate import Iterate
from deltamu.recon.solvers.operators import Operator
from deltamu.recon.solvers.problem import Array, Float, Problem, inner, make_problem, reciprocal, spread

# squared gradient, relative to the first, at which float32 has nothing more to say
SETTLED = 1e-12


def sirt_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    start: NDArray[np.floating] | None = None,
    relaxation: float = 1.0,
    **options: Any,
) -> Iterator[Iterate]:
    """Simultaneous iterative reconstruction: x += C Aᵀ R w (b − Ax).

    R holds the reciprocal lengths of the rays, C what makes a constant step. The objective is ½ Σ R w (Ax − b)²,
    which never rises for a relaxation up to 2.

    Parameters
    ----------
    A : Operator
    line_integrals : (angle, row, column) array
    start : (z, y, x) array, optional
        Zero by default.
    relaxation : float
        Between 0 and 2.
    **options
        weights, lower, upper, support as in `problem.make_problem`.

    Yields
    ------
    Iterate

    References
    ----------
    J. Gregor, T. Benson, IEEE Trans. Med. Imaging 27 (2008).
    """
    problem = make_problem(A, line_integrals, **options)
    _check_relaxation(relaxation)
    step = _Simultaneous(problem)
    x, residual = problem.start(start)
    number = 0
    while True:
        x = step.update(x, residual, relaxation)
        residual = problem.residual(x)
        number += 1
        yield Iterate(number, x, partial(step.values, residual))


class _Simultaneous:
    """The scalings of a simultaneous step over some views."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        A = problem.A
        rays = A(problem.xp.ones(A.domain_shape, np.float32))
        self.per_length = reciprocal(rays)
        self.influence = np.broadcast_to(problem.weighted((rays > 0).astype(np.float32)), A.range_shape)
        self.per_voxel = reciprocal(A.T(problem.xp.ascontiguousarray(self.influence)))

    def update(self, x: Array, residual: Array, relaxation: float) -> Array:
        """One step from x with its residual."""
        move = self.problem.A.T(residual * self.per_length * self.influence)
        move *= self.per_voxel
        return self.problem.bounds.project(x + np.float32(relaxation) * move)

    def values(self, residual: Array) -> tuple[float, float]:
        """Objective and norm of the residual."""
        square = sum(
            np.vdot(np.square(r, dtype=float), (s * i).astype(float))
            for r, s, i in zip(residual, self.per_length, self.influence, strict=True)
        )
        return 0.5 * float(square), float(np.sqrt(self.problem.squares(residual).sum()))


def os_sart_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    subsets: int = 10,
    start: NDArray[np.floating] | None = None,
    relaxation: float = 1.0,
    **options: Any,
) -> Iterator[Iterate]:
    """SIRT over interleaved subsets of the views in turn: an iterate is one pass over all of them.

    Converges in a few passes and then circles around the solution unless the relaxation is lowered.

    Parameters
    ----------
    A, line_integrals, start, relaxation, **options
        As in `sirt_iterates`.
    subsets : int
        Of the views; as many as there are views is SART.

    References
    ----------
    G. Wang, M. Jiang, J. X-Ray Sci. Technol. 12 (2004).
    """
    problem = make_problem(A, line_integrals, **options)
    _check_relaxation(relaxation)
    parts = [_Simultaneous(problem.of_views(views)) for views in ordered_subsets(A.range_shape[0], subsets)]
    x, _ = problem.start(start)
    number = 0
    while True:
        for part in parts:
            x = part.update(x, part.problem.residual(x), relaxation)
        number += 1
        yield Iterate(number, x, partial(least_squares_values, problem, x))


def ordered_subsets(views: int, subsets: int) -> list[slice]:
    """Interleaved views, in an order in which each subset lies far from those before it.

    Raises
    ------
    InputError
        If there are more subsets than views, or none.
    """
    if not 1 <= subsets <= views:
        raise InputError(f"subsets: found {subsets}, expected 1 to {views}, the number of views")
    # fractions of the golden ratio fill an interval evenly from the first few on
    order = np.argsort(np.mod(np.arange(subsets) * 0.6180339887498949, 1.0), kind="stable")
    return [slice(int(first), None, subsets) for first in np.argsort(order)]


def cgls_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    start: NDArray[np.floating] | None = None,
    tikhonov: float = 0.0,
    reference: NDArray[np.floating] | None = None,
    weights: NDArray[np.floating] | None = None,
    support: NDArray[np.bool_] | None = None,
) -> Iterator[Iterate]:
    """Conjugate gradients on ½ Σ w (Ax − b)² + ½ tikhonov ‖x − reference‖².

    Parameters
    ----------
    A, line_integrals, start, weights, support
        As in `sirt_iterates`. There are no bounds: conjugate gradients know none.
    tikhonov : float
        cm².
    reference : (z, y, x) array, optional
        Zero by default.

    Notes
    -----
    The fewer iterations, the smoother: stopping early regularises. Where slices are separable every slice has
    step lengths of its own, so that a result does not depend on what is reconstructed beside it.

    References
    ----------
    M. R. Hestenes, E. Stiefel, J. Res. Nat. Bur. Stand. 49 (1952); Å. Björck, Numerical Methods for Least
    Squares Problems, SIAM 1996, section 7.4.
    """
    if not (np.isfinite(tikhonov) and tikhonov >= 0):
        raise InputError(f"tikhonov: found {tikhonov}, expected a number that is not negative")
    problem = make_problem(A, line_integrals, weights=weights, support=support)
    x, residual = problem.start(start)
    away = _Away(x, reference, tikhonov, A.domain_shape)
    descent = _descent(problem, residual, away)
    direction, square = descent, inner(descent, descent, separable=problem.separable)
    least, number = SETTLED * square, 0
    while True:
        image = A(direction)
        curvature = problem.squares(image)
        curvature = curvature + tikhonov * inner(direction, direction, separable=problem.separable)
        length = _quotient(inner(descent, direction, separable=problem.separable), curvature, square > least)
        x = x + direction * spread(length, direction)
        residual = residual - image * spread(length, image, axis=1)
        away = _Away(x, reference, tikhonov, A.domain_shape)
        before, previous = square, descent
        descent = _descent(problem, residual, away)
        square = inner(descent, descent, separable=problem.separable)
        # Polak and Ribière's factor: the same in exact arithmetic, and a fresh start when rounding takes over
        common = inner(descent, previous, separable=problem.separable)
        factor = _quotient(np.maximum(square - common, 0), before, square > least)
        direction = descent + direction * spread(factor, direction)
        number += 1
        yield Iterate(number, x, partial(_tikhonov_values, problem, residual, away))


def _quotient(numerator: Float, denominator: Float, moving: NDArray[np.bool_]) -> Float:
    """Quotient per slice; zero where a slice has arrived."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=moving & (denominator > 0))


class _Away:
    """Distance from the reference that Tikhonov's term penalises."""

    def __init__(
        self, x: Array, reference: NDArray[np.floating] | None, strength: float, shape: tuple[int, int, int]
    ) -> None:
        if reference is not None and reference.shape != shape:
            raise InputError(f"reference: found shape {reference.shape}, expected {shape}")
        self.strength = strength
        self.distance = x if reference is None else x - array_module(x).asarray(reference, np.float32)

    def pull(self, descent: Array) -> Array:
        """Descent direction with that of the term."""
        return descent if self.strength == 0 else descent - np.float32(self.strength) * self.distance

    def value(self) -> float:
        """½ strength ‖distance‖²."""
        if self.strength == 0:
            return 0.0
        return 0.5 * self.strength * float(inner(self.distance, self.distance, separable=False)[0])


def _descent(problem: Problem, residual: Array, away: _Away) -> Array:
    descent = away.pull(problem.A.T(problem.xp.ascontiguousarray(problem.weighted(residual))))
    return descent if problem.bounds.support is None else descent * problem.bounds.support


def _tikhonov_values(problem: Problem, residual: Array, away: _Away) -> tuple[float, float]:
    square = float(problem.squares(residual).sum())
    return 0.5 * square + away.value(), float(np.sqrt(square))


def least_squares_values(problem: Problem, volume: Array) -> tuple[float, float]:
    """½ Σ w (Ax − b)² and its norm, at the cost of a projection."""
    square = float(problem.squares(problem.residual(volume)).sum())
    return 0.5 * square, float(np.sqrt(square))


def _check_relaxation(relaxation: float) -> None:
    if not 0 < relaxation < 2:
        raise InputError(f"relaxation: found {relaxation}, expected a number between 0 and 2")
