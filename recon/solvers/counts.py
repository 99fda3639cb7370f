"""Maximum likelihood for Poisson counts: MLEM, and OSEM over ordered subsets."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.iterate import Iterate
from deltamu.recon.solvers.least_squares import ordered_subsets
from deltamu.recon.solvers.operators import Operator
from deltamu.recon.solvers.problem import Array, Problem, make_problem, reciprocal


def mlem_iterates(
    A: Operator,
    counts: NDArray[np.floating],
    *,
    subsets: int = 1,
    start: NDArray[np.floating] | None = None,
    **options: Any,
) -> Iterator[Iterate]:
    """Expectation maximisation for counts with mean Ax: x ← x / (Aᵀw) · Aᵀ(w b / Ax).

    The objective is Kullback and Leibler's divergence Σ w (Ax − b + b log(b/Ax)), which never rises with one
    subset; the sum of Ax over the rays then equals that of the data after every iteration.

    Parameters
    ----------
    A : Operator
    counts : (angle, row, column) array
        Not negative: counts, or line integrals taken as such.
    subsets : int
        Above 1, ordered subsets (OSEM): as many times faster at first, without a guarantee.
    start : (z, y, x) array, optional
        Positive where a voxel may become positive. Constant by default.
    **options
        weights and support as in `problem.make_problem`.

    Yields
    ------
    Iterate

    Raises
    ------
    InputError
        If a count or the start is negative.

    References
    ----------
    L. A. Shepp, Y. Vardi, IEEE Trans. Med. Imaging 1 (1982); H. M. Hudson, R. S. Larkin, ibid. 13 (1994).
    """
    problem = make_problem(A, counts, **options)
    if problem.b.min() < 0:
        raise InputError(
            f"counts: found {float(problem.b.min()):g}, expected none negative; take a least-squares method, or clip them "
            "and accept the bias"
        )
    parts = [problem.of_views(views) for views in ordered_subsets(A.range_shape[0], subsets)]
    per_voxel = [reciprocal(part.A.T(_ones(part))) for part in parts]
    x = _positive_start(problem, start)
    # a model below rounding of the data: 1/model would overflow
    floor = np.float32(max(1e-7 * float(problem.b.max()), 1e-30))
    number = 0
    while True:
        for part, scale in zip(parts, per_voxel, strict=True):
            ratio = (part.b / np.maximum(part.A(x), floor)).astype(np.float32)
            x = x * scale * part.A.T(part.xp.ascontiguousarray(part.weighted(ratio)))
        number += 1
        yield Iterate(number, x, partial(_divergence, problem, x))


def _ones(problem: Problem) -> Array:
    ones = problem.xp.ones(problem.A.range_shape, np.float32)
    result: Array = problem.xp.ascontiguousarray(problem.weighted(ones))
    return result


def _positive_start(problem: Problem, start: NDArray[np.floating] | None) -> Array:
    """The given start, or the constant whose projections sum to the data."""
    if start is not None:
        given = problem.xp.ascontiguousarray(start, np.float32)
        if given.min() < 0 or given.max() <= 0:
            raise InputError("start: expected no negative and some positive values")
        return problem.bounds.project(given)
    ones = problem.bounds.project(problem.xp.ones(problem.A.domain_shape, np.float32))
    total = float(problem.A(ones).sum(dtype=float))
    return ones * np.float32(float(problem.b.sum(dtype=float)) / total if total > 0 else 0)


def _divergence(problem: Problem, volume: Array) -> tuple[float, float]:
    model = problem.A(volume).astype(np.float64)
    data = problem.b.astype(np.float64)
    seen = (model > 0) & (data > 0)
    log = np.log(np.where(seen, data / np.where(seen, model, 1.0), 1.0))
    terms = np.where(model > 0, model - data + data * log, 0)
    weighted = terms if problem.weights is None else terms * problem.weights
    return float(weighted.sum()), float(np.sqrt(problem.squares(problem.b - model.astype(np.float32)).sum()))
