"""How every view of a scan sees the volume: one small matrix per view.

A matrix takes the homogeneous point (x, y, z, 1), in millimetres with the centre of voxel 0 at 0, to detector
pixels: parallel beam (2 x 4) to (column, row), cone beam (3 x 4) to (column w, row w, w), where w is the distance
from the source along the beam divided by that of the rotation axis. Whatever the instrument does (centre, tilt,
shifts of single views) and wherever the sample stands is part of the matrix, so that nothing is resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform

Float = NDArray[np.float64]
Point = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class ScanGeometry:
    """Matrices of all views, and the detector's size. Immutable: every method returns a new geometry.

    Attributes
    ----------
    matrices : (view, 2 or 3, 4) float64 array
        On (x, y, z, 1), millimetres; two rows for parallel rays, three for a cone.
    detector_shape : (rows, columns)
    """

    matrices: Float
    detector_shape: tuple[int, int]

    def __post_init__(self) -> None:
        matrices = np.array(self.matrices, np.float64)
        if matrices.ndim != 3 or matrices.shape[0] == 0 or matrices.shape[1:] not in ((2, 4), (3, 4)):
            raise InputError(f"matrices: found shape {matrices.shape}, expected (view, 2 or 3, 4)")
        if not np.all(np.isfinite(matrices)):
            raise InputError("matrices: found numbers that are not finite")
        independence = _independence(matrices[:, :, :3])
        if np.any(independence < 1e-6):
            raise InputError(
                f"matrices: view {int(np.argmin(independence))} sees the volume edge-on; "
                "expected rows that are independent"
            )
        rows, columns = (int(n) for n in self.detector_shape)
        if min(rows, columns) < 1:
            raise InputError(
                f"detector_shape: found {(rows, columns)} (rows, columns), expected positive numbers"
            )
        matrices.setflags(write=False)
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "detector_shape", (rows, columns))

    @property
    def is_cone(self) -> bool:
        """Whether the rays come from a point."""
        return bool(self.matrices.shape[1] == 3)

    def __len__(self) -> int:
        """Views."""
        return int(self.matrices.shape[0])

    def see(self, points_mm: ArrayLike) -> Float:
        """Detector position of points.

        Parameters
        ----------
        points_mm : (..., 3) array
            (z, y, x).

        Returns
        -------
        (view, ..., 2) float64 array
            (column, row).
        """
        points = np.asarray(points_mm, np.float64)
        homogeneous = np.concatenate([points[..., ::-1], np.ones((*points.shape[:-1], 1))], axis=-1)
        seen = np.einsum("vij,...j->v...i", self.matrices, homogeneous)
        return np.asarray(seen[..., :2] / seen[..., 2:] if self.is_cone else seen)

    def views(self, chosen: slice | ArrayLike) -> "ScanGeometry":
        """Return some of the views, in the given order."""
        index = chosen if isinstance(chosen, slice) else np.asarray(chosen)
        return ScanGeometry(self.matrices[index], self.detector_shape)

    def of_moved_volume(self, transform: RigidTransform) -> "ScanGeometry":
        """Return how the same views see a grid whose point p lies at `transform` (p) in this volume.

        With the transform of a registration (reference to moving coordinates) and the geometry of the moving
        scan, this reconstructs the moving scan straight onto the reference grid.
        """
        motion = np.eye(4)
        motion[:3, :3] = transform.matrix[::-1, ::-1]
        motion[:3, 3] = transform.apply(np.zeros(3))[::-1]
        return ScanGeometry(self.matrices @ motion, self.detector_shape)

    def on_detector(self, change: ArrayLike, detector_shape: tuple[int, int] | None = None) -> "ScanGeometry":
        """Return the geometry after an affine change of detector positions.

        Parameters
        ----------
        change : (2, 3) or (view, 2, 3) array
            Maps (column, row, 1) to the new (column, row).
        detector_shape : (rows, columns), optional
            Unchanged by default.
        """
        affine = np.broadcast_to(np.asarray(change, np.float64), (len(self), 2, 3))
        if self.is_cone:
            last = np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(self), 1, 3))
            moved = np.concatenate([affine, last], axis=1) @ self.matrices
        else:
            moved = affine[:, :, :2] @ self.matrices
            moved[:, :, 3] += affine[:, :, 2]
        return ScanGeometry(moved, detector_shape or self.detector_shape)

    def shifted(self, columns: ArrayLike = 0.0, rows: ArrayLike = 0.0) -> "ScanGeometry":
        """Return the geometry with every image moved by so many pixels; a number, or one for each view."""
        shift = np.stack(np.broadcast_arrays(columns, rows, np.zeros(len(self)))[:2], axis=-1)
        change = np.zeros((len(self), 2, 3))
        change[:, :, :2], change[:, :, 2] = np.eye(2), shift
        return self.on_detector(change)

    def detector_turned(self, degrees: float, *, about: tuple[float, float]) -> "ScanGeometry":
        """Return the geometry with every image turned in its plane, columns towards rows, about (column, row)."""
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.array([[cosine, -sine], [sine, cosine]])
        return self.on_detector(np.column_stack([turn, np.asarray(about) - turn @ about]))

    def binned(self, pixels: int) -> "ScanGeometry":
        """Return the geometry of images in which `pixels` x `pixels` pixels became one; a remainder is cut off."""
        if pixels < 1:
            raise InputError(f"pixels: found {pixels}, expected at least 1")
        offset = -(pixels - 1) / (2 * pixels)
        rows, columns = self.detector_shape
        change = [[1 / pixels, 0, offset], [0, 1 / pixels, offset]]
        return self.on_detector(change, (rows // pixels, columns // pixels))

    def cropped(self, rows: slice, columns: slice = slice(None)) -> "ScanGeometry":
        """Return the geometry of a part of the detector; slices with a step of 1."""
        first = [part.indices(n)[:2] for part, n in zip((rows, columns), self.detector_shape, strict=True)]
        (row, row_end), (column, column_end) = first
        return self.shifted(-column, -row).on_detector(np.eye(2, 3), (row_end - row, column_end - column))

    def index_matrices(self, voxel_size_mm: float, start: Sequence[float] = (0, 0, 0)) -> Float:
        """Matrices on voxel indices (x, y, z, 1) of a grid whose voxel 0 is voxel `start` (z, y, x)."""
        scale = np.eye(4)
        scale[:3, :3] *= voxel_size_mm
        scale[:3, 3] = np.asarray(start, np.float64)[::-1] * voxel_size_mm
        return self.matrices @ scale

    @property
    def directions(self) -> Float:
        """(view, 3) unit vectors (x, y, z) along the rays; in a cone along its axis, normal to the detector."""
        along = (
            self.matrices[:, 2, :3] if self.is_cone else np.cross(*np.moveaxis(self.matrices[:, :, :3], 1, 0))
        )
        return np.asarray(along / np.linalg.norm(along, axis=1, keepdims=True))

    @property
    def sources_mm(self) -> Float:
        """(view, 3) positions (x, y, z) of the source; cone beam only."""
        if not self.is_cone:
            raise InputError("sources_mm: parallel rays have no source")
        return np.asarray(np.linalg.solve(self.matrices[:, :, :3], -self.matrices[:, :, 3:])[..., 0])


def parallel_geometry(
    angles: ArrayLike,
    *,
    detector_shape: tuple[int, int],
    center: float,
    pixel_size_mm: float,
    middle_mm: Point,
    center_row: float | None = None,
    tilt_deg: float = 0.0,
    roll_deg: float = 0.0,
    direction: int = 1,
) -> ScanGeometry:
    """Views of a sample that turns in parallel rays.

    Parameters
    ----------
    angles : (angle,) array
        Radians. The view at angle 0 sees x along the columns; the rays run towards +y.
    detector_shape : (rows, columns)
    center : float
        Column of the rotation axis in the row `center_row`.
    pixel_size_mm : float
    middle_mm : (z, y, x)
        Point of the rotation axis that is seen at (center, center_row); see `middle_of`.
    center_row : float, optional
        The middle of the detector by default.
    tilt_deg : float
        Lean of the axis along the beam: positive when the end of large z leans towards the detector.
    roll_deg : float
        Turn of the axis in the image: positive when the centre grows with the row.
    direction : {1, -1}
        -1 for angles that count the other way.

    Returns
    -------
    ScanGeometry

    Raises
    ------
    InputError
        If a number is out of range.
    """
    instrument = _Instrument(center, center_row, pixel_size_mm, middle_mm, tilt_deg, roll_deg, direction)
    camera = instrument.camera(angles)
    matrices = camera[:, :2] / pixel_size_mm
    matrices[:, :, 3] += instrument.seen_at(detector_shape)
    return ScanGeometry(matrices, detector_shape)


def cone_geometry(
    angles: ArrayLike,
    *,
    detector_shape: tuple[int, int],
    center: float,
    pixel_size_mm: float,
    middle_mm: Point,
    source_axis_mm: float,
    source_detector_mm: float,
    center_row: float | None = None,
    tilt_deg: float = 0.0,
    roll_deg: float = 0.0,
    direction: int = 1,
) -> ScanGeometry:
    """Views of a sample that turns in rays from a point.

    The ray to (center, center_row) meets the axis and is normal to the detector. A detector that is displaced
    is described by its other `center`; one that is turned by `ScanGeometry.detector_turned`.

    Parameters
    ----------
    angles, detector_shape, center, middle_mm, center_row, tilt_deg, roll_deg, direction
        As in `parallel_geometry`.
    pixel_size_mm : float
        Of the detector itself; at the axis it is smaller by the magnification
        `source_detector_mm` / `source_axis_mm`.
    source_axis_mm, source_detector_mm : float
        Distances of the rotation axis and of the detector from the source.

    Returns
    -------
    ScanGeometry

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not (0 < source_axis_mm <= source_detector_mm < np.inf):
        raise InputError(
            f"source_axis_mm, source_detector_mm: found {source_axis_mm}, {source_detector_mm}; "
            "expected positive distances, the detector behind the axis"
        )
    instrument = _Instrument(center, center_row, pixel_size_mm, middle_mm, tilt_deg, roll_deg, direction)
    camera = instrument.camera(angles)
    camera[:, :2] *= source_detector_mm / (source_axis_mm * pixel_size_mm)
    camera[:, 2] /= source_axis_mm
    camera[:, 2, 3] += 1
    camera[:, :2] += instrument.seen_at(detector_shape)[:, None] * camera[:, 2:]
    return ScanGeometry(camera, detector_shape)


