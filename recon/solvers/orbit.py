"""How a sample turned, found from the matrices of its views: what filtering and weighting need to know."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Orbit:
    """The turn of a scan, in the coordinates of the volume.

    Attributes
    ----------
    axis : (3,) float64 array
        Unit vector (x, y, z) along the rotation axis, towards larger rows.
    angles : (view,) float64 array
        Radians about the axis, from an arbitrary start.
    slopes : (view,) float64 array
        Rows per column along the line that is perpendicular to the image of the axis.
    inclination : (view,) float64 array
        Sine of the angle between the rays and the axis: 1 unless the axis leans along the beam.
    pixel_size_mm : float
        Distance of two columns at the axis.
    """

    axis: Float
    angles: Float
    slopes: Float
    inclination: Float
    pixel_size_mm: float


def find_orbit(geometry: ScanGeometry) -> Orbit:
    """Find the rotation axis as the direction in which the rays' directions do not change.

    Raises
    ------
    InputError
        If the axis does not appear along the detector's rows, within 45 degrees.
    """
    toward = geometry.directions
    perspective = detector_vectors(geometry)
    axis = _rotation_axis(toward, perspective)
    along_column, along_row = np.moveaxis(perspective @ axis, 1, 0)
    if not np.all(along_row > np.abs(along_column)):
        raise InputError("geometry: the rotation axis is not seen along the detector's rows in every view")
    across = np.linalg.norm(np.cross(toward, axis), axis=1)
    return Orbit(
        axis,
        _turned_about(axis, toward),
        -along_column / along_row,
        across,
        float(1 / np.mean(np.linalg.norm(perspective[:, 0], axis=1))),
    )


def detector_vectors(geometry: ScanGeometry) -> Float:
    """(view, 2, 3): change of column and of row per millimetre, in the plane of the axis parallel to the detector."""
    linear = geometry.matrices[:, :2, :3]
    if not geometry.is_cone:
        return np.asarray(linear)
    normal = geometry.matrices[:, 2:, :3]
    principal = (linear @ normal.transpose(0, 2, 1)) / np.sum(normal**2, axis=2, keepdims=True)
    return np.asarray(linear - principal * normal)


def _rotation_axis(toward: Float, perspective: Float) -> Float:
    spread = toward - toward.mean(axis=0)
    strength, directions = np.linalg.eigh(spread.T @ spread)
    rows = perspective[:, 1].mean(axis=0)
    # one or two views define no axis: that of the detector's rows is as good as any
    axis = directions[:, 0] if strength[1] > 1e-9 * len(toward) else rows / np.linalg.norm(rows)
    return np.asarray(axis if axis @ rows > 0 else -axis)


def _turned_about(axis: Float, toward: Float) -> Float:
    first = np.cross(axis, toward[0])
    first /= np.linalg.norm(first)
    return np.asarray(np.arctan2(toward @ first, toward @ np.cross(first, axis)))
