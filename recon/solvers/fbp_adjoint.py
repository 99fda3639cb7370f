"""Exact standard errors of linear read-outs of `fbp`, by its transpose.

A read-out Σ w(x) μ(x) of a reconstruction is a weighted sum of the line integrals; the weights are those of the
voxels, projected and filtered. Squared against the variance of the line integrals they give the error with
every correlation between voxels in it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.kernels.gridding import padded_length
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import check_center, check_pixel_size, check_weights, per_cm
from deltamu.recon.solvers.filters import filter_response
from deltamu.recon.solvers.noise import check_autocorrelation

Float = NDArray[np.float64]
# samples per pixel onto which voxels are spread before the filter, and the spreading function's own transform
OVERSAMPLING = 4


def readout_weights(
    weights: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    columns: int,
    center: float,
    pixel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    view_weights: NDArray[np.floating] | None = None,
) -> Float:
    """Weight of every line integral in a read-out of the voxels that `fbp` makes of them.

    Parameters
    ----------
    weights : (row, size, size) array
        Of the voxels; 0 for those that do not count.
    angles, center, pixel_size_mm, filter, cutoff
        As for `fbp`, with padding "zero".
    columns : int
        Of the detector.
    view_weights : (angle,) array, optional
        The `weights` of `fbp`.

    Returns
    -------
    (angle, row, column) float64 array
        cm⁻¹ per unit of the weights: Σ result · line integrals = Σ weights · fbp(line integrals).

    Raises
    ------
    InputError
        If an argument is out of range or a weight is not finite.

    Notes
    -----
    Cost: voxels that count times views. Voxels are spread linearly onto four samples per pixel, and the spreading
    is divided out: good to 1e-3 of the largest weight at the Nyquist frequency, where filters leave least.
    """
    stored = np.asarray(weights, np.float64)
    if stored.ndim != 3 or stored.shape[1] != stored.shape[2] or not np.all(np.isfinite(stored)):
        raise InputError(f"weights: found shape {stored.shape}, expected (row, size, size), all finite")
    theta = np.asarray(angles, np.float64).ravel()
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    factors = check_weights(view_weights, theta) * per_cm(pixel_size_mm)
    padded = padded_length(columns, stored.shape[1])
    response = filter_response(filter, padded, cutoff=cutoff)
    # back-projection leaves out the Nyquist frequency itself
    response[-1] = 0
    frequency = np.arange(response.size) / (padded * OVERSAMPLING)
    response = response / np.sinc(frequency) ** 2
    result = np.empty((theta.size, stored.shape[0], columns))
    for row, plane in enumerate(stored):
        _project_row(plane, theta, center, padded, response, factors, result[:, row])
    return result


def _project_row(
    plane: Float, theta: Float, center: float, padded: int, response: Float, factors: Float, out: Float
) -> None:
    """Filtered projections of the voxels of one slice that count."""
    y, x = np.nonzero(plane)
    value, middle = plane[y, x], (plane.shape[0] - 1) / 2
    fine = padded * OVERSAMPLING
    for view, angle in enumerate(theta):
        position = center + (x - middle) * np.cos(angle) + (y - middle) * np.sin(angle)
        sample = np.mod(position * OVERSAMPLING, fine)
        low = np.floor(sample).astype(np.intp)
        part = sample - low
        spread = np.bincount(low % fine, value * (1 - part), fine)
        spread += np.bincount((low + 1) % fine, value * part, fine)
        spectrum = fft.rfft(spread)[: response.size] * response
        out[view] = fft.irfft(spectrum, padded)[: out.shape[1]] * factors[view]


def readout_variance(
    weights: NDArray[np.floating],
    variance: NDArray[np.floating],
    *,
    open_beam_variance: NDArray[np.floating] | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> float:
    """Variance of a read-out whose weights on the line integrals are known.

    Parameters
    ----------
    weights : (angle, row, column) array
        From `readout_weights`. For a difference of states that share an open beam, join the views of both: what
        is shared is then added before it is squared.
    variance : (angle, row, column) array
        Counting variance of the line integrals, large-area limit.
    open_beam_variance : (row, column) array, optional
        Variance that is the same in every view.
    autocorrelation : (2r+1, 2r+1) array, optional
        Of the noise at (row, column) distance, summing to one; independent pixels by default.

    Raises
    ------
    InputError
        If shapes do not match or a variance is negative or not finite.
    """
    stored = np.asarray(weights, np.float64)
    counted = np.asarray(variance, np.float64)
    if stored.ndim != 3 or counted.shape != stored.shape:
        raise InputError(f"variance: found shape {counted.shape}, expected as the weights {stored.shape}")
    if not np.all(np.isfinite(counted)) or np.any(counted < 0):
        raise InputError("variance: expected finite values that are not negative")
    kernel = check_autocorrelation(autocorrelation)
    total = _correlated_sum(stored * np.sqrt(counted), kernel)
    if open_beam_variance is not None:
        shared = np.asarray(open_beam_variance, np.float64)
        if shared.shape != stored.shape[1:] or not np.all(shared >= 0):
            raise InputError(
                f"open_beam_variance: found shape {shared.shape}, expected {stored.shape[1:]}, not negative"
            )
        total += _correlated_sum((stored.sum(axis=0) * np.sqrt(shared))[None], kernel)
    return float(max(total, 0.0))


def _correlated_sum(scaled: Float, kernel: Float) -> float:
    """Σ over pairs of pixels of one view of their scaled weights times the correlation at their distance."""
    radius = kernel.shape[0] // 2, kernel.shape[1] // 2
    rows, columns = scaled.shape[1:]
    total = 0.0
    for dz in range(-radius[0], radius[0] + 1):
        for ds in range(-radius[1], radius[1] + 1):
            if abs(dz) < rows and abs(ds) < columns:
                here = scaled[:, max(0, -dz) : rows - max(0, dz), max(0, -ds) : columns - max(0, ds)]
                there = scaled[:, max(0, dz) : rows + min(0, dz), max(0, ds) : columns + min(0, ds)]
                total += kernel[dz + radius[0], ds + radius[1]] * float(np.vdot(here, there))
    return total
