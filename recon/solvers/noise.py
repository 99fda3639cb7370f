"""Noise of filtered back-projection: what the noise of the line integrals becomes in the slices.

Variances of line integrals are those of a large area. The autocorrelation of the noise between neighbouring
pixels (light spread in a scintillator), which sums to one, says what part of it a single pixel sees.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, struve

from deltamu.kernels.backend import Cost
from deltamu.kernels.gridding import grid_backproject, padded_length, plan_gridding
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import view_weights
from deltamu.recon.solvers.fbp import (
    Image,
    check_center,
    check_pixel_size,
    check_size,
    check_views,
    check_weights,
    fbp_cost,
    per_cm,
)
from deltamu.recon.solvers.filters import check_filter, filter_response

Float = NDArray[np.float64]

# Views are averaged while the arc they span at the edge of the field of view stays below this many pixels:
# the variance of line integrals changes slowly, and a quarter of the views gives the same map to within 1 %.
ARC_PX = 4.0
RADIUS_STEP_PX = 0.5
SIDES = 17


def fbp_variance(
    variance: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    size: int | None = None,
    weights: NDArray[np.floating] | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> Image:
    """Variance of every voxel of `fbp` from noise that is independent from view to view.

    With view weights w and the filter's kernel h,
    Var(x) = sum over views of w² sum over s of h(x·θ − s)² v(θ, s).
    That is a back-projection of the variances with the transform of h² for a filter. Where neighbouring
    pixels are correlated, h is the kernel after the blur that correlates them.

    Parameters
    ----------
    variance : (angle, row, column) array
        Variance of the line integrals in the large-area limit; slowly varying compared with a pixel.
    angles, center, pixel_size_mm, filter, cutoff, size, weights
        As for `fbp`.
    autocorrelation : (2r+1, 2r+1) array, optional
        Covariance of the noise at (row, column) distance, over the large-area variance; sums to one.
        Independent pixels by default.

    Returns
    -------
    (row, size, size) float32 array
        cm⁻².

    Raises
    ------
    InputError
        If an argument is out of range, or a variance is negative or not finite.
    """
    stored, theta = check_views(variance, angles, center=center, pixel_size_mm=pixel_size_mm, name="variance")
    if float(stored.min()) < 0:
        raise InputError(f"variance: found {float(stored.min()):g}, expected values that are not negative")
    side = check_size(size, stored.shape[2])
    factors = check_weights(weights, theta) * per_cm(pixel_size_mm)
    merged, directions = _merge_views(stored, theta, factors**2)
    plan = plan_gridding(stored.shape[2], directions, center, size=side, weights=np.ones(directions.size))
    spectrum = _noise_spectrum(filter, cutoff, autocorrelation, plan.padded)
    try:
        result = grid_backproject(plan, merged, _squared_kernel_response(spectrum))
    except ValueError as error:
        raise InputError(f"variance: {error}") from error
    # the response ends at the Nyquist frequency, which undershoots a little beside a steep edge
    return np.maximum(result, 0, out=result)


def noise_cost(views: int, columns: int) -> Cost:
    """Working memory of `fbp_variance` and then `ring_variance`, beyond the variances and the two results."""
    runs = min(views, int(2 * np.pi / ARC_PX * columns / 2) + 1)
    # Bessel functions of every radius and frequency, and the weights of the columns that are kept
    radii, frequencies = int(np.sqrt(0.5) * columns / RADIUS_STEP_PX) + 4, 2 * columns
    rings = 32 * radii * frequencies + 12 * radii * columns
    return Cost(4 * runs * columns, max(fbp_cost(runs, columns).fixed_bytes, rings))


def _merge_views(stored: Image, theta: Float, factors: Float) -> tuple[Image, Float]:
    """Sum of factor * variance over runs of neighbouring views, and the mean angle of each run."""
    step = ARC_PX / max(stored.shape[2] / 2, 1)
    folded = np.mod(theta, 2 * np.pi)
    run = np.unique((folded // step).astype(int), return_inverse=True)[1]
    merged = np.empty((run.max() + 1, *stored.shape[1:]), np.float32)
    directions = np.empty(run.max() + 1)
    for index in range(directions.size):
        (views,) = np.nonzero(run == index)
        merged[index] = np.tensordot(factors[views].astype(np.float32), stored[views], 1)
        directions[index] = folded[views].mean()
    return merged, directions


def _noise_spectrum(
    filter: str, cutoff: float, autocorrelation: NDArray[np.floating] | None, padded: int
) -> Float:
    """Response of the filter to white noise that has been blurred as `autocorrelation` says, within a row."""
    response = filter_response(filter, padded, cutoff=cutoff)
    response[-1] = 0  # back-projection leaves out the Nyquist frequency itself
    power = _row_power(check_autocorrelation(autocorrelation), 0, np.arange(response.size) / padded)
    return response * np.sqrt(np.maximum(power, 0))


def _row_power(kernel: Float, row_distance: int, frequency: Float) -> Float:
    """Cross power spectrum, along the columns, of the noise of two rows; even by construction."""
    radius = kernel.shape[0] // 2
    if row_distance > radius:
        return np.zeros_like(frequency)
    rows = 0.5 * (kernel[radius + row_distance] + kernel[radius - row_distance])
    lags = np.arange(kernel.shape[1]) - kernel.shape[1] // 2
    return np.asarray(np.cos(2 * np.pi * frequency[:, None] * lags) @ rows)


def check_autocorrelation(autocorrelation: NDArray[np.floating] | None) -> Float:
    """Return the autocorrelation as float64, a single one by default, or raise InputError."""
    if autocorrelation is None:
        return np.ones((1, 1))
    kernel = np.asarray(autocorrelation, np.float64)
    if kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise InputError(f"autocorrelation: found shape {kernel.shape}, expected two odd lengths")
    if not np.all(np.isfinite(kernel)) or abs(kernel.sum() - 1) > 1e-3:
        raise InputError(f"autocorrelation: found a sum of {kernel.sum():g}, expected finite, a sum of 1")
    return kernel


def _squared_kernel_response(spectrum: Float) -> Float:
    """Transform of h² from that of h, by way of h at every half column: h² has twice the bandwidth."""
    padded = 2 * (spectrum.size - 1)
    kernel = 2 * np.fft.irfft(spectrum, 2 * padded)
    return np.asarray(0.5 * np.fft.rfft(kernel**2).real[: spectrum.size])


def ring_response(
    columns: int,
    *,
    center: float,
    pixel_size_mm: float,
    radii_px: NDArray[np.floating],
    filter: str = "ram-lak",
    cutoff: float = 1.0,
) -> Float:
    """Mean around the axis, at each radius, of `fbp` of a line integral of 1 at one column in every view.

    π ∫ H(k) J₀(2πkr) cos(2πk(s − center)) dk, for views that cover the half circle evenly. Summed over a
    region that is symmetric about the axis it gives the weight of each column in the region's mean.

    Parameters
    ----------
    columns : int
    center, pixel_size_mm, filter, cutoff
        As for `fbp`.
    radii_px : (radius,) array
        Distances from the axis, voxels.

    Returns
    -------
    (radius, column) float64 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    check_filter(filter, cutoff)
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    radii = np.asarray(radii_px, np.float64)
    if radii.ndim != 1 or not np.all(np.isfinite(radii)):
        raise InputError(f"radii_px: found shape {radii.shape}, expected a list of finite radii")
    spectrum, frequency = _padded_spectrum(filter, cutoff, None, columns, float(np.max(radii, initial=0)))
    return _even_rings(radii, _distances(columns, center), spectrum, frequency) * per_cm(pixel_size_mm)


