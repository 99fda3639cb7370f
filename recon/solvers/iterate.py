"""What iterative solvers yield, and when to stop taking more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Array = NDArray[np.float32]
Reason = Literal["iterations", "discrepancy", "relative_change"]


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

    def reason(self, iterate: Iterate, change: Callable[[], float]) -> Reason | None:
        """Why this iterate is the last to take, or None; `change` works out how far it is from the one before."""
        if self.discrepancy is not None and iterate.residual_norm <= self.discrepancy:
            return "discrepancy"
        if self.relative_change is not None and change() <= self.relative_change:
            return "relative_change"
        return "iterations" if iterate.number >= self.iterations else None


@dataclass(frozen=True)
class Course:
    """How a solver went.

    Attributes
    ----------
    objectives : tuple of float
        What it minimises, after every iteration.
    changes : tuple of float
        ‖x − previous x‖ / ‖x‖ of every iteration; of the first one infinite.
    reason : {"iterations", "discrepancy", "relative_change"}
        Which criterion ended it; "iterations" where no other was met before or with the last one.
    """

    objectives: tuple[float, ...]
    changes: tuple[float, ...]
    reason: Reason


def last(
    iterates: Iterable[Iterate],
    stopping: Stopping,
    *,
    progress: Callable[[int, int], None] | None = None,
    record: Callable[[Course], None] | None = None,
) -> Iterate:
    """Take iterates until a criterion is met and return the last one.

    Parameters
    ----------
    iterates : iterable of Iterate
        From one of the `..._iterates` generators.
    stopping : Stopping
    progress : callable, optional
        Called with (iterations done, at most); it may raise to cancel.
    record : callable, optional
        Called with the `Course` at the end; the objective of every iterate is worked out for it.
    """
    previous: Array | None = None
    course: list[tuple[float, float]] = []
    for iterate in iterates:
        if progress is not None:
            progress(iterate.number, stopping.iterations)
        change = cache(partial(_relative_change, iterate.volume, previous))
        if record is not None:
            course.append((iterate.objective, change()))
        reason = stopping.reason(iterate, change)
        if reason is not None:
            if record is not None:
                objectives, changes = zip(*course, strict=True)
                record(Course(objectives, changes, reason))
            return iterate
        previous = iterate.volume
    raise InputError("iterates: found none, expected a solver's generator")


def _relative_change(volume: Array, previous: Array | None) -> float:
    if previous is None:
        return float("inf")
    moved, size = _norm(volume - previous), _norm(volume)
    if moved == 0:
        return 0.0
    return moved / size if size else float("inf")


def _norm(array: Array) -> float:
    return float(np.sqrt(sum(np.square(part, dtype=float).sum() for part in array)))
