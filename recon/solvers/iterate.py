"""What iterative solvers yield, and when to stop taking more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Iterate:
    """A volume on the way to the solution.

    Attributes
    ----------
    number : int
        Counted from 1.
    volume : (z, y, x) float32 array
        cm⁻¹; it is not written to by later iterations.
    evaluate : callable
        Returns the objective and the weighted norm of the residual, worked out when first asked for.
    """

    number: int
    volume: Array
    evaluate: Callable[[], tuple[float, float]]

    @cached_property
    def _values(self) -> tuple[float, float]:
        return self.evaluate()

    @property
    def objective(self) -> float:
        """What the solver minimises, at this volume."""
        return self._values[0]

    @property
    def residual_norm(self) -> float:
        """‖Ax − b‖ in the norm of the weights."""
        return self._values[1]


@dataclass(frozen=True)
class Stopping:
    """When to stop: at the first of the criteria that are given.

    Attributes
    ----------
    iterations : int
        The most that are taken.
    discrepancy : float, optional
        Norm of the residual, weighted, that noise alone would leave: going on would fit noise (Morozov's
        principle). With weights 1/variance it is the square root of the number of rays.
    relative_change : float, optional
        ‖x − previous x‖ / ‖x‖.
    """

    iterations: int
    discrepancy: float | None = None
    relative_change: float | None = None

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise InputError(f"iterations: found {self.iterations}, expected at least 1")
        for name in ("discrepancy", "relative_change"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name}: found {value}, expected a positive number")

    def is_met(self, iterate: Iterate, previous: Array | None) -> bool:
        """Whether this iterate is the last to take; `previous` is the volume before it."""
        if iterate.number >= self.iterations:
            return True
        if self.discrepancy is not None and iterate.residual_norm <= self.discrepancy:
            return True
        if self.relative_change is None or previous is None:
            return False
        return _norm(iterate.volume - previous) <= self.relative_change * _norm(iterate.volume)


def last(
    iterates: Iterable[Iterate], stopping: Stopping, *, progress: Callable[[int, int], None] | None = None
) -> Iterate:
    """Take iterates until a criterion is met and return the last one.

    Parameters
    ----------
    iterates : iterable of Iterate
        From one of the `..._iterates` generators.
    stopping : Stopping
    progress : callable, optional
        Called with (iterations done, at most); it may raise to cancel.
    """
    previous: Array | None = None
    for iterate in iterates:
        if progress is not None:
            progress(iterate.number, stopping.iterations)
        if stopping.is_met(iterate, previous):
            return iterate
        previous = iterate.volume
    raise InputError("iterates: found none, expected a solver's generator")


def _norm(array: Array) -> float:
    return float(np.sqrt(sum(np.square(part, dtype=float).sum() for part in array)))
