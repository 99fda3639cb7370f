"""Line integrals through sleeve and housing, exact: tilted cylinders, and a notch cut out of the housing.

A ray of the view at angle theta through the detector point (u, v), in mm from the rotation axis and from row 0, is
the line {(z, y, x) = (v, y0 + u sin(theta), x0 + u cos(theta)) + t (0, cos(theta), −sin(theta))}.
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

    def notch_chord(self, rays: Rays) -> Float:
        """Length in cm of every ray inside the notch."""
        origin, direction = self._in_sample(rays)
        half, outer = NOTCH_SIDE_MM / 2, self.cell.housing_mm
        low, high = np.full(origin.shape[1:], -np.inf), np.full(origin.shape[1:], np.inf)
        slabs = (
            (NOTCH_HEIGHT_MM - half, NOTCH_HEIGHT_MM + half),
            (-half, half),
            (outer - NOTCH_SIDE_MM, 2 * outer),
        )
        for axis, (start, stop) in enumerate(slabs):
            near, far = _slab(origin[axis], direction[axis], start, stop)
            low, high = np.maximum(low, near), np.minimum(high, far)
        near, far = _cylinder(origin, direction, outer)
        return np.asarray(np.maximum(np.minimum(high, far) - np.maximum(low, near), 0) / 10)

    def notch_shadow(self, theta: float) -> tuple[float, float, float, float]:
        """Rectangle (v start, v stop, u start, u stop) in mm outside which no ray meets the notch."""
        center = np.array([NOTCH_HEIGHT_MM, 0.0, self.cell.housing_mm - NOTCH_SIDE_MM / 2])
        z, y, x = self.pose.apply(_from_notch(center))
        u = (x - self.axis_mm[1]) * np.cos(theta) + (y - self.axis_mm[0]) * np.sin(theta)
        # half diagonal of the notch, and the little that its curved outside sticks out
        reach = 0.9 * NOTCH_SIDE_MM
        return z - reach, z + reach, u - reach, u + reach

    def _radii(self) -> tuple[float, float, float]:
        return self.cell.radius_mm, self.cell.sleeve_mm, self.cell.housing_mm

    def _axis_distance(self, rays: Rays) -> tuple[Array, float]:
        """Distance of every ray from the axis of the bore, and the length of a chord per that of a level one."""
        axis = self.pose.matrix[:, 0]
        normal = np.cross(rays.direction, axis)
        length = float(np.linalg.norm(normal))
        normal /= length
        start = np.array([0.0, *self.axis_mm]) - self.pose.apply(np.zeros(3))
        offset = float(start @ normal)
        distance = rays.u_mm * float(rays.across() @ normal) + rays.v_mm * normal[0] + offset
        return np.asarray(distance, np.float32), 1.0 / length

    def _in_sample(self, rays: Rays) -> tuple[Float, Float]:
        """Origins (3, row, column) and direction of the rays, in the frame of the sample turned to the notch."""
        u, v = np.broadcast_arrays(rays.u_mm, rays.v_mm)
        across = rays.across()
        points = np.stack([v, self.axis_mm[0] + u * across[1], self.axis_mm[1] + u * across[2]], axis=-1)
        turn = _notch_rotation()
        origin = self.pose.inverse().apply(points) @ turn.T
        direction = turn @ (self.pose.matrix.T @ rays.direction)
        return np.moveaxis(origin, -1, 0), direction


def _chord(distance_squared: Array, radius: float) -> Array:
    half = np.float32(radius**2) - distance_squared
    np.maximum(half, 0, out=half)
    return np.sqrt(half, out=half)


def _notch_rotation() -> Float:
    """Turn (z, y, x) so that the notch points along x."""
    azimuth = np.radians(NOTCH_AZIMUTH_DEG)
    c, s = np.cos(azimuth), np.sin(azimuth)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _from_notch(point: Float) -> Float:
    return np.asarray(_notch_rotation().T @ point)


def _slab(origin: Float, direction: float, start: float, stop: float) -> tuple[Float, Float]:
    """Enter and leave start ≤ origin + t direction ≤ stop."""
    if abs(direction) < 1e-12:
        outside = (origin < start) | (origin > stop)
        return np.where(outside, np.inf, -np.inf), np.where(outside, -np.inf, np.inf)
    first, second = (start - origin) / direction, (stop - origin) / direction
    return np.minimum(first, second), np.maximum(first, second)


def _cylinder(origin: Float, direction: Float, radius: float) -> tuple[Float, Float]:
    """Enter and leave an infinite cylinder about z."""
    a = direction[1] ** 2 + direction[2] ** 2
    b = origin[1] * direction[1] + origin[2] * direction[2]
    c = origin[1] ** 2 + origin[2] ** 2 - radius**2
    inside = b**2 - a * c
    root = np.sqrt(np.maximum(inside, 0))
    missed = inside <= 0
    return np.where(missed, np.inf, (-b - root) / a), np.where(missed, -np.inf, (-b + root) / a)
