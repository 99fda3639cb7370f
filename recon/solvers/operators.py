"""Projection as a linear operator: a matched pair of projector and exact transpose, in physical units."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.project import backproject, project
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import check_center, check_pixel_size, check_size, per_cm

Array = NDArray[np.float32]
Shape = tuple[int, int, int]
ALIGNED = "parallel z-aligned, slices innermost"


class ProjectorPair(Protocol):
    """What an operator is made of: a projector and its exact transpose."""

    @property
    def path(self) -> str:
        """Which arithmetic is used."""

    @property
    def domain_shape(self) -> Shape:
        """(z, y, x)."""

    @property
    def range_shape(self) -> Shape:
        """(angle, row, column)."""

    def forward(self, volume: Array) -> Array:
        """Project."""

    def transpose(self, projections: Array) -> Array:
        """Back-project."""

    def of_views(self, views: NDArray[np.intp]) -> "ProjectorPair":
        """Return the pair of some of the views."""

    def representative(self) -> "ProjectorPair":
        """Return the smallest pair with the same norm."""


@dataclass(frozen=True)
class Operator:
    """Line integrals of a volume in cm⁻¹, dimensionless; `A(volume)`, and `A.T(projections)` its exact transpose.

    Attributes
    ----------
    pair : ProjectorPair
        Geometry and arithmetic.
    """

    pair: ProjectorPair

    @property
    def path(self) -> str:
        """Which arithmetic is used, for the log and the report."""
        return self.pair.path

    @property
    def domain_shape(self) -> Shape:
        """Shape of a volume, (z, y, x)."""
        return self.pair.domain_shape

    @property
    def range_shape(self) -> Shape:
        """Shape of the projections, (angle, row, column)."""
        return self.pair.range_shape

    @property
    def T(self) -> "Adjoint":
        """The transpose: projections to a volume, not an inverse."""
        return Adjoint(self)

    def __call__(self, volume: Array) -> Array:
        """Project a volume.

        Parameters
        ----------
        volume : (z, y, x) float32 array
            cm⁻¹, of shape `domain_shape`.

        Returns
        -------
        (angle, row, column) float32 array
            Dimensionless.

        Raises
        ------
        InputError
            If the shape does not fit.
        """
        _check_shape(volume, self.domain_shape, "volume")
        return self.pair.forward(volume)

    def subset(self, views: slice | NDArray[np.integer]) -> "Operator":
        """Return the operator of some of the views, in the given order."""
        chosen = np.arange(self.range_shape[0])[views]
        if chosen.ndim != 1 or chosen.size == 0:
            raise InputError(f"views: found {views}, expected a slice or a list that names at least one view")
        return Operator(self.pair.of_views(chosen))

    def norm(self) -> float:
        """Largest singular value, cm, by power iteration; computed once.

        Accurate to about one part in a thousand, from below: a step size wants a small margin.
        """
        return self._norm

    @cached_property
    def _norm(self) -> float:
        return _power_iteration(self.pair.representative())


@dataclass(frozen=True)
class Adjoint:
    """Transpose of an operator."""

    of: Operator

    @property
    def T(self) -> Operator:
        """The operator itself."""
        return self.of

    def __call__(self, projections: Array) -> Array:
        """Spread projections back along their rays.

        Parameters
        ----------
        projections : (angle, row, column) float32 array

        Returns
        -------
        (z, y, x) float32 array

        Raises
        ------
        InputError
            If the shape does not fit.
        """
        _check_shape(projections, self.of.range_shape, "projections")
        return self.of.pair.transpose(projections)


def operator(
    geometry: NDArray[np.floating],
    *,
    columns: int,
    rows: int,
    center: float,
    pixel_size_mm: float,
    size: int | None = None,
) -> Operator:
    """Projection of a volume whose voxels are as large as the detector's pixels.

    Parameters
    ----------
    geometry : (angle,) array
        Radians; parallel rays perpendicular to the rotation axis, which is parallel to the rows' direction.
    columns, rows : int
        Size of the detector; the volume has as many slices as the detector rows.
    center : float
        Column that the rotation axis projects to.
    pixel_size_mm : float
    size : int, optional
        Voxels along x and y; the number of columns by default.

    Returns
    -------
    Operator

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    theta = _check_angles(geometry)
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    if rows < 1:
        raise InputError(f"rows: found {rows}, expected at least 1")
    return Operator(
        AlignedPair(
            tuple(theta), rows, columns, float(center), check_size(size, columns), 1 / per_cm(pixel_size_mm)
        )
    )


