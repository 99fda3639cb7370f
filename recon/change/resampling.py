"""A registered volume on the grid of the reference, and what interpolation does to its noise."""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.warp import spline_coefficients, warp
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# planes beyond a slab that interpolation asks for: the neighbour, or what a spline's filter remembers
REACH_PLANES = {1: 1, 3: 12}
# steps of the fractional position in the table of variance factors of the cubic spline
_TABLE = 64
# a cardinal spline is below 1e-4 of its peak beyond this distance
_SPLINE_REACH = 7


def resample(
    volume: Any,
    transform: AffineTransform,
    *,
    voxel_size_mm: float,
    reference_shape: tuple[int, int, int] | None = None,
    z_range: tuple[int, int] | None = None,
    order: int = 1,
) -> Array:
    """Bring a registered volume onto the grid of the reference.

    Parameters
    ----------
    volume : (z, y, x) array, or anything that slices like one
        Only the planes that are needed are read.
    transform : AffineTransform
        Reference to moving coordinates, as `register` finds it.
    voxel_size_mm : float
        Of both grids.
    reference_shape : tuple of 3 ints, optional
        That of the volume when not given.
    z_range : (start, stop), optional
        Planes of the reference that are wanted; all when not given.
    order : {1, 3}
        Trilinear or cubic B-spline. Trilinear interpolation blurs an edge a little, and with it the noise,
        which `resample_sigma` takes into account; the spline does less of both, and overshoots at spots.

    Returns
    -------
    (z, y, x) float32 array
        NaN where the volume does not reach; on the device where the volume is.

    Raises
    ------
    InputError
        If a shape, range, size or order does not fit.
    """
    _check(volume, voxel_size_mm, order)
    xp = array_module(volume)
    shape, rows = _output(volume, reference_shape, z_range)
    affine = slab_affine(transform, voxel_size_mm, rows[0])
    first, last = _planes(affine, shape, volume.shape[0], REACH_PLANES[order])
    if last <= first:
        outside: Array = xp.full(shape, np.nan, np.float32)
        return outside
    affine[0, 3] -= first
    return warp(xp.asarray(volume[first:last], np.float32), affine, output_shape=shape, order=order)


def resample_cost(shape: tuple[int, int, int], *, order: int = 3) -> Cost:
    """Working memory of `resample` beside `resample_sigma`, with both results, per plane of the result.

    Planes of the input are those of the result and what interpolation reaches beyond them where the volumes are
    tilted against each other by half a degree at most.
    """
    plane = 4 * shape[1] * shape[2]
    tilted = round(0.01 * max(shape[1:]))
    reached = min(2 * REACH_PLANES[order] + tilted, shape[0])
    # the values and the coefficients of the spline
    reading = 2 if order == 3 else 1
    # the variance that is read, and the factors of interpolation
    return Cost((4 + reading) * plane, (reading + 1) * reached * plane)


def resample_sigma(
    sigma: Any,
    transform: AffineTransform,
    *,
    voxel_size_mm: float,
    voxel_autocorrelation: NDArray[np.floating],
    reference_shape: tuple[int, int, int] | None = None,
    z_range: tuple[int, int] | None = None,
    order: int = 1,
) -> Array:
    """Noise of a resampled volume: its interpolated variance times what interpolation makes of it.

    Parameters
    ----------
    sigma : (z, y, x) array, or anything that slices like one
        Standard deviation of every voxel of the volume before resampling.
    transform, voxel_size_mm, reference_shape, z_range, order
        As in `resample`. The variance itself is always interpolated linearly: it must not become negative.
    voxel_autocorrelation : (2r+1, 2r+1, 2r+1) array
        Correlation of the noise of voxels at a distance, 1 at the centre.

    Returns
    -------
    (z, y, x) float32 array
        NaN where the volume does not reach.

    Raises
    ------
    InputError
        If a shape, range, size, order or the autocorrelation does not fit.
    """
    _check(sigma, voxel_size_mm, order)
    shape, rows = _output(sigma, reference_shape, z_range)
    affine = slab_affine(transform, voxel_size_mm, rows[0])
    factor = resampling_variance_factor(
        affine, shape, voxel_autocorrelation=voxel_autocorrelation, order=order
    )
    first, last = _planes(affine, shape, sigma.shape[0], 1)
    if last <= first:
        return np.full(shape, np.nan, np.float32)
    affine[0, 3] -= first
    variance = warp(np.square(np.asarray(sigma[first:last], np.float32)), affine, output_shape=shape)
    variance *= factor
    return np.sqrt(variance, out=variance)


def resampling_variance_factor(
    affine: Float,
    shape: tuple[int, int, int],
    *,
    voxel_autocorrelation: NDArray[np.floating],
    order: int = 1,
) -> Array:
    """Factor by which interpolation changes the variance of the noise of each voxel.

    It is the sum over pairs of the voxels that are mixed, of their weights times their correlation. For
    trilinear weights that sum is itself trilinear in ``2 f (1 - f)`` of the fractional position f along each
    axis, between the eight correlations of nearest neighbours.

    Parameters
    ----------
    affine : (3, 4) array
        Output index to input index, as `slab_affine` makes it.
    shape : tuple of 3 ints
        Of the output.
    voxel_autocorrelation : (2r+1, 2r+1, 2r+1) array
        1 at the centre. Correlations beyond r count as 0.
    order : {1, 3}

    Returns
    -------
    (z, y, x) float32 array

    Raises
    ------
    InputError
        If the autocorrelation is not odd in shape, not finite, or not 1 at its centre.
    """
    correlation = _checked_autocorrelation(voxel_autocorrelation)
    table = spline_variance_table(correlation) if order == 3 else _neighbour_correlations(correlation)
    factor = np.empty(shape, np.float32)
    for z in range(shape[0]):
        fractions = _fractions(affine, z, shape[1], shape[2])
        factor[z] = _from_table(table, fractions) if order == 3 else _trilinear(table, fractions)
    return factor


