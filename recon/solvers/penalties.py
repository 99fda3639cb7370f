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
from deltamu.recon.solvers.fbp import MM_PER_CM
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


def pull_of_noise(noise: float, *, voxel_size_mm: float, views: int) -> float:
    """Standard deviation of one voxel's descent direction Aᵀw(b − Ax) at the truth: a unit for strengths.

    Parameters
    ----------
    noise : float
        Standard deviation of a line integral of weight one.
    voxel_size_mm : float
    views : int

    Returns
    -------
    float
        cm.
    """
    return float(noise * voxel_size_mm / MM_PER_CM * np.sqrt(views))


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
class Difference:
    """A penalty on what differs from a reference: penalty(x − reference).

    Attributes
    ----------
    penalty : Penalty
    reference : (z, y, x) float32 array
    """

    penalty: Penalty
    reference: Array

    @property
    def planar(self) -> bool:
        """As the penalty."""
        return self.penalty.planar

    def value(self, volume: Array) -> Float:
        """Of every slice."""
        return self.penalty.value(volume - self.reference)

    def proximal(self, bounds: Bounds) -> Proximal:
        """That of the penalty, moved to the reference; bounds need a sum with `Unpenalised`.

        Raises
        ------
        InputError
            If there are bounds: on the difference they would be another number in every voxel.
        """
        if not bounds.allow_all:
            raise InputError("bounds: a penalty on a difference knows none; add it to one that does by Sum")
        inner_step = self.penalty.proximal(bounds)
        return lambda volume, step: self.reference + inner_step(volume - self.reference, step)


@dataclass(frozen=True)
class Sum:
    """Two penalties at once; the bounds are kept by the second.

    Attributes
    ----------
    first, second : Penalty
    sweeps : int
        Of the proximal operator over both, which starts where it ended the last time.

    References
    ----------
    H. H. Bauschke, P. L. Combettes, "A Dykstra-like algorithm for two monotone operators", Pac. J. Optim. 4 (2008).
    """

    first: Penalty
    second: Penalty
    sweeps: int = 1

    @property
    def planar(self) -> bool:
        """Whether neither couples slices."""
        return self.first.planar and self.second.planar

    def value(self, volume: Array) -> Float:
        """Of every slice."""
        return self.first.value(volume) + self.second.value(volume)

    def proximal(self, bounds: Bounds) -> Proximal:
        """The two in turn, each on what the other leaves; it remembers what the second took away."""
        one, two = self.first.proximal(Bounds()), self.second.proximal(bounds)
        taken: Array | None = None

        def apply(volume: Array, step: float) -> Array:
            nonlocal taken
            result = volume
            for _ in range(self.sweeps):
                left = volume if taken is None else volume - taken
                rest = volume - (left - one(left, step))
                result = two(rest, step)
                taken = rest - result
            return result

        return apply


@dataclass(frozen=True)
class Stacked:
    """Volumes behind each other along z, each with a penalty and bounds of its own; as many slices of each.

    Attributes
    ----------
    parts : tuple of Penalty
    bounds : tuple of Bounds
        Of every part, beside those of the problem.
    """

    parts: tuple[Penalty, ...]
    bounds: tuple[Bounds, ...]
    planar = False

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.bounds):
            raise InputError(
                f"bounds: found {len(self.bounds)}, expected one for each of {len(self.parts)} parts"
            )

    def value(self, volume: Array) -> Float:
        """Of every slice."""
        volumes = np.split(volume, len(self.parts))
        return np.concatenate([part.value(v) for part, v in zip(self.parts, volumes, strict=True)])

    def proximal(self, bounds: Bounds) -> Proximal:
        """Those of the parts.

        Raises
        ------
        InputError
            If there are bounds that would hold for all parts alike.
        """
        if not bounds.allow_all:
            raise InputError("bounds: every part of a stack has its own")
        steps = [part.proximal(own) for part, own in zip(self.parts, self.bounds, strict=True)]

        def apply(volume: Array, step: float) -> Array:
            volumes = np.split(volume, len(steps))
            moved = [one(v, step) for one, v in zip(steps, volumes, strict=True)]
            return array_module(volume).concatenate(moved)  # type: ignore[no-any-return]

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
