"""Where things are: rigid and affine motions of a volume and the angles of the views.

Conventions (docs/architecture.md): points are (z, y, x) in millimetres, the centre of voxel 0 is at 0.
A view at angle theta sees the point (x, y) at column = center + [(x - x0) cos(theta) + (y - y0) sin(theta)] / pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Triple = tuple[float, float, float]
Strain = tuple[Triple, Triple, Triple]

NO_STRAIN: Strain = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@dataclass(frozen=True)
class AffineTransform:
    """A stretch and shear of the body, then a rotation, both about a centre, then a translation; points in mm.

    Attributes
    ----------
    rotation_deg : tuple of 3 floats
        Rotation vector in (z, y, x) order, degrees, right-handed in (x, y, z):
        a positive first component turns x towards y.
    translation_mm : tuple of 3 floats
        Displacement of `center_mm`, (z, y, x).
    center_mm : tuple of 3 floats
        The point about which it turns and stretches, (z, y, x).
    strain : tuple of 3 tuples of 3 floats
        Symmetric: stretches along (z, y, x), less one, on the diagonal, half the shears beside it.
    """

    rotation_deg: Triple = (0.0, 0.0, 0.0)
    translation_mm: Triple = (0.0, 0.0, 0.0)
    center_mm: Triple = (0.0, 0.0, 0.0)
    strain: Strain = NO_STRAIN

    def __post_init__(self) -> None:
        for name in ("rotation_deg", "translation_mm", "center_mm"):
            values = tuple(float(v) for v in getattr(self, name))
            if len(values) != 3 or not np.all(np.isfinite(values)):
                raise InputError(f"{name}: found {values}, expected three finite numbers (z, y, x)")
            object.__setattr__(self, name, values)
        object.__setattr__(self, "strain", _checked_strain(self.strain))

    @property
    def matrix(self) -> Float:
        """The (3, 3) matrix on (z, y, x) vectors: the rotation times the stretch."""
        rotation = _matrix_from_vector(np.radians(self.rotation_deg))
        return rotation if self.strain == NO_STRAIN else rotation @ (np.eye(3) + self.strain)

    @property
    def volume_factor(self) -> float:
        """Volume of what the reference shows as 1: determinant of the matrix."""
        return float(np.linalg.det(np.eye(3) + self.strain))

    def apply(self, points_mm: NDArray[np.floating]) -> Float:
        """Move points of shape (..., 3)."""
        center = np.asarray(self.center_mm)
        moved: Float = (np.asarray(points_mm, float) - center) @ self.matrix.T + center + self.translation_mm
        return moved

    def index_affine(self, voxel_from_mm: float, voxel_to_mm: float) -> Float:
        """(3, 4) matrix from voxel indices of one grid to voxel indices of another.

        Parameters
        ----------
        voxel_from_mm, voxel_to_mm : float
            Voxel sizes of the grid that is asked and of the grid that answers.
        """
        offset = self.apply(np.zeros(3))
        return np.column_stack([self.matrix * (voxel_from_mm / voxel_to_mm), offset / voxel_to_mm])

    def rigid(self) -> "RigidTransform":
        """Return the motion without its stretch."""
        return RigidTransform(self.rotation_deg, self.translation_mm, self.center_mm)

    def about(self, center_mm: Triple) -> "AffineTransform":
        """Return the same motion written about another centre."""
        moved = self.apply(np.asarray(center_mm)) - center_mm
        return replace(self, translation_mm=_triple(moved), center_mm=center_mm)


@dataclass(frozen=True)
class RigidTransform(AffineTransform):
    """A rotation about a centre followed by a translation, on (z, y, x) points in mm; nothing stretches."""

    strain: Strain = field(default=NO_STRAIN, init=False, repr=False)

    def inverse(self) -> "RigidTransform":
        """Return the motion that undoes this one, turning about the same centre."""
        return from_matrix(self.matrix.T, -self.matrix.T @ np.asarray(self.translation_mm), self.center_mm)

    def __matmul__(self, first: "RigidTransform") -> "RigidTransform":
        """Return `first`, then `self`, as one motion about the centre of `first`."""
        center = np.asarray(first.center_mm)
        return from_matrix(
            self.matrix @ first.matrix, self.apply(first.apply(center)) - center, first.center_mm
        )

    def about(self, center_mm: Triple) -> "RigidTransform":
        """Return the same motion written about another centre."""
        return from_matrix(self.matrix, self.apply(np.asarray(center_mm)) - center_mm, center_mm)


def from_affine_matrix(
    matrix: NDArray[np.floating], translation_mm: NDArray[np.floating], center_mm: Triple
) -> AffineTransform:
    """Write a (3, 3) matrix on (z, y, x) vectors and a translation of the centre as a rotation after a stretch."""
    left, stretches, right = np.linalg.svd(np.asarray(matrix, float))
    rotation = from_matrix(left @ right, translation_mm, center_mm)
    strain = (right.T * stretches) @ right - np.eye(3)
    strain = 0.5 * (strain + strain.T)
    z, y, x = (_triple(row) for row in strain)
    return AffineTransform(rotation.rotation_deg, rotation.translation_mm, center_mm, (z, y, x))


def read_transform(stored: Mapping[str, Any]) -> AffineTransform:
    """Read a motion as summary.json and the journal write it; `strain` stands only where the body stretches."""
    rotation, translation, center = (
        (float(z), float(y), float(x))
        for z, y, x in (stored[key] for key in ("rotation_deg", "translation_mm", "center_mm"))
    )
    strain = stored.get("strain")
    if strain is None:
        return RigidTransform(rotation, translation, center)
    z, y, x = (_triple(np.asarray(row, float)) for row in strain)
    return AffineTransform(rotation, translation, center, (z, y, x))


def _checked_strain(strain: Strain) -> Strain:
    """Refuse what is not symmetric, or turns the body inside out."""
    values = np.asarray(strain, float)
    sound = values.shape == (3, 3) and bool(np.isfinite(values).all()) and np.array_equal(values, values.T)
    if not sound or np.linalg.eigvalsh(np.eye(3) + values)[0] <= 0:
        raise InputError(
            f"strain: found {strain}, expected a symmetric 3 x 3 matrix (z, y, x) of finite numbers that leaves "
            "every length above zero"
        )
    z, y, x = (_triple(row) for row in values)
    return z, y, x


def _triple(values: NDArray[np.floating]) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])


def from_matrix(
    matrix: NDArray[np.floating], translation_mm: NDArray[np.floating], center_mm: Triple
) -> RigidTransform:
    """Write a rotation matrix on (z, y, x) vectors and a translation of the centre as a transform."""
    vector = np.degrees(_vector_from_matrix(np.asarray(matrix, float)))
    return RigidTransform(_triple(vector), _triple(np.asarray(translation_mm)), center_mm)


def _matrix_from_vector(vector_zyx: Float) -> Float:
    """Rodrigues' formula; the cross product is taken in (x, y, z) and written in (z, y, x)."""
    angle = float(np.linalg.norm(vector_zyx))
    z, y, x = vector_zyx
    # rows and columns in (z, y, x): w x r with w = (x, y, z)
    cross = np.array([[0.0, x, -y], [-x, 0.0, z], [y, -z, 0.0]])
    half = np.sinc(angle / (2 * np.pi))
    result: Float = np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * half**2 * (cross @ cross)
    return result


