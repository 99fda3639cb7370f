"""Where things are: rigid motions of a volume and the angles of the views.

Conventions (docs/architecture.md): points are (z, y, x) in millimetres, the centre of voxel 0 is at 0.
A view at angle theta sees the point (x, y) at column = center + [(x - x0) cos(theta) + (y - y0) sin(theta)] / pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class RigidTransform:
    """A rotation about a centre followed by a translation, on (z, y, x) points in mm.

    Attributes
    ----------
    rotation_deg : tuple of 3 floats
        Rotation vector in (z, y, x) order, degrees, right-handed in (x, y, z):
        a positive first component turns x towards y.
    translation_mm : tuple of 3 floats
        Displacement of `center_mm`, (z, y, x).
    center_mm : tuple of 3 floats
        The point about which it turns, (z, y, x).
    """

    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    translation_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    center_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("rotation_deg", "translation_mm", "center_mm"):
            values = tuple(float(v) for v in getattr(self, name))
            if len(values) != 3 or not np.all(np.isfinite(values)):
                raise InputError(f"{name}: found {values}, expected three finite numbers (z, y, x)")
            object.__setattr__(self, name, values)

    @property
    def matrix(self) -> Float:
        """The (3, 3) rotation matrix on (z, y, x) vectors."""
        return _matrix_from_vector(np.radians(self.rotation_deg))

    def apply(self, points_mm: NDArray[np.floating]) -> Float:
        """Move points of shape (..., 3)."""
        center = np.asarray(self.center_mm)
        moved: Float = (np.asarray(points_mm, float) - center) @ self.matrix.T + center + self.translation_mm
        return moved

    def inverse(self) -> "RigidTransform":
        """Return the motion that undoes this one, turning about the same centre."""
        return from_matrix(self.matrix.T, -self.matrix.T @ np.asarray(self.translation_mm), self.center_mm)

    def __matmul__(self, first: "RigidTransform") -> "RigidTransform":
        """Return `first`, then `self`, as one motion about the centre of `first`."""
        center = np.asarray(first.center_mm)
        return from_matrix(
            self.matrix @ first.matrix, self.apply(first.apply(center)) - center, first.center_mm
        )

    def about(self, center_mm: tuple[float, float, float]) -> "RigidTransform":
        """Return the same motion written about another centre."""
        return from_matrix(self.matrix, self.apply(np.asarray(center_mm)) - center_mm, center_mm)

    def index_affine(self, voxel_from_mm: float, voxel_to_mm: float) -> Float:
        """(3, 4) matrix from voxel indices of one grid to voxel indices of another.

        Parameters
        ----------
        voxel_from_mm, voxel_to_mm : float
            Voxel sizes of the grid that is asked and of the grid that answers.
        """
        offset = self.apply(np.zeros(3))
        return np.column_stack([self.matrix * (voxel_from_mm / voxel_to_mm), offset / voxel_to_mm])


def from_matrix(
    matrix: NDArray[np.floating], translation_mm: NDArray[np.floating], center_mm: tuple[float, float, float]
) -> RigidTransform:
    """Write a rotation matrix on (z, y, x) vectors and a translation of the centre as a transform."""
    vector = np.degrees(_vector_from_matrix(np.asarray(matrix, float)))
    return RigidTransform(
        (float(vector[0]), float(vector[1]), float(vector[2])),
        (float(translation_mm[0]), float(translation_mm[1]), float(translation_mm[2])),
        center_mm,
    )


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