def ring_variance(
    open_beam_variance: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    angles: NDArray[np.floating] | None = None,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    size: int | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> Image:
    """Variance of every voxel of `fbp` from noise that is the same in every view, such as the open beam's.

    It does not average over the views but forms rings:
    Var(x) = sum over s of (sum over views of w h(x·θ − s))² v(s). The inner sum is taken in closed form for
    evenly spread views. Where the views begin and end (two narrow sectors of a half turn) and within some ten
    voxels of the axis the result can be low by a quarter.

    Parameters
    ----------
    open_beam_variance : (row, column) array
        Variance of the line integrals that all views share, in the large-area limit.
    center, pixel_size_mm, filter, cutoff, size, autocorrelation
        As for `fbp_variance`.
    angles : (angle,) array, optional
        Radians; a half turn from 0 by default. A half turn sees every ring from one side of the detector
        only, a full turn averages the two sides.

    Returns
    -------
    (row, size, size) float32 array
        cm⁻².

    Raises
    ------
    InputError
        If an argument is out of range, or a variance is negative or not finite.
    """
    views = np.linspace(0, np.pi, 360, endpoint=False) if angles is None else np.asarray(angles, np.float64)
    check_filter(filter, cutoff)
    stored = np.asarray(open_beam_variance, np.float64)
    if stored.ndim != 2 or not np.all(np.isfinite(stored)) or np.any(stored < 0):
        raise InputError(
            f"open_beam_variance: found shape {stored.shape}, expected (row, column), finite and not negative"
        )
    columns = stored.shape[1]
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    side = check_size(size, columns)
    kernel = check_autocorrelation(autocorrelation)
    quadratic = _ring_quadratic(columns, float(center), side, filter, cutoff, kernel.tobytes(), kernel.shape)
    index = _ring_index(views, side, quadratic.shape[1])
    profiles = np.einsum("qrc,zc->zqr", quadratic, stored, optimize=True) * per_cm(pixel_size_mm) ** 2
    result = np.empty((stored.shape[0], side, side), np.float32)
    for row, (even, mixed, odd) in enumerate(profiles):
        balance = np.linspace(-1, 1, SIDES)[:, None]
        table = np.maximum(even + 2 * balance * mixed + balance**2 * odd, 0).astype(np.float32)
        np.take(table.ravel(), index, out=result[row])
    return result


def _padded_spectrum(
    filter: str, cutoff: float, autocorrelation: NDArray[np.floating] | None, columns: int, reach: float
) -> tuple[Float, Float]:
    """Noise spectrum and its frequencies, fine enough that no ring within reach is seen twice."""
    padded = padded_length(columns, int(np.ceil(2 * reach)) + columns)
    spectrum = _noise_spectrum(filter, cutoff, autocorrelation, padded)
    # a sum over k of 1/padded, both signs, half the circle of views
    return spectrum * (2 * np.pi / padded), np.arange(spectrum.size) / padded


def _distances(columns: int, center: float) -> Float:
    return np.arange(columns, dtype=np.float64) - center


def _even_rings(radii: Float, distances: Float, spectrum: Float, frequency: Float) -> Float:
    """Part of a ring that both sides share: J0 is the mean of exp(i z cos α) over the circle."""
    return np.asarray(
        (j0(2 * np.pi * radii[:, None] * frequency) * spectrum)
        @ np.cos(2 * np.pi * frequency[:, None] * distances)
    )


def _odd_rings(radii: Float, distances: Float, spectrum: Float, frequency: Float) -> Float:
    """Part with opposite sign on the two sides: the Struve function is the sine's mean over half of it."""
    return np.asarray(
        (struve(0, 2 * np.pi * radii[:, None] * frequency) * spectrum)
        @ np.sin(2 * np.pi * frequency[:, None] * distances)
    )


@lru_cache(maxsize=1)
def _ring_quadratic(
    columns: int,
    center: float,
    side: int,
    filter: str,
    cutoff: float,
    kernel: bytes,
    kernel_shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Weights (3, radius, column) of a column's variance: even², even·odd and odd² parts of its ring."""
    reach = np.sqrt(0.5) * side + 2
    radii = np.arange(0, reach, RADIUS_STEP_PX)
    autocorrelation = np.frombuffer(kernel).reshape(kernel_shape)
    spectrum, frequency = _padded_spectrum(filter, cutoff, autocorrelation, columns, reach)
    distances = _distances(columns, center)
    even = _even_rings(radii, distances, spectrum, frequency)
    odd = _odd_rings(radii, distances, spectrum, frequency)
    return np.stack([even**2, even * odd, odd**2]).astype(np.float32)


def _ring_index(views: Float, side: int, radii: int) -> NDArray[np.intp]:
    """Index of each voxel into a table (side balance, radius)."""
    offset = np.arange(side) - (side - 1) / 2
    radius = np.rint(np.hypot(offset[:, None], offset[None, :]) / RADIUS_STEP_PX).astype(np.intp)
    azimuth = np.arctan2(offset[:, None], offset[None, :])
    circle = np.linspace(-np.pi, np.pi, 361)
    balance = np.interp(azimuth, circle, _side_balance(views, circle))
    level = np.rint((balance + 1) / 2 * (SIDES - 1)).astype(np.intp)
    return np.asarray(level * radii + radius, np.intp)


def _side_balance(views: Float, azimuth: Float) -> Float:
    """+1 where tangents to a ring at this azimuth are seen above the centre, -1 below it, 0 by both."""
    weights = view_weights(views)
    window = max(0.1, 2 * float(np.max(weights)))
    distance = np.abs(np.mod(views - azimuth[:, None] + np.pi, 2 * np.pi) - np.pi)
    above = (distance < window) @ weights
    below = (distance > np.pi - window) @ weights
    return np.asarray((above - below) / np.maximum(above + below, 1e-12))


def voxel_autocorrelation(
    *,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    autocorrelation: NDArray[np.floating] | None = None,
    radius: int = 3,
) -> Float:
    """Correlation of the noise of neighbouring voxels of `fbp`, far from the edges, averaged over directions.

    In a slice it is ∫ H(k)² S(k) J₀(2πkr) dk, with the filter's response H and the spectrum S of the noise
    along the columns; between slices S is the cross spectrum of two rows.

    Parameters
    ----------
    filter, cutoff, autocorrelation
        As for `fbp_variance`.
    radius : int
        Largest distance along each axis, voxels.

    Returns
    -------
    (2 radius + 1, 2 radius + 1, 2 radius + 1) float64 array
        (z, y, x); 1 at the centre.

    Raises
    ------
    InputError
        If the filter, the cutoff, the autocorrelation or the radius is out of range.
    """
    if radius < 0:
        raise InputError(f"radius: found {radius}, expected zero or more voxels")
    kernel = check_autocorrelation(autocorrelation)
    samples = 2048
    power = filter_response(filter, samples, cutoff=cutoff) ** 2
    frequency = np.arange(power.size) / samples
    steps = np.arange(-radius, radius + 1)
    distance, place = np.unique(np.hypot(steps[:, None], steps[None, :]), return_inverse=True)
    bessel = j0(2 * np.pi * distance[:, None] * frequency)
    layers = [
        (bessel @ (power * _row_power(kernel, abs(int(dz)), frequency)))[place].reshape(steps.size, -1)
        for dz in steps
    ]
    covariance = np.stack(layers)
    return np.asarray(covariance / covariance[radius, radius, radius])