def slab_affine(transform: AffineTransform, voxel_size_mm: float, first_plane: int) -> Float:
    """(3, 4) map from indices of a slab of the reference to indices of the moving volume."""
    affine = transform.index_affine(voxel_size_mm, voxel_size_mm)
    affine[:, 3] += affine[:, 0] * first_plane
    return affine


def spline_variance_table(correlation: Float) -> Float:
    """Variance factor of the cubic spline at `_TABLE` fractional positions along each axis, (n, n, n)."""
    radius = correlation.shape[0] // 2
    overlaps = _spline_overlaps(radius)
    table: Float = np.einsum("ai,bj,ck,ijk->abc", overlaps, overlaps, overlaps, correlation, optimize=True)
    return table


def _spline_overlaps(radius: int) -> Float:
    """Sum of products of the interpolation weights at a lag: (position, lag) for lags -radius to radius."""
    reach = _SPLINE_REACH + radius
    impulse = np.zeros((1, 1, 4 * reach + 1), np.float32)
    impulse[0, 0, 2 * reach] = 1
    coefficients = spline_coefficients(impulse)[0, 0].astype(float)
    positions = (np.arange(_TABLE) + 0.5) / _TABLE
    offsets = np.arange(-reach, reach + 1)
    distance = np.abs(
        2 * reach + positions[:, None, None] - offsets[None, :, None] - np.arange(coefficients.size)
    )
    weights = _cubic_b_spline(distance) @ coefficients
    lags = range(-radius, radius + 1)
    return np.stack([np.sum(weights * np.roll(weights, lag, axis=1), axis=1) for lag in lags], axis=1)


def _cubic_b_spline(distance: Float) -> Float:
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far)


def _neighbour_correlations(correlation: Float) -> Float:
    """Correlation at lags of 0 or 1 along each axis, (2, 2, 2), averaged over the signs of the lag."""
    radius = correlation.shape[0] // 2
    padded = np.pad(correlation, max(0, 1 - radius))
    center = padded.shape[0] // 2
    table = np.zeros((2, 2, 2))
    for lag in itertools.product((-1, 0, 1), repeat=3):
        at = tuple(abs(step) for step in lag)
        table[at] += padded[center + lag[0], center + lag[1], center + lag[2]] / 2 ** sum(at)
    return table


def _fractions(affine: Float, z: int, ny: int, nx: int) -> list[Array]:
    """Fractional positions of one output plane along each input axis."""
    fractions = []
    for row in affine:
        position = (row[0] * z + row[3] + row[1] * np.arange(ny))[:, None] + row[2] * np.arange(nx)
        fractions.append((position - np.floor(position)).astype(np.float32))
    return fractions


def _trilinear(table: Float, fractions: list[Array]) -> Array:
    mixed = [2 * f * (1 - f) for f in fractions]
    corners = table.astype(np.float32)
    planes = [
        corners[0, j, k] + mixed[0] * (corners[1, j, k] - corners[0, j, k]) for j in (0, 1) for k in (0, 1)
    ]
    near = planes[0] + mixed[2] * (planes[1] - planes[0])
    far = planes[2] + mixed[2] * (planes[3] - planes[2])
    result: Array = near + mixed[1] * (far - near)
    return result


def _from_table(table: Float, fractions: list[Array]) -> Array:
    index = [np.minimum((f * _TABLE).astype(np.intp), _TABLE - 1) for f in fractions]
    values: Array = table.astype(np.float32)[index[0], index[1], index[2]]
    return values


def _planes(affine: Float, shape: tuple[int, int, int], available: int, reach: int) -> tuple[int, int]:
    """Planes of the input that a slab of the output looks at."""
    corners = np.array(list(itertools.product(*((0, n - 1) for n in shape))))
    z = corners @ affine[0, :3] + affine[0, 3]
    first = max(0, math.floor(float(z.min())) - reach)
    return first, min(available, math.ceil(float(z.max())) + reach + 1)


def _output(
    volume: Any, reference_shape: tuple[int, int, int] | None, z_range: tuple[int, int] | None
) -> tuple[tuple[int, int, int], tuple[int, int]]:
    nz, ny, nx = reference_shape or volume.shape
    start, stop = z_range or (0, nz)
    if not 0 <= start < stop <= nz:
        raise InputError(
            f"z_range: found {(start, stop)}, expected start < stop within the {nz} planes of the reference"
        )
    return (stop - start, ny, nx), (start, stop)


def _check(volume: Any, voxel_size_mm: float, order: int) -> None:
    if len(volume.shape) != 3:
        raise InputError(f"volume: found shape {tuple(volume.shape)}, expected (z, y, x)")
    if not (math.isfinite(voxel_size_mm) and voxel_size_mm > 0):
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive length in mm")
    if order not in REACH_PLANES:
        raise InputError(f"order: found {order!r}, expected 1 (trilinear) or 3 (cubic B-spline)")


def _checked_autocorrelation(values: NDArray[np.floating]) -> Float:
    correlation = np.asarray(values, float)
    edges = set(correlation.shape)
    if correlation.ndim != 3 or len(edges) != 1 or correlation.shape[0] % 2 == 0:
        raise InputError(
            f"voxel_autocorrelation: found shape {correlation.shape}, expected a cube of odd edge"
        )
    center = correlation.shape[0] // 2
    if not np.isfinite(correlation).all() or abs(correlation[center, center, center] - 1) > 1e-3:
        raise InputError("voxel_autocorrelation: expected finite values with 1 at the centre")
    return correlation
