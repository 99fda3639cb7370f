"""Projection as a linear operator: a matched pair of projector and exact transpose, in physical units."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.kernels.project import backproject, project
from deltamu.kernels.rays import backproject_rays, project_rays
from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry, middle_of, parallel_geometry
from deltamu.recon.solvers.fbp import MM_PER_CM, check_center, check_pixel_size, check_size
from deltamu.recon.solvers.largest_eigenvalue import largest_eigenvalue

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Shape = tuple[int, int, int]
ALIGNED = "parallel z-aligned, slices innermost"
GENERAL = "general"


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
        """Largest singular value, cm; computed once.

        Accurate to about one part in a thousand, from below: a step size wants a small margin.
        """
        return self._norm

    @cached_property
    def _norm(self) -> float:
        small = self.pair.representative()
        ones = np.ones(small.domain_shape, np.float32)
        return float(np.sqrt(largest_eigenvalue(lambda x: small.transpose(small.forward(x)), ones)))


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
    angles: ArrayLike,
    *,
    columns: int,
    rows: int,
    center: float,
    pixel_size_mm: float,
    size: int | None = None,
) -> Operator:
    """Projection in parallel rays perpendicular to the rotation axis; voxels as large as the detector's pixels.

    Parameters
    ----------
    angles : (angle,) array
        Radians.
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
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    side = check_size(size, columns)
    shape = (rows, side, side)
    geometry = parallel_geometry(
        angles,
        detector_shape=(rows, columns),
        center=center,
        pixel_size_mm=pixel_size_mm,
        middle_mm=middle_of(shape, pixel_size_mm),
    )
    return operator_of(geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm)


def operator_of(geometry: ScanGeometry, *, volume_shape: Shape, voxel_size_mm: float) -> Operator:
    """Projection of a volume as a scan's geometry sees it, parallel or cone beam.

    Parameters
    ----------
    geometry : ScanGeometry
    volume_shape : (z, y, x)
    voxel_size_mm : float

    Returns
    -------
    Operator
        Its `path` says which arithmetic was chosen: parallel rays within the slices, one row of pixels per
        slice, take the fast one; everything else the general one.

    Raises
    ------
    InputError
        If the shape or the voxel size is out of range.
    """
    if len(volume_shape) != 3 or min(volume_shape) < 1:
        raise InputError(f"volume_shape: found {volume_shape}, expected three positive sizes (z, y, x)")
    if not (np.isfinite(voxel_size_mm) and voxel_size_mm > 0):
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive length in millimetres")
    z, y, x = (int(n) for n in volume_shape)
    aligned = aligned_views(geometry, (z, y, x), voxel_size_mm)
    if aligned is not None:
        return Operator(
            AlignedPair(*aligned, (z, y, x), geometry.detector_shape[1], voxel_size_mm / MM_PER_CM)
        )
    return Operator(GeneralPair(geometry, (z, y, x), voxel_size_mm))


@dataclass(frozen=True, eq=False)
class AlignedPair:
    """Parallel rays within the slices: every slice sees the same rays.

    Attributes
    ----------
    angles, centers : (view,) float64 arrays
    pixel_in_voxels : float
    domain_shape : (z, y, x)
    columns : int
    voxel_size_cm : float
    """

    angles: Float
    centers: Float
    pixel_in_voxels: float
    domain_shape: Shape
    columns: int
    voxel_size_cm: float

    path = ALIGNED

    @property
    def range_shape(self) -> Shape:
        """(angle, row, column)."""
        return len(self.angles), self.domain_shape[0], self.columns

    def forward(self, volume: Array) -> Array:
        """Project."""
        return project(volume, self.angles, columns=self.columns, **self._options())

    def transpose(self, projections: Array) -> Array:
        """Back-project."""
        return backproject(projections, self.angles, size=self.domain_shape[1:], **self._options())

    def of_views(self, views: NDArray[np.intp]) -> "AlignedPair":
        """Return the pair of some of the views."""
        return replace(self, angles=self.angles[views], centers=self.centers[views])

    def representative(self) -> "AlignedPair":
        """All slices are alike: one of them has the norm of all."""
        return replace(self, domain_shape=(1, *self.domain_shape[1:]))

    def _options(self) -> dict[str, Any]:
        return {
            "center": self.centers,
            "voxel_size": self.voxel_size_cm,
            "pixel_in_voxels": self.pixel_in_voxels,
        }


@dataclass(frozen=True, eq=False)
class GeneralPair:
    """Rays of any geometry through a grid of voxels."""

    geometry: ScanGeometry
    domain_shape: Shape
    voxel_size_mm: float

    path = GENERAL

    @property
    def range_shape(self) -> Shape:
        """(angle, row, column)."""
        return len(self.geometry), *self.geometry.detector_shape

    @cached_property
    def _matrices(self) -> Float:
        return self.geometry.index_matrices(self.voxel_size_mm)

    def forward(self, volume: Array) -> Array:
        """Project."""
        return project_rays(
            volume,
            self._matrices,
            detector_shape=self.geometry.detector_shape,
            voxel_size=self.voxel_size_mm / MM_PER_CM,
        )

    def transpose(self, projections: Array) -> Array:
        """Back-project."""
        return backproject_rays(
            projections,
            self._matrices,
            volume_shape=self.domain_shape,
            voxel_size=self.voxel_size_mm / MM_PER_CM,
        )

    def of_views(self, views: NDArray[np.intp]) -> "GeneralPair":
        """Return the pair of some of the views."""
        return replace(self, geometry=self.geometry.views(views))

    def representative(self) -> "GeneralPair":
        """Nothing smaller has the same norm."""
        return self


def aligned_views(
    geometry: ScanGeometry, volume_shape: Shape, voxel_size_mm: float
) -> tuple[Float, Float, float] | None:
    """Angles, centres and pixel size in voxels where slice z is seen in detector row z by parallel rays.

    Returns
    -------
    (angles, centers, pixel_in_voxels) or None
        None where the geometry is another one. Deviations below a ten-thousandth of a pixel over the whole
        volume are rounding.
    """
    if geometry.is_cone or geometry.detector_shape[0] != volume_shape[0]:
        return None
    matrices = geometry.index_matrices(voxel_size_mm)
    extent = np.array([*volume_shape[::-1], 1.0])
    column_x, column_y, column_z, offset = matrices[:, 0].T
    per_voxel = np.hypot(column_x, column_y)
    row_error = np.abs(matrices[:, 1] - [0, 0, 1, 0]) @ extent
    column_error = np.abs(column_z) * extent[2] + np.abs(per_voxel - per_voxel[0]) * extent[:2].max()
    if max(row_error.max(), column_error.max()) > 1e-4:
        return None
    centers = offset + column_x * (extent[0] - 1) / 2 + column_y * (extent[1] - 1) / 2
    return np.arctan2(column_y, column_x), centers, float(1 / per_voxel[0])


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


def _check_shape(array: Array, expected: Shape, name: str) -> None:
    if np.shape(array) != expected:
        raise InputError(f"{name}: found shape {np.shape(array)}, expected {expected}")
