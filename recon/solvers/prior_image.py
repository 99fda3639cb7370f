"""Sparse views of one state with the help of another: PICCS, and the joint reconstruction of both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.iterate import Iterate
from deltamu.recon.solvers.joint_operator import joint_operator
from deltamu.recon.solvers.operators import Operator
from deltamu.recon.solvers.penalties import (
    Difference,
    Penalty,
    Stacked,
    Sum,
    TotalVariation,
    Unpenalised,
)
from deltamu.recon.solvers.problem import Array, Bounds, Mask
from deltamu.recon.solvers.regularised import fista_iterates


def piccs_iterates(
    A: Operator,
    line_integrals: NDArray[np.floating],
    prior: Array,
    *,
    penalty: TotalVariation,
    prior_share: float = 1.0,
    start: Array | None = None,
    **options: Any,
) -> Iterator[Iterate]:
    """Minimise ½ Σ w (Ax − b)² + a · TV(x − prior) + (1 − a) · TV(x) within bounds.

    Parameters
    ----------
    A : Operator
        Of the sparse views on the grid of the prior: with `ScanGeometry.of_moved_volume` a registered prior
        needs no resampling.
    line_integrals : (angle, row, column) array
    prior : (z, y, x) float32 array
        cm⁻¹; the same object in another state.
    penalty : TotalVariation
        Strength of both terms together, and their threshold.
    prior_share : float
        a, from 0 (the prior is only where it starts) to 1 (only the change is expected to be flat).
    start : (z, y, x) array, optional
        The prior by default.
    **options
        weights, lower, upper, support as in `problem.make_problem`.

    Yields
    ------
    Iterate
        Of x; the change is x − prior.

    Raises
    ------
    InputError
        If a shape does not fit or the share is out of range.

    Notes
    -----
    The prior is best a volume that explains its own views with the same projector, as `fista` makes it: what a
    filtered back-projection does not explain of them is left in the change.

    References
    ----------
    G.-H. Chen, J. Tang, S. Leng, "Prior image constrained compressed sensing (PICCS)", Med. Phys. 35 (2008);
    with the views as a term of least squares, as in P. T. Lauzier, G.-H. Chen, Med. Phys. 40 (2013).
    """
    if not 0 <= prior_share <= 1:
        raise InputError(f"prior_share: found {prior_share}, expected a number from 0 to 1")
    if np.shape(prior) != A.domain_shape:
        raise InputError(f"prior: found shape {np.shape(prior)}, expected {A.domain_shape}")
    known: Array = array_module(line_integrals).ascontiguousarray(prior, np.float32)
    change = Difference(replace(penalty, strength=prior_share * penalty.strength), known)
    itself = replace(penalty, strength=(1 - prior_share) * penalty.strength)
    both = Sum(change, itself if itself.strength else Unpenalised())
    first = known if start is None else start
    yield from fista_iterates(A, line_integrals, penalty=both, start=first, **options)


@dataclass(frozen=True)
class StateViews:
    """Views of one state, and how they see the grid on which states are compared.

    Attributes
    ----------
    A : Operator
        On the common grid.
    line_integrals : (angle, row, column) array
    weights : array, optional
        Influence of every ray, as in `problem.make_problem`.
    """

    A: Operator
    line_integrals: Array
    weights: Array | None = None


def joint_iterates(
    states: Sequence[StateViews],
    *,
    penalty: Penalty,
    change_penalty: Penalty,
    lower: float | None = None,
    upper: float | None = None,
    support: Mask | None = None,
    change_support: Mask | None = None,
    start: Array | None = None,
) -> Iterator[Iterate]:
    """Reconstruct what states have in common and what changes: x from the first views, x + dₖ from views k.

    Minimises ½ Σ w (A₀x − b₀)² + penalty(x) + Σₖ [½ Σ w (Aₖ(x + dₖ) − bₖ)² + change_penalty(dₖ)].

    Parameters
    ----------
    states : sequence of StateViews
        The first is the one that changes count from; all on one grid, with detectors of one shape.
    penalty, change_penalty : Penalty
        Of x, and of every change.
    lower, upper, support
        Bounds of x.
    change_support : (z, y, x) or (y, x) bool array, optional
        Where anything may change.
    start : (states · z, y, x) array, optional
        x, d₁, d₂ … behind each other along z; zero by default.

    Yields
    ------
    Iterate
        Its volume holds x, d₁, d₂ … behind each other along z: `numpy.split(volume, len(states))`.

    Raises
    ------
    InputError
        If shapes do not fit.

    References
    ----------
    Sparsity of the difference as in PICCS (Chen, Tang, Leng 2008), with the prior itself free: compare
    the joint models of M. Baron et al., "Distributed compressive sensing", arXiv 0901.3403.
    """
    A = joint_operator(*(state.A for state in states))
    inside = Bounds(-np.inf if lower is None else lower, np.inf if upper is None else upper, support)
    bounds = (inside, *[Bounds(support=change_support)] * (len(states) - 1))
    grid = states[0].A.domain_shape
    for own in bounds:
        own.check(grid)
    changes = (change_penalty,) * (len(states) - 1)
    views = np.concatenate([state.line_integrals for state in states])
    yield from fista_iterates(
        A, views, penalty=Stacked((penalty, *changes), bounds), start=start, weights=_all_weights(states)
    )


def _all_weights(states: Sequence[StateViews]) -> Array | None:
    """The weights of all views; one for a state that was given none."""
    if all(state.weights is None for state in states):
        return None
    xp = array_module(states[0].line_integrals)
    one = np.float32(1)
    given = [
        xp.broadcast_to(one if state.weights is None else state.weights, state.A.range_shape)
        for state in states
    ]
    return xp.concatenate(given).astype(np.float32)  # type: ignore[no-any-return]