@dataclass(frozen=True)
class AlignedPair:
    """Parallel rays perpendicular to the slices: every slice sees the same rays."""

    angles: tuple[float, ...]
    rows: int
    columns: int
    center: float
    size: int
    voxel_size_cm: float

    path = ALIGNED

    @property
    def domain_shape(self) -> Shape:
        """(z, y, x)."""
        return self.rows, self.size, self.size

    @property
    def range_shape(self) -> Shape:
        """(angle, row, column)."""
        return len(self.angles), self.rows, self.columns

    def forward(self, volume: Array) -> Array:
        """Project."""
        return project(
            volume, self.angles, center=self.center, columns=self.columns, voxel_size=self.voxel_size_cm
        )

    def transpose(self, projections: Array) -> Array:
        """Back-project."""
        return backproject(
            projections, self.angles, center=self.center, size=self.size, voxel_size=self.voxel_size_cm
        )

    def of_views(self, views: NDArray[np.intp]) -> "AlignedPair":
        """Return the pair of some of the views."""
        chosen = tuple(self.angles[view] for view in views)
        return AlignedPair(chosen, self.rows, self.columns, self.center, self.size, self.voxel_size_cm)

    def representative(self) -> "AlignedPair":
        """All slices are alike: one of them has the norm of all."""
        return AlignedPair(self.angles, 1, self.columns, self.center, self.size, self.voxel_size_cm)


def dot_product_error(A: Operator, rng: np.random.Generator) -> float:
    """How far the transpose is from being exact, on random data.

    Parameters
    ----------
    A : Operator
    rng : numpy.random.Generator

    Returns
    -------
    float
        |⟨Ax, y⟩ − ⟨x, Aᵀy⟩| / (‖Ax‖ ‖y‖); about 1e-7 for float32 arithmetic. The inner product itself is no
        scale: it may cancel.
    """
    x = rng.standard_normal(A.domain_shape, np.float32)
    y = rng.standard_normal(A.range_shape, np.float32)
    forward, back = A(x).astype(float), A.T(y).astype(float)
    scale = np.linalg.norm(forward) * np.linalg.norm(y.astype(float))
    difference = abs(np.vdot(forward, y.astype(float)) - np.vdot(x.astype(float), back))
    return float(difference / scale) if scale > 0 else float(difference)


def _power_iteration(pair: ProjectorPair, *, tolerance: float = 1e-4, most: int = 100) -> float:
    """Largest singular value; the weights are never negative, so a constant start is never orthogonal to it."""
    vector, value = np.ones(pair.domain_shape, np.float32), 0.0
    for _ in range(most):
        image = pair.forward(vector)
        before, value = value, _norm_of(image) / _norm_of(vector)
        if value == 0 or abs(value - before) <= tolerance * value:
            break
        vector = pair.transpose(image)
        vector /= np.float32(_norm_of(vector))
    return value


def _norm_of(array: Array) -> float:
    """Euclidean norm with a float64 sum."""
    return float(np.sqrt(sum(np.square(part, dtype=float).sum() for part in array)))


def _check_shape(array: Array, expected: Shape, name: str) -> None:
    if np.shape(array) != expected:
        raise InputError(f"{name}: found shape {np.shape(array)}, expected {expected}")


def _check_angles(angles: NDArray[np.floating]) -> list[float]:
    theta = np.asarray(angles, np.float64)
    if theta.ndim != 1 or theta.size == 0 or not np.all(np.isfinite(theta)):
        raise InputError(f"angles: found shape {theta.shape}, expected at least one finite angle in radians")
    return [float(value) for value in theta]
