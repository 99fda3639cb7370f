"""Exact line integrals of ellipsoids along the rays of any scan geometry: closed-form truth for cone beam and poses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.rays import ray_maps
from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.simulate.ellipses import Ellipsoid

Float = NDArray[np.float64]
MM_PER_CM = 10.0


def ray_integrals(
    ellipsoids: Sequence[Ellipsoid], geometry: ScanGeometry, *, samples: int = 1
) -> NDArray[np.float32]:
    """Line integrals of ellipsoids, averaged over the area of each pixel.

    Parameters
    ----------
    ellipsoids : sequence of Ellipsoid
        Value in cm⁻¹, lengths and positions in the millimetres of the volume, whose voxel 0 is at 0.
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
        total = sum(
            (_chords(part, point, toward) * part.value for part in ellipsoids), np.zeros(point.shape[:2])
        )
        fine = total.reshape(geometry.detector_shape[0], samples, geometry.detector_shape[1], samples)
        views[view] = fine.mean(axis=(1, 3)) / MM_PER_CM
    return views


def voxel_means(
    ellipsoids: Sequence[Ellipsoid], shape: tuple[int, int, int], *, voxel_size_mm: float, samples: int = 4
) -> NDArray[np.float32]:
    """Attenuation averaged over every voxel, from `samples` points along each of its edges.

    Parameters
    ----------
    ellipsoids : sequence of Ellipsoid
        As in `ray_integrals`.
    shape : (z, y, x)
    voxel_size_mm : float
    samples : int

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹.
    """
    _check_samples(samples)
    z, y, x = (voxel_size_mm * _places(n, samples) for n in shape)
    means = np.empty(shape, np.float32)
    for index, heights in enumerate(z.reshape(-1, samples)):
        points = np.stack(np.broadcast_arrays(x, y[:, None], heights[:, None, None]), axis=-1)
        value = sum((part.value * _within(part, points) for part in ellipsoids), np.zeros(points.shape[:-1]))
        means[index] = value.reshape(samples, shape[1], samples, shape[2], samples).mean(axis=(0, 2, 4))
    return means


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise InputError(f"samples: found {samples}, expected at least 1")


def _places(pixels: int, samples: int) -> Float:
    return (np.arange(pixels * samples) + 0.5) / samples - 0.5


def _middle(part: Ellipsoid) -> Float:
    return np.array([part.x, part.y, part.z])


def _to_ball(part: Ellipsoid, vectors: Float) -> Float:
    """Vectors (x, y, z) in the frame in which the ellipsoid is the unit ball."""
    cosine, sine = np.cos(np.radians(part.turn_deg)), np.sin(np.radians(part.turn_deg))
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    return np.asarray(vectors @ turn.T / [part.semi_x, part.semi_y, part.semi_z])


def _within(part: Ellipsoid, points: Float) -> NDArray[np.bool_]:
    return np.asarray(np.sum(_to_ball(part, points - _middle(part)) ** 2, axis=-1) < 1)


def _chords(part: Ellipsoid, point: Float, toward: Float) -> Float:
    """Lengths inside the ellipsoid: 2 sqrt(disc) / |q|^2 of the quadratic |p + t q|^2 = 1 in the ball's frame."""
    p, q = _to_ball(part, point - _middle(part)), _to_ball(part, toward)
    squared = np.sum(q * q, axis=-1)
    half = np.sum(p * q, axis=-1)
    left = half**2 - squared * (np.sum(p * p, axis=-1) - 1)
    return np.asarray(2 * np.sqrt(np.maximum(left, 0)) / squared)
