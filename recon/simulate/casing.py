"""Line integrals through sleeve and housing, exact: tilted cylinders, and a notch cut out of the housing.

A ray of the view at angle theta through the detector point (u, v), in mm from the rotation axis and from
row 0, is the line {(z, y, x) = (v, y0 + u sin(theta), x0 + u cos(theta)) + t (0, cos(theta), −sin(theta))}.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.simulate.cell import Cell

Array = NDArray[np.float32]
Float = NDArray[np.float64]

NOTCH_SIDE_MM = 1.0
NOTCH_AZIMUTH_DEG = 200.0
NOTCH_HEIGHT_MM = 0.1


@dataclass(frozen=True)
class Rays:
    """All rays of one view, (row, column).

    Attributes
    ----------
    theta : float
        Radians.
    u_mm : (row, column) or broadcastable array
        Distance from the rotation axis.
    v_mm : (row, column) or broadcastable array
        Position along the rotation axis.
    """

    theta: float
    u_mm: Float
    v_mm: Float

    @property
    def direction(self) -> Float:
        """Unit vector (z, y, x)."""
        return np.array([0.0, np.cos(self.theta), -np.sin(self.theta)])

    def across(self) -> Float:
        """Direction of increasing column."""
        return np.array([0.0, np.sin(self.theta), np.cos(self.theta)])


@dataclass(frozen=True)
class Casing:
    """Sleeve and housing around the bore in the pose of one scan.

    Attributes
    ----------
    cell : Cell
    pose : RigidTransform
        Sample → scan.
    axis_mm : (2,) array
        Position (y, x) of the rotation axis in the scan.
    sleeve, housing : (channel,) array
        Attenuation, cm⁻¹.
    """

    cell: Cell
    pose: RigidTransform
    axis_mm: Float
    sleeve: Float
    housing: Float

    def line_integrals(self, rays: Rays) -> Array:
        """Attenuation integrals (channel, row, column) of sleeve and housing without the notch."""
        distance, secant = self._axis_distance(rays)
        squared = np.square(distance, out=distance)
        chords = [_chord(squared, radius) for radius in self._radii()]
        for chord in chords:
            chord *= np.float32(2 * secant / 10)
        bore, sleeve, housing = chords
        housing -= sleeve
        sleeve -= bore
        return np.stack(
            [
                np.float32(a) * sleeve + np.float32(b) * housing
                for a, b in zip(self.sleeve, self.housing, strict=True)
            ]
        )

    def notch_chord(self, rays: Rays) -> Array:
        """Length in cm of every ray inside the notch."""
        origin, direction = self._in_sample(rays)
        half, outer = NOTCH_SIDE_MM / 2, self.cell.housing_mm
        low, high = _cylinder(origin, direction, outer)
        slabs = (
            (NOTCH_HEIGHT_MM - half, NOTCH_HEIGHT_MM + half),
            (-half, half),
            (outer - NOTCH_SIDE_MM, 2 * outer),
        )
        for axis, (start, stop) in enumerate(slabs):
            near, far = _slab(origin[axis], direction[axis], start, stop)
            low, high = np.maximum(low, near), np.minimum(high, far)
        # rays that miss the cylinder run from +inf to −inf
        result: Array = np.maximum(high - low, 0) / np.float32(10)
        return result

    def in_notch(self, points_mm: Float) -> NDArray[np.bool_]:
        """Whether points (..., 3), (z, y, x) in the sample, lie in the notch."""
        z, y, x = np.moveaxis(points_mm @ _notch_rotation().T, -1, 0)
        half, outer = NOTCH_SIDE_MM / 2, self.cell.housing_mm
        beside = (np.abs(z - NOTCH_HEIGHT_MM) < half) & (np.abs(y) < half)
        return np.asarray(beside & (x > outer - NOTCH_SIDE_MM) & (np.hypot(x, y) < outer))

    def notch_shadow(self, theta: float) -> tuple[float, float, float, float]:
        """Rectangle (v start, v stop, u start, u stop) in mm outside which no ray meets the notch."""
        center = np.array([NOTCH_HEIGHT_MM, 0.0, self.cell.housing_mm - NOTCH_SIDE_MM / 2])
        z, y, x = self.pose.apply(_from_notch(center))
        u = (x - self.axis_mm[1]) * np.cos(theta) + (y - self.axis_mm[0]) * np.sin(theta)
        # half a side and what the tilt adds; half a diagonal and what the curved outside adds
        half, across = 0.55 * NOTCH_SIDE_MM, 0.75 * NOTCH_SIDE_MM
        return z - half, z + half, u - across, u + across

    def _radii(self) -> tuple[float, float, float]:
        return self.cell.radius_mm, self.cell.sleeve_mm, self.cell.housing_mm

    def _axis_distance(self, rays: Rays) -> tuple[Array, float]:
        """Distance of every ray from the axis of the bore, and the stretch of its chord by the tilt."""
        axis = self.pose.matrix[:, 0]
        normal = np.cross(rays.direction, axis)
        length = float(np.linalg.norm(normal))
        normal /= length
        start = np.array([0.0, *self.axis_mm]) - self.pose.apply(np.zeros(3))
        offset = float(start @ normal)
        along = (rays.v_mm * normal[0] + offset).astype(np.float32)
        distance = (rays.u_mm * float(rays.across() @ normal)).astype(np.float32) + along
        return np.asarray(distance), 1.0 / length

    def _in_sample(self, rays: Rays) -> tuple[list[Array], Float]:
        """Origins (z, y, x) and direction of the rays, in the sample turned to the notch."""
        turn = _notch_rotation() @ self.pose.matrix.T
        start = _notch_rotation() @ self.pose.inverse().apply(np.array([0.0, *self.axis_mm]))
        across, along = turn @ rays.across(), turn[:, 0]
        origin = [
            (rays.u_mm * across[axis]).astype(np.float32)
            + (rays.v_mm * along[axis] + start[axis]).astype(np.float32)
            for axis in range(3)
        ]
        return origin, turn @ rays.direction


def _chord(distance_squared: Array, radius: float) -> Array:
    half = np.float32(radius**2) - distance_squared
    np.maximum(half, 0, out=half)
    result: Array = np.sqrt(half, out=half)
    return result


def _notch_rotation() -> Float:
    """Turn (z, y, x) so that the notch points along x."""
    azimuth = np.radians(NOTCH_AZIMUTH_DEG)
    c, s = np.cos(azimuth), np.sin(azimuth)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _from_notch(point: Float) -> Float:
    return np.asarray(_notch_rotation().T @ point)


def _slab(origin: Array, direction: float, start: float, stop: float) -> tuple[Array, Array]:
    """Enter and leave start ≤ origin + t direction ≤ stop."""
    # a ray exactly along the slab is tilted by less than a micrometre over the cell
    slope = np.float32(1 / direction if abs(direction) > 1e-7 else 1e7)
    first, second = (np.float32(start) - origin) * slope, (np.float32(stop) - origin) * slope
    return np.minimum(first, second), np.maximum(first, second)


def _cylinder(origin: list[Array], direction: Float, radius: float) -> tuple[Array, Array]:
    """Enter and leave an infinite cylinder about z."""
    a = np.float32(direction[1] ** 2 + direction[2] ** 2)
    b = origin[1] * np.float32(direction[1]) + origin[2] * np.float32(direction[2])
    inside = b * b - a * (origin[1] ** 2 + origin[2] ** 2 - np.float32(radius**2))
    root = np.sqrt(np.maximum(inside, 0))
    missed = inside <= 0
    infinite = np.float32(np.inf)
    return np.where(missed, infinite, (-b - root) / a), np.where(missed, -infinite, (-b + root) / a)
