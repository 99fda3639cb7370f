"""Weighted least squares of projections: what iterative solvers have in common."""

from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, to_host
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.operators import ALIGNED, Operator

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """What a voxel may be.

    Attributes
    ----------
    lower, upper : float
        cm⁻¹.
    support : (z, y, x) or (y, x) bool array, optional
        Voxels outside are zero.
    """

    lower: float = -np.inf
    upper: float = np.inf
    support: Mask | None = None

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise InputError(f"lower, upper: found {self.lower}, {self.upper}; expected lower <= upper")
        if self.support is not None and self.support.dtype != np.bool_:
            raise InputError(f"support: found {self.support.dtype}, expected bool")

    @property
    def allow_all(self) -> bool:
        """Whether a voxel may be anything."""
        return self.support is None and self.lower == -np.inf and self.upper == np.inf

    def project(self, volume: Array) -> Array:
        """The nearest volume that keeps them; the same array when it already does without a look."""
        bounded = volume
        if np.isfinite(self.lower) or np.isfinite(self.upper):
            bounded = np.clip(volume, np.float32(self.lower), np.float32(self.upper))
        return bounded if self.support is None else bounded * self.support

    def check(self, shape: tuple[int, int, int]) -> None:
        """Raise InputError when the support does not fit a volume."""
        if self.support is not None and self.support.shape not in (shape, shape[1:]):
            raise InputError(f"support: found shape {self.support.shape}, expected {shape} or {shape[1:]}")


@dataclass(frozen=True)
class Problem:
    """Minimise ½ Σ w (Ax − b)² over the x within bounds.

    Attributes
    ----------
    A : Operator
    b : (angle, row, column) float32 array
    weights : array that broadcasts to the projections, or None
        Influence of every ray, for example 1/variance; zero takes a ray out.
    bounds : Bounds
    """

    A: Operator
    b: Array
    weights: Array | None = None
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def xp(self) -> ModuleType:
        """The library of the arrays; numbers per slice are on the host in either."""
        return array_module(self.b)

    @property
    def separable(self) -> bool:
        """Whether no ray touches two slices, so that every slice is a problem of its own."""
        return self.A.path == ALIGNED

    def start(self, volume: NDArray[np.floating] | None) -> tuple[Array, Array]:
        """Return a first volume and its residual b − Ax; zero costs no projection."""
        if volume is None:
            return self.xp.zeros(self.A.domain_shape, np.float32), self.b.copy()
        if np.shape(volume) != self.A.domain_shape:
            raise InputError(f"start: found shape {np.shape(volume)}, expected {self.A.domain_shape}")
        given = self.xp.ascontiguousarray(volume, np.float32)
        if not all(np.isfinite(part).all() for part in given):
            raise InputError("start: found values that are not finite; put zeros where nothing is known")
        x = self.bounds.project(given)
        return x, self.residual(x)

    def residual(self, x: Array) -> Array:
        """B − Ax."""
        return self.b - self.A(x)

    def weighted(self, projections: Array) -> Array:
        """Projections times the weights."""
        return projections if self.weights is None else projections * self.weights

    def squares(self, residual: Array) -> Float:
        """Σ w r², one number per slice where slices are separable, else one."""
        per_row = self.xp.zeros(residual.shape[1])
        for view in range(residual.shape[0]):
            square = np.square(residual[view], dtype=np.float64)
            if self.weights is not None:
                square *= self.weights[view] if self.weights.shape[0] > 1 else self.weights[0]
            per_row += square.sum(axis=1)
        squares: Float = to_host(per_row)
        return squares if self.separable else squares.sum(keepdims=True)

    def of_views(self, views: slice) -> "Problem":
        """The same problem with some of the views."""
        weights = self.weights
        if weights is not None and weights.shape[0] > 1:
            weights = weights[views]
        b = self.xp.ascontiguousarray(self.b[views])
        return Problem(self.A.subset(views), b, weights, self.bounds)


def make_problem(
    A: Operator,
    line_integrals: NDArray[np.floating],
    *,
    weights: NDArray[np.floating] | None = None,
    lower: float | None = None,
    upper: float | None = None,
    support: Mask | None = None,
) -> Problem:
    """Check data, weights and bounds against an operator.

    Raises
    ------
    InputError
        If a shape does not fit, a value is not finite, or a weight is negative.
    """
    xp = array_module(line_integrals)
    b = xp.ascontiguousarray(line_integrals, np.float32)
    if b.shape != A.range_shape:
        raise InputError(
            f"line_integrals: found shape {b.shape}, expected {A.range_shape} (angle, row, column)"
        )
    for view, values in enumerate(b):
        if not np.isfinite(values).all():
            raise InputError(
                f"line_integrals: view {view} holds values that are not finite; mask or repair them first"
            )
    bounds = Bounds(-np.inf if lower is None else lower, np.inf if upper is None else upper, support)
    bounds.check(A.domain_shape)
    return Problem(A, b, _checked_weights(weights, A.range_shape, xp), bounds)


def _checked_weights(
    weights: NDArray[np.floating] | None, shape: tuple[int, int, int], xp: ModuleType
) -> Array | None:
    if weights is None:
        return None
    given: Array = xp.asarray(weights, np.float32)
    try:
        np.broadcast_shapes(given.shape, shape)
        fits = given.ndim <= 3 and np.broadcast_shapes(given.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(f"weights: found shape {given.shape}, expected one that broadcasts to {shape}")
    if not (np.isfinite(given).all() and given.min() >= 0 and given.max() > 0):
        raise InputError("weights: expected finite numbers that are not negative, some of them positive")
    return given.reshape((1,) * (3 - given.ndim) + given.shape)


def spread(numbers: Float, like: Array, *, axis: int = 0) -> Array:
    """Numbers per slice (or one for all), shaped to multiply an array like the given one along an axis."""
    shape = [1, 1, 1]
    shape[axis] = numbers.size
    return array_module(like).asarray(numbers.astype(np.float32).reshape(shape))  # type: ignore[no-any-return]


def inner(first: Array, second: Array, *, separable: bool) -> Float:
    """Inner product of volumes with float64 sums: per slice, or one number."""
    per_slice = np.array(
        [float(np.sum(np.multiply(a, b, dtype=np.float64))) for a, b in zip(first, second, strict=True)]
    )
    return per_slice if separable else per_slice.sum(keepdims=True)


def reciprocal(array: Array) -> Array:
    """1/x, and 0 where x is 0 (a ray that misses the volume, a voxel that no ray meets)."""
    positive = array > 0
    if array_module(array) is np:
        return np.divide(1, array, out=np.zeros_like(array), where=positive)
    inverse: Array = np.where(positive, 1 / np.where(positive, array, np.float32(1)), np.float32(0))
    return inverse
