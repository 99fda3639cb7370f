"""Variance and covariance of read-outs whose weights on the line integrals are known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.noise import check_autocorrelation

Array = NDArray[np.float32]
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gathered:
    """Weights of a read-out summed over the views, cm⁻¹ per unit of what all views share.

    Attributes
    ----------
    row, column : int
        Of the detector, of the first weight.
    weights : (row, column) float32 array
    """

    row: int
    column: int
    weights: Array


@dataclass(frozen=True, eq=False)
class LineNoise:
    """Noise of the line integrals of some rows and columns of a detector.

    Attributes
    ----------
    row, column : int
        Of the detector, where the arrays begin.
    sigma : (row, view, column) float32 array
        Per view: root of the large-area variance of counting, before any hardening is undone.
    open_beam, gain : (row, column) float32 arrays
        Alike in all views: root of the large-area variance of the mean flat's counts, and gain drift.
    slope : (row, view, column) float32 array or None
        By what undoing the hardening multiplies errors; None: by nothing.
    share : float
        Views of the scan for which each view stands.
    autocorrelation : (2r+1, 2r+1) array
        Of counting noise at (row, column) distance, summing to one. The drift of a gain is a pixel's own.
    """

    row: int
    column: int
    sigma: Array
    open_beam: Array
    gain: Array
    slope: Array | None
    share: float
    autocorrelation: Float

    def __post_init__(self) -> None:
        rows, _, columns = self.sigma.shape
        for name in ("open_beam", "gain"):
            if getattr(self, name).shape != (rows, columns):
                raise InputError(f"{name}: found {getattr(self, name).shape}, expected {(rows, columns)}")
        if self.slope is not None and self.slope.shape != self.sigma.shape:
            raise InputError(f"slope: found {self.slope.shape}, expected {self.sigma.shape}")
        object.__setattr__(self, "autocorrelation", check_autocorrelation(self.autocorrelation))

    def seen(self, weights: Array, row: int) -> tuple[Array, int]:
        """Part of weights (row, view, column) that lies on rows of the detector, times the slope; its first row."""
        low, high = max(row, self.row), min(row + len(weights), self.row + len(self.sigma))
        part = weights[low - row : max(high, low) - row]
        return (part if self.slope is None else part * self.slope[self._rows(low, len(part))]), low

    def counting_variance(self, weights: Array, row: int) -> float:
        """Variance of a read-out from what is independent from view to view; weights of `seen`."""
        variance = correlated_square(weights, self.sigma[self._rows(row, len(weights))], self.autocorrelation)
        return max(self.share * variance, 0.0)

    def gathered(self, weights: Array, row: int) -> Gathered:
        """Sum the weights of `seen` over all views of the scan."""
        return Gathered(row, self.column, np.float32(self.share) * weights.sum(axis=1))

    def open_beam_variance(self, found: Gathered) -> float:
        """Variance of a read-out from what is the same in every view."""
        rows = self._rows(found.row, len(found.weights))
        drift = found.weights * self.gain[rows]
        return self._flat_variance(found) + float(np.vdot(drift, drift))

    def _flat_variance(self, found: Gathered) -> float:
        sigma = self.open_beam[self._rows(found.row, len(found.weights))]
        return max(correlated_square(found.weights[:, None], sigma[:, None], self.autocorrelation), 0.0)

    def shared_covariance(
        self, found: Gathered, other: "LineNoise", other_found: Gathered, correlation: float
    ) -> float:
        """Covariance of read-outs of two scans whose flats have frames in common.

        Parameters
        ----------
        found, other_found : Gathered
            Of this scan and of the other.
        other : LineNoise
        correlation : float
            Of both mean flats, `preprocess.shared_flats.shared_correlation`.
        """
        here = found.weights * self.open_beam[self._rows(found.row, len(found.weights))]
        there = other_found.weights * other.open_beam[other._rows(other_found.row, len(other_found.weights))]
        one, two = _on_one_detector((here, found), (there, other_found))
        return correlation * correlated_product(one[:, None], two[:, None], self.autocorrelation)

    def _rows(self, row: int, count: int) -> slice:
        return slice(row - self.row, row - self.row + count)


def _on_one_detector(*parts: tuple[Array, Gathered]) -> list[Array]:
    """Lay arrays that begin at different pixels on one part of the detector that holds them all."""
    row, column = min(g.row for _, g in parts), min(g.column for _, g in parts)
    stop = max(g.row + len(a) for a, g in parts), max(g.column + a.shape[1] for a, g in parts)
    found = []
    for array, place in parts:
        whole = np.zeros((stop[0] - row, stop[1] - column), np.float32)
        top, left = place.row - row, place.column - column
        whole[top : top + array.shape[0], left : left + array.shape[1]] = array
        found.append(whole)
    return found


def correlated_square(weights: Array, sigma: Array, kernel: Float) -> float:
    """Σ over pairs of pixels of one view of weights · sigma of both times the correlation at their distance.

    Parameters
    ----------
    weights, sigma : (row, view, column) float32 arrays
    kernel : (2r+1, 2r+1) array
        (row, column); symmetric about its centre.
    """
    scaled = _scaled(weights, sigma, kernel)
    middle, half = kernel.shape[0] // 2, 0.0
    half += 0.5 * float(kernel[middle, kernel.shape[1] // 2]) * _products(scaled, scaled, 0, 0)
    for along in range(1, kernel.shape[1] // 2 + 1):
        half += float(kernel[middle, kernel.shape[1] // 2 + along]) * _products(scaled, scaled, 0, along)
    for up in range(1, middle + 1):
        half += _row_products(scaled, scaled, up, kernel)
    return 2 * half


def correlated_product(first: Array, second: Array, kernel: Float) -> float:
    """Σ over pairs of pixels of one view of first · second times the correlation at their distance.

    Parameters
    ----------
    first, second : (row, view, column) float32 arrays
    kernel : (2r+1, 2r+1) array
        (row, column); symmetric about its centre.
    """
    ones = np.ones((1, 1, 1), np.float32)
    one, two = (_scaled(part, ones, kernel) for part in (first, second))
    middle = kernel.shape[0] // 2
    return sum(_row_products(one, two, up, kernel) for up in range(-middle, middle + 1))


def _scaled(weights: Array, sigma: Array, kernel: Float) -> Array:
    """Return their product (row, view · column), with columns of zeros after every view: a shift along the row is
    then a shift of the whole.
    """
    rows, views, columns = weights.shape
    found = np.empty((rows, views, columns + kernel.shape[1] // 2), np.float32)
    found[:, :, columns:] = 0
    np.multiply(weights, sigma, out=found[:, :, :columns])
    return found.reshape(rows, -1)


def _row_products(first: Array, second: Array, up: int, kernel: Float) -> float:
    """Σ over pairs of pixels that are `up` rows apart."""
    row, reach = kernel.shape[0] // 2 + up, kernel.shape[1] // 2
    return sum(
        float(kernel[row, reach + along]) * _products(first, second, up, along)
        for along in range(-reach, reach + 1)
    )


def _products(first: Array, second: Array, up: int, along: int) -> float:
    """Σ first(row, s) · second(row + up, s + along)."""
    if along < 0:
        return _products(second, first, -up, -along)
    rows, length = first.shape
    return sum(
        float(np.dot(first[row, : length - along], second[row + up, along:]))
        for row in range(max(0, -up), rows - max(0, up))
    )