def middle_of(volume_shape: tuple[int, int, int], voxel_size_mm: float) -> Point:
    """Middle of a volume, (z, y, x) mm, with the centre of voxel 0 at 0."""
    z, y, x = (0.5 * (n - 1) * voxel_size_mm for n in volume_shape)
    return z, y, x


@dataclass(frozen=True)
class _Instrument:
    """What parallel and cone beam have in common; fields as in `parallel_geometry`."""

    center: float
    center_row: float | None
    pixel_size_mm: float
    middle_mm: Point
    tilt_deg: float
    roll_deg: float
    direction: int

    def __post_init__(self) -> None:
        for name in ("center", "tilt_deg", "roll_deg"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name}: found {getattr(self, name)}, expected a finite number")
        if not (np.isfinite(self.pixel_size_mm) and self.pixel_size_mm > 0):
            raise InputError(f"pixel_size_mm: found {self.pixel_size_mm}, expected a positive length")
        if self.direction not in (1, -1):
            raise InputError(f"direction: found {self.direction}, expected 1 or -1")
        if len(self.middle_mm) != 3 or not np.all(np.isfinite(self.middle_mm)):
            raise InputError(f"middle_mm: found {self.middle_mm}, expected three finite numbers (z, y, x)")

    def seen_at(self, detector_shape: tuple[int, int]) -> Float:
        """(column, row) of the middle."""
        row = (detector_shape[0] - 1) / 2 if self.center_row is None else self.center_row
        return np.array([self.center, row])

    def camera(self, angles: ArrayLike) -> Float:
        """(view, 3, 4) matrices to (along columns, along rows, along the beam) in mm from the middle."""
        theta = _check_angles(angles) * self.direction
        cosine, sine = np.cos(theta), np.sin(theta)
        turn = np.zeros((theta.size, 3, 3))
        turn[:, 0, 0], turn[:, 0, 1] = cosine, sine
        turn[:, 2, 0], turn[:, 2, 1] = -sine, cosine
        turn[:, 1, 2] = 1
        rotation = self._lean() @ turn
        offset = -rotation @ np.asarray(self.middle_mm, np.float64)[::-1]
        return np.concatenate([rotation, offset[:, :, None]], axis=2)

    def _lean(self) -> Float:
        tilt, roll = np.radians([self.tilt_deg, self.roll_deg])
        along = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
        inside = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return np.asarray(inside @ along)


def _check_angles(angles: ArrayLike) -> Float:
    theta = np.asarray(angles, np.float64)
    if theta.ndim != 1 or theta.size == 0 or not np.all(np.isfinite(theta)):
        raise InputError(f"angles: found shape {theta.shape}, expected at least one finite angle in radians")
    return theta


def _independence(matrices: Float) -> Float:
    """Smallest singular value of every matrix after its rows were made unit vectors; 0 when they depend."""
    length = np.linalg.norm(matrices, axis=2, keepdims=True)
    rows = np.divide(matrices, length, out=np.zeros_like(matrices), where=length > 0)
    return np.asarray(np.linalg.svd(rows, compute_uv=False)[:, -1])
