"""Back-projection of many slices at once by gridding in Fourier space.

By the projection-slice theorem the transform of a view, multiplied by the ramp, is a line through the
transform of the slice. The samples on these lines are spread onto a Cartesian grid with a Kaiser-Bessel
window, transformed back, and divided by its transform (J. D. O'Sullivan, IEEE Trans. Med. Imaging 4, 1985;
P. J. Beatty et al., IEEE Trans. Med. Imaging 24, 2005). Where the samples lie is the same for every detector
row, so thirty-two slices go through every step side by side.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels import _cpu, gridding_cuda
from deltamu.kernels.backend import Cost, array_module, thread_count
from deltamu.kernels.gridding_window import (
    WIDTH,
    beatty_beta,
    correction,
    even_smooth,
    grid_points,
    window_table,
)

BLOCK: int = _cpu.GRIDDING_BLOCK
# samples of a chunk of views stay in a processor's cache between filtering and spreading
CHUNK_BYTES = 8 << 20
CELL_BYTES = 128


@dataclass(frozen=True)
class GriddingPlan:
    """Everything about a back-projection that does not depend on the data.

    Attributes
    ----------
    views, columns : int
        Shape of a sinogram.
    size : int
        Voxels along each side of a slice.
    padded : int
        Samples of a padded view; a response has `padded // 2 + 1` values.
    gridder : deltamu.kernels._cpu.Gridder
        Sample positions sorted into tiles of the grid.
    phases : (angle, harmonic) complex64 array
        Shift to the rotation axis, times the weight of the view, in the order in which views are worked on.
    angles, order : (angle,) arrays
        Angles in that order, radians, and the stored view at each place of it.
    voxel_step : float
        Voxel pitch in columns.
    """

    views: int
    columns: int
    size: int
    padded: int
    gridder: Any = field(repr=False)
    phases: NDArray[np.complex64] = field(repr=False)
    angles: NDArray[np.float64] = field(repr=False)
    order: NDArray[np.int64] = field(repr=False)
    voxel_step: float


def plan_gridding(
    columns: int,
    angles: NDArray[np.floating],
    center: float | NDArray[np.floating],
    *,
    size: int | None = None,
    weights: NDArray[np.floating] | None = None,
    voxel_step: float = 1.0,
) -> GriddingPlan:
    """Prepare back-projections of one geometry; the last few plans are kept.

    Parameters
    ----------
    columns : int
        Detector columns.
    angles : (angle,) array
        Radians, in any order.
    center : float or (angle,) array
        Column that the middle of the image projects to, in all views or in each; the centre of column 0 is 0.
    size : int, optional
        Voxels along each side of a slice, `columns` by default. Its middle lies at (size - 1) / 2.
    weights : (angle,) array, optional
        Factor of each view in the sum; pi / angles by default.
    voxel_step : float
        Voxel pitch in columns.

    Returns
    -------
    GriddingPlan

    Raises
    ------
    ValueError
        If a count is below one, the step is not positive, or an angle, a weight or the centre is not finite.
    """
    theta = np.ascontiguousarray(angles, np.float64).ravel()
    if weights is None:
        weights = np.full(theta.size, np.pi / max(theta.size, 1))
    factors = np.ascontiguousarray(weights, np.float64).ravel()
    side = columns if size is None else size
    if columns < 1 or side < 1 or not (np.isfinite(voxel_step) and voxel_step > 0):
        raise ValueError(
            f"columns, size, voxel_step: found {columns}, {side}, {voxel_step}; expected positive numbers"
        )
    if theta.size == 0 or not np.all(np.isfinite(theta)):
        raise ValueError("angles: expected at least one angle, all of them finite")
    if factors.size != theta.size or not np.all(np.isfinite(factors)):
        raise ValueError(f"weights: expected {theta.size} finite numbers, one per angle")
    middle = np.ascontiguousarray(center, np.float64).ravel()
    if middle.size not in (1, theta.size) or not np.all(np.isfinite(middle)):
        raise ValueError(f"center: found {center}, expected a finite number, or one per angle")
    return _plan(columns, theta.tobytes(), middle.tobytes(), side, factors.tobytes(), float(voxel_step))


def forget_plans() -> None:
    """Let go of the plans that were kept, which hold tens of bytes per sample of a sinogram."""
    _plan.cache_clear()
    _gridder.cache_clear()


def padded_length(columns: int, reach: int) -> int:
    """Samples of a padded view: twice the columns, or more where the image is larger and would wrap."""
    return even_smooth(max(2 * columns, columns + reach))


@lru_cache(maxsize=8)
def _plan(
    columns: int, angles: bytes, center: bytes, size: int, weights: bytes, voxel_step: float
) -> GriddingPlan:
    theta, factors = np.frombuffer(angles), np.frombuffer(weights)
    padded = padded_length(columns, int(np.ceil(size * voxel_step)))
    order = np.argsort(np.mod(theta, np.pi), kind="stable")
    gridder = _gridder(theta[order].tobytes(), order.tobytes(), size, padded, voxel_step)
    harmonics = _harmonics(padded, voxel_step)
    # voxel i lies at i - (size - 1)/2 from the axis, the transform's output at the whole number i - size//2
    half = 0.5 * voxel_step * (1 - size % 2)
    middle = np.broadcast_to(np.frombuffer(center), theta.shape)
    shift = middle[order] + half * (np.cos(theta[order]) + np.sin(theta[order]))
    phases = _phase_ramps(shift, factors[order] / padded, harmonics, padded)
    return GriddingPlan(
        theta.size, columns, size, padded, gridder, phases, theta[order], order.astype(np.int64), voxel_step
    )


def _harmonics(padded: int, voxel_step: float) -> int:
    """Frequencies 0 ... below both the detector's and the image's Nyquist frequency."""
    return max(1, min(padded // 2, int(np.ceil(padded / (2 * voxel_step)))))


def _phase_ramps(
    shift: NDArray[np.float64], weights: NDArray[np.float64], harmonics: int, padded: int
) -> NDArray[np.complex64]:
    """Return weight * exp(2 pi i k shift / padded) for every view and harmonic k.

    exp is evaluated at every 32nd harmonic and the 32 between are products: much cheaper, and good to 1e-15.
    """
    turn = 2j * np.pi * shift[:, None] / padded
    coarse = weights[:, None] * np.exp(turn * np.arange(0, harmonics, 32))
    fine = np.exp(turn * np.arange(32))
    phases = np.empty((shift.size, coarse.shape[1], 32), np.complex64)
    for view in range(shift.size):
        np.multiply(coarse[view, :, None], fine[view], out=phases[view], casting="same_kind")
    return np.ascontiguousarray(phases.reshape(shift.size, -1)[:, :harmonics])


@lru_cache(maxsize=4)
def _gridder(angles: bytes, order: bytes, size: int, padded: int, voxel_step: float) -> Any:
    """Sort the polar samples; independent of the axis position, so that a search for the centre is cheap."""
    theta = np.frombuffer(angles)
    points = grid_points(size)
    beta = beatty_beta(points / size)
    return _cpu.Gridder(
        np.cos(theta),
        np.sin(theta),
        np.frombuffer(order, np.int64),
        window_table(beta),
        correction(size, points, beta),
        harmonics=_harmonics(padded, voxel_step),
        padded=padded,
        grid_points=points,
        voxel_step=voxel_step,
        chunk_views=max(16, CHUNK_BYTES // (CELL_BYTES * padded)),
    )


def grid_backproject(
    plan: GriddingPlan,
    sinograms: NDArray[np.float32],
    response: NDArray[np.floating],
    *,
    repeat_edge: bool = False,
    out: NDArray[np.float32] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Filter and back-project sinograms.

    Parameters
    ----------
    plan : GriddingPlan
    sinograms : (angle, slice, column) float32 array, C-contiguous
    response : (plan.padded // 2 + 1,) array
        Real response of the filter at the frequencies k / padded cycles per column.
    repeat_edge : bool
        Pad views with their outermost values instead of zeros.
    out : (slice, size, size) float32 array, C-contiguous, optional
    progress : callable, optional
        Called with (slices done, slices).

    Returns
    -------
    (slice, size, size) float32 array
        The same values, bit for bit, for any number of threads.

    Raises
    ------
    ValueError
        If a shape does not fit the plan or the sinograms hold a value that is not finite.
    """
    if sinograms.ndim != 3 or sinograms.shape[0] != plan.views or sinograms.shape[2] != plan.columns:
        raise ValueError(
            f"sinograms: found shape {sinograms.shape}, expected ({plan.views}, slices, {plan.columns})"
        )
    slices = sinograms.shape[1]
    if array_module(sinograms) is not np:
        result: NDArray[np.float32] = gridding_cuda.grid_backproject(
            plan, sinograms, response, repeat_edge=repeat_edge, out=out, progress=progress
        )
        return result
    if out is None:
        out = np.empty((slices, plan.size, plan.size), np.float32)
    multipliers = np.ascontiguousarray(response, np.float32)
    workspace = np.empty(plan.gridder.workspace_bytes, np.uint8)
    for first in range(0, slices, BLOCK):
        bad_view = plan.gridder.backproject(
            sinograms, first, plan.phases, multipliers, repeat_edge, workspace, out
        )
        if bad_view >= 0:
            raise ValueError(
                f"sinograms: view {bad_view} holds values that are not finite "
                f"(slices {first} to {min(first + BLOCK, slices) - 1})"
            )
        if progress is not None:
            progress(min(first + BLOCK, slices), slices)
    return out


def gridding_cost(views: int, columns: int, size: int) -> Cost:
    """Working memory of `grid_backproject` with its plan; it does not grow with the number of slices."""
    padded = padded_length(columns, size)
    points = grid_points(size)
    samples = min(views, max(16, CHUNK_BYTES // (CELL_BYTES * padded))) * padded
    buffers = 2 * thread_count() * max(padded, points)
    cells = samples + (points + 4) * (points + 5) + buffers
    # plan: a tap of 12 bytes per sample, a phase of 8 bytes per two samples, and the window's table
    table = 4 * WIDTH * (_cpu.GRIDDING_BINS + 1)
    return Cost(bytes_per_slice=0, fixed_bytes=CELL_BYTES * (cells + 1) + 16 * views * padded + table)
