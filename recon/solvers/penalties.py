"""What is asked of a volume beside fitting the data: smoothness, flatness, nearness to another volume.

A penalty has a value and a proximal operator: the volume within bounds that minimises ½‖x − v‖² + step · value(x).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, to_host
from deltamu.kernels.tv import tv_proximal, tv_value
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.problem import Array, Bounds, Float, inner

Proximal = Callable[[Array, float], Array]
INNER_ITERATIONS = 10


class Penalty(Protocol):
    """A convex function of a volume."""

    @property
    def planar(self) -> bool:
        """Whether it does not couple slices."""

    def value(self, volume: Array) -> Float:
        """Of every slice, (z,)."""

    def proximal(self, bounds: Bounds) -> Proximal:
        """(v, step) -> the volume within bounds that minimises ½‖x − v‖² + step · value(x)."""


@dataclass(frozen=True)
class Unpenalised:
    """Only the data and the bounds decide."""

    planar = True

    def value(self, volume: Array) -> Float:
        """Zero."""
        return np.zeros(volume.shape[0])

    def proximal(self, bounds: Bounds) -> Proximal:
        """Projection onto the bounds."""
        return lambda volume, step: bounds.project(volume)


@dataclass(frozen=True)
class TotalVariation:
    """strength · Σ h(|∇x|), isotropic; h(t) = t, or Huber's function with a threshold.

    Attributes
    ----------
    strength : float
        cm.
    threshold : float
        cm⁻¹; differences to the next voxel below it are punished by their square, which keeps gradients that
        are real from turning into stairs. 0 is total variation.
    planar : bool
        Differences within slices only.
    inner_iterations : int
        Of the proximal operator, which starts where it ended the last time.

    References
    ----------
    L. I. Rudin, S. Osher, E. Fatemi, Physica D 60 (1992); P. J. Huber, Ann. Math. Stat. 35 (1964).
    """

    strength: float
    threshold: float = 0.0
    planar: bool = False
    inner_iterations: int = INNER_ITERATIONS

    def __post_init__(self) -> None:
        for name in ("strength", "threshold"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name}: found {value}, expected a number that is not negative")
        if self.inner_iterations < 1:
            raise InputError(f"inner_iterations: found {self.inner_iterations}, expected at least 1")

    def value(self, volume: Array) -> Float:
        """Of every slice; a slice holds the differences to the next one."""
        values: Float = to_host(tv_value(volume, threshold=self.threshold, planar=self.planar))
        return self.strength * values

    def proximal(self, bounds: Bounds) -> Proximal:
        """Iterative; it remembers its dual variable."""
        dual: Array | None = None

        def apply(volume: Array, step: float) -> Array:
            nonlocal dual
            if dual is None:
                dual = array_module(volume).zeros((2 if self.planar else 3, *volume.shape), np.float32)
            return tv_proximal(
                array_module(volume).ascontiguousarray(volume), step * self.strength, threshold=self.threshold, planar=self.planar,
                lower=bounds.lower, upper=bounds.upper, support=bounds.support, dual=dual,
                iterations=self.inner_iterations,
            )  # fmt: skip

        return apply


@dataclass(frozen=True)
class Tikhonov:
    """½ strength ‖x − reference‖².

    Attributes
    ----------
    strength : float
        cm².
    reference : (z, y, x) array, optional
        Zero by default.
    """

    strength: float
    reference: NDArray[np.float32] | None = None
    planar = True

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength: found {self.strength}, expected a number that is not negative")

    def value(self, volume: Array) -> Float:
        """Of every slice."""
        away = volume if self.reference is None else volume - self.reference
        return 0.5 * self.strength * inner(away, away, separable=True)

    def proximal(self, bounds: Bounds) -> Proximal:
        """In closed form."""

        def apply(volume: Array, step: float) -> Array:
            pull = step * self.strength
            target = volume if self.reference is None else volume + np.float32(pull) * self.reference
            return bounds.project((target / np.float32(1 + pull)).astype(np.float32))

        return apply