def _vector_from_matrix(matrix: Float) -> Float:
    skew = 0.5 * np.array(
        [matrix[1, 2] - matrix[2, 1], matrix[2, 0] - matrix[0, 2], matrix[0, 1] - matrix[1, 0]]
    )
    sine = float(np.linalg.norm(skew))
    angle = float(np.arctan2(sine, 0.5 * (np.trace(matrix) - 1)))
    if sine < 1e-12:
        if angle > 1:
            raise InputError("rotation: 180 degrees have no unique rotation vector; expected less")
        return skew
    return skew * (angle / sine)


def view_weights(angles: NDArray[np.floating], *, circle: float = np.pi) -> Float:
    """Weights that make back-projection independent of how the views are spaced.

    A parallel view at theta and its mirror at theta + pi see the same lines, so the weight of a view is half
    the distance between its neighbours on a circle of circumference pi; views that coincide share one weight.

    Parameters
    ----------
    angles : (angle,) array
        Radians, in any order, any range.
    circle : float
        Turn after which views repeat: 2 pi where opposite views do not see the same lines.

    Returns
    -------
    (angle,) float64 array
        Sums to pi.

    Raises
    ------
    InputError
        If there are no angles or one is not finite.
    """
    theta = np.asarray(angles, float).ravel()
    if theta.size == 0 or not np.all(np.isfinite(theta)):
        raise InputError(
            f"angles: found {theta.size} values, some not finite; expected at least one finite angle"
        )
    # 1e-7 rad is a millionth of a pixel at any detector: views closer than that are the same view
    folded = np.round(np.mod(theta, circle) / 1e-7).astype(np.int64) % round(circle / 1e-7)
    unique, inverse, count = np.unique(folded, return_inverse=True, return_counts=True)
    if unique.size == 1:
        return np.full(theta.size, np.pi / theta.size)
    position = unique * 1e-7
    gap = np.diff(np.append(position, position[0] + circle))
    share = 0.5 * (gap + np.roll(gap, 1)) / count
    return np.asarray(share[inverse] * (np.pi / np.sum(share[inverse])), float)
