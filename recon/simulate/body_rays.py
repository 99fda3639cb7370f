"""Exact line integrals of bodies along the rays of any scan geometry: closed-form truth for cone beam and poses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.rays import ray_maps
from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry

Float = NDArray[np.float64]
MM_PER_CM = 10.0


class Body(Protocol):
    """A uniform body: what it adds to the attenuation, how long a ray runs in it, which points it holds."""

    @property
    def value(self) -> float:
        """Attenuation inside, cm⁻¹."""

    def chords(self, point: Float, toward: Float) -> Float:
        """Lengths inside along rays through points (x, y, z) with unit directions."""

    def holds(self, points: Float) -> NDArray[np.bool_]:
        """Whether points (..., 3), (x, y, z), lie inside."""


@dataclass(frozen=True)
class Cylinder:
    """A uniform round cylinder whose axis runs along z, millimetres.

    Attributes
    ----------
    value : float
        cm⁻¹.
    radius, bottom, top : float
        From z = bottom to z = top.
    x, y : float
        Of the axis.
    """

    value: float
    radius: float
    bottom: float
    top: float
    x: float = 0.0
    y: float = 0.0

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.top > self.bottom and np.isfinite(self.value)):
            raise InputError(f"cylinder: found {self}, expected a positive radius and height, a finite value")

    def chords(self, point: Float, toward: Float) -> Float:
        """Overlap of the ray's ways between the two faces and through the endless cylinder."""
        p, q = point[..., :2] - [self.x, self.y], toward[..., :2]
        half, squared = np.sum(p * q, axis=-1), np.maximum(np.sum(q * q, axis=-1), 1e-24)
        left = half**2 - squared * (np.sum(p * p, axis=-1) - self.radius**2)
        reach = np.sqrt(np.maximum(left, 0)) / squared
        # a ray within the faces' planes never leaves them: the division must not lose its sign
        rise = np.where(np.abs(toward[..., 2]) < 1e-12, 1e-12, toward[..., 2])
        faces = np.stack([(self.bottom - point[..., 2]) / rise, (self.top - point[..., 2]) / rise])
        begin = np.maximum(faces.min(axis=0), -half / squared - reach)
        end = np.minimum(faces.max(axis=0), -half / squared + reach)
        return np.asarray(np.where(left > 0, np.maximum(end - begin, 0), 0))

    def holds(self, points: Float) -> NDArray[np.bool_]:
        """Whether points (..., 3), (x, y, z), lie inside."""
        radius = np.hypot(points[..., 0] - self.x, points[..., 1] - self.y)
        return np.asarray(
            (radius < self.radius) & (points[..., 2] > self.bottom) & (points[..., 2] < self.top)
        )


def ray_integrals(bodies: Sequence[Body], geometry: ScanGeometry, *, samples: int = 1) -> NDArray[np.float32]:
    """Line integrals of bodies, averaged over the area of each pixel.

    Parameters
    ----------
    bodies : sequence of Body
        `Ellipsoid` or `Cylinder`: value in cm⁻¹, lengths and positions in the millimetres of the volume, whose
        voxel 0 is at 0.
    geometry : ScanGeometry
    samples : int
        Rays per pixel along columns and along rows.

    Returns
    -------
    (view, row, column) float32 array
        Dimensionless.

    Raises
    ------
    InputError
        If `samples` is not positive.
    """
    _check_samples(samples)
    rows, columns = (_places(n, samples) for n in geometry.detector_shape)
    pixels = np.stack(np.broadcast_arrays(1.0, columns[None, :], rows[:, None]), axis=-1)
    views = np.empty((len(geometry), *geometry.detector_shape), np.float32)
    for view, rays in enumerate(ray_maps(geometry.matrices)):
        point, toward = pixels @ rays[0], pixels @ rays[1]
        toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
        total = sum((body.value * body.chords(point, toward) for body in bodies), np.zeros(point.shape[:2]))
        fine = total.reshape(geometry.detector_shape[0], samples, geometry.detector_shape[1], samples)
        views[view] = fine.mean(axis=(1, 3)) / MM_PER_CM
    return views


def voxel_means(
    bodies: Sequence[Body], shape: tuple[int, int, int], *, voxel_size_mm: float, samples: int = 4
) -> NDArray[np.float32]:
    """Attenuation averaged over every voxel, from `samples` points along each of its edges.

    Parameters
    ----------
    bodies : sequence of Body
        As in `ray_integrals`.
    shape : (z, y, x)
    voxel_size_mm : float
    samples : int

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If `samples` is not positive.
    """
    _check_samples(samples)
    z, y, x = (voxel_size_mm * _places(n, samples) for n in shape)
    means = np.empty(shape, np.float32)
    for index, heights in enumerate(z.reshape(-1, samples)):
        points = np.stack(np.broadcast_arrays(x, y[:, None], heights[:, None, None]), axis=-1)
        value = sum((body.value * body.holds(points) for body in bodies), np.zeros(points.shape[:-1]))
        means[index] = value.reshape(samples, shape[1], samples, shape[2], samples).mean(axis=(0, 2, 4))
    return means


def _places(pixels: int, samples: int) -> Float:
    return (np.arange(pixels * samples) + 0.5) / samples - 0.5


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise InputError(f"samples: found {samples}, expected at least 1")
