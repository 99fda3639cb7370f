"""Weights of many read-outs on the line integrals, through the transpose of `fbp`, fast enough for a study.

`fbp_adjoint.readout_weights` spreads voxel by voxel and takes every view. Here whole slices are projected, the
ramp is one matrix for all of them, and of views that see almost the same, one stands for its neighbours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.kernels.gridding import padded_length
from deltamu.kernels.project import project
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import check_center, check_pixel_size, check_weights, per_cm
from deltamu.recon.solvers.filters import filter_response

Array = NDArray[np.float32]
Float = NDArray[np.float64]
# a view stands for its neighbours while they move the rim of what is read by less than this, and no fewer views are taken
ARC_PX = 4.0
LEAST_VIEWS = 64
# columns beside what is read in which the ramp's tails still count: they fall as 1/distance²
TAIL_COLUMNS = 32
# width of the projector's interpolation along a row of the detector, on average over the views
INTERPOLATION_WIDTH = 0.9


@dataclass(frozen=True, eq=False)
class ReadoutRays:
    """The line integrals that carry read-outs of what lies near the rotation axis.

    Attributes
    ----------
    views : (view,) array
        The views that are taken, of those of the scan.
    share : float
        Views of the scan for which each stands.
    first_column : int
        Column of the detector that the first column of weights belongs to.
    angles, factors : (view,) arrays
    axis_column : float
        Of the rotation axis, from the first column that is projected.
    middle : float
        Index (y and x) of the rotation axis in a slice.
    ramp : (projected column, column) float32 array
    """

    views: NDArray[np.intp]
    share: float
    first_column: int
    angles: Float
    factors: Array
    axis_column: float
    middle: float
    ramp: Array

    @property
    def columns(self) -> slice:
        """Columns of the detector that weights are given for."""
        return slice(self.first_column, self.first_column + self.ramp.shape[1])

    def weights(self, slices: Array, corner: tuple[int, int]) -> Array:
        """Weight of every line integral in read-outs of single slices.

        Parameters
        ----------
        slices : (slice, y, x) float32 array
            Weights of voxels of a part of a slice.
        corner : tuple of 2 ints
            Index (y, x) of its first voxel.

        Returns
        -------
        (slice, view, column) float32 array
            cm⁻¹ per unit of the weights.
        """
        y, x = (
            start + (size - 1) / 2 - self.middle for start, size in zip(corner, slices.shape[1:], strict=True)
        )
        center = self.axis_column + x * np.cos(self.angles) + y * np.sin(self.angles)
        seen = project(slices, self.angles, center=center, columns=self.ramp.shape[0])
        found: Array = np.ascontiguousarray(seen.transpose(1, 0, 2)) @ self.ramp
        found *= self.factors[:, None]
        return found


def readout_rays(
    angles: NDArray[np.floating],
    *,
    columns: int,
    size: int,
    center: float,
    pixel_size_mm: float,
    reach_px: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    every_view: bool = False,
) -> ReadoutRays:
    """Lay out the line integrals that carry read-outs within a distance of the rotation axis.

    Parameters
    ----------
    angles, center, pixel_size_mm, filter, cutoff
        As for `fbp`, with padding "zero".
    columns, size : int
        Of the detector, and along y and x of a slice.
    reach_px : float
        Largest distance from the axis of a voxel that is read.
    every_view : bool
        Take all views instead of some that stand for their neighbours.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    theta = np.asarray(angles, np.float64).ravel()
    check_center(center, columns)
    check_pixel_size(pixel_size_mm)
    if not reach_px > 0:
        raise InputError(f"reach_px: found {reach_px}, expected a positive distance")
    factors = check_weights(None, theta) * per_cm(pixel_size_mm)
    views = np.arange(theta.size) if every_view else _sampled(theta, reach_px)
    low, high = int(np.floor(center - reach_px)) - 3, int(np.ceil(center + reach_px)) + 4
    first, stop = max(low - TAIL_COLUMNS, 0), min(high + TAIL_COLUMNS, columns)
    padded = padded_length(columns, size)
    response = filter_response(filter, padded, cutoff=cutoff)
    # back-projection leaves out the Nyquist frequency itself
    response[-1] = 0
    response = response / np.sinc(INTERPOLATION_WIDTH * np.arange(response.size) / padded) ** 2
    distance = np.arange(first, stop)[None, :] - np.arange(low, high)[:, None]
    return ReadoutRays(
        views, theta.size / views.size, first, theta[views], factors[views].astype(np.float32), center - low,
        (size - 1) / 2, fft.irfft(response, padded)[distance % padded].astype(np.float32),
    )  # fmt: skip


def _sampled(theta: Float, reach_px: float) -> NDArray[np.intp]:
    """Every so many views in the order of their angles; opposite views are told apart."""
    order = np.argsort(np.mod(theta, 2 * np.pi), kind="stable")
    turn = min(2 * np.pi, float(np.ptp(np.mod(theta, 2 * np.pi))) + 1e-9)
    needed = max(LEAST_VIEWS, int(np.ceil(turn * reach_px / ARC_PX)))
    step = max(1, theta.size // needed)
    return np.asarray(order[step // 2 :: step], np.intp)
