"""Resolution from an edge of the sample: the width of the blur of a step that is known to be sharp."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from deltamu.recon.change.columns import pellet_box
from deltamu.recon.change.layer_stack import LayerStack, Surface
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
FWHM_PER_SIGMA = float(2 * np.sqrt(2 * np.log(2)))
LEAST_SAMPLES = 30
SECTORS = 12
# how far from the step voxels count, in voxels
REACH_VOXELS = 6.0


@dataclass(frozen=True)
class EdgeResponse:
    """A blurred step.

    Attributes
    ----------
    fwhm_mm, fwhm_standard_error_mm : float
        Full width at half maximum of the blur that makes the step what it is, the voxel's own width included.
    position_mm : float
        Of the middle of the step.
    contrast : float
        Value behind the step minus value before it.
    """

    fwhm_mm: float
    fwhm_standard_error_mm: float
    position_mm: float
    contrast: float


def fit_edge(distance_mm: NDArray[np.floating], values: NDArray[np.floating]) -> EdgeResponse:
    """Fit a step blurred by a Gaussian, between levels that may slope linearly.

    Parameters
    ----------
    distance_mm, values : (sample,) arrays
        Signed distance from about where the step is, and the value there.

    Raises
    ------
    InputError
        If fewer than 30 samples are finite, all lie on one side, or no step stands out of the noise.

    Notes
    -----
    The derivative of the fitted step is the line spread function. The standard error follows from the scatter
    of the residuals, taken as independent.
    """
    distance, value = (np.asarray(a, np.float64).ravel() for a in (distance_mm, values))
    known = np.isfinite(distance) & np.isfinite(value)
    distance, value = distance[known], value[known]
    if distance.size < LEAST_SAMPLES or not distance.min() < 0 < distance.max():
        raise InputError(
            f"edge: found {distance.size} samples, expected at least {LEAST_SAMPLES} on both sides of the step"
        )
    reach = float(np.max(np.abs(distance)))

    def residual(parameters: Float) -> Float:
        position, log_width = parameters
        basis = _step_basis(distance, position, float(np.exp(log_width)))
        levels = np.linalg.lstsq(basis, value, rcond=None)[0]
        return np.asarray(basis @ levels - value)

    low, high = np.log(reach / 200), np.log(reach)
    fit = least_squares(residual, [0.0, np.log(reach / 6)], bounds=([-reach / 2, low], [reach / 2, high]))
    basis = _step_basis(distance, fit.x[0], float(np.exp(fit.x[1])))
    levels = np.linalg.lstsq(basis, value, rcond=None)[0]
    error = _width_error(
        distance, np.asarray(fit.x), np.asarray(levels, np.float64), float(np.sum(fit.fun**2))
    )
    fwhm = FWHM_PER_SIGMA * float(np.exp(fit.x[1]))
    if not (np.isfinite(error) and error < 1.0):
        raise InputError("edge: no step stands out of the noise; take an edge of more contrast")
    return EdgeResponse(fwhm, fwhm * error, float(fit.x[0]), float(levels[1]))


def _step_basis(distance: Float, position: float, sigma: float) -> Float:
    """Level, step, and the slopes before and behind it, (sample, 4)."""
    t = (distance - position) / sigma
    step = ndtr(t)
    # a ramp that starts at the step, blurred like it
    ramp = t * step + np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)
    return np.stack([np.ones_like(t), step, distance - position, sigma * ramp], axis=1)


def _width_error(distance: Float, parameters: Float, levels: Float, squares: float) -> float:
    """Relative standard error of the width, with all other parameters free."""
    position, log_width = parameters
    step = 1e-4
    columns = [_step_basis(distance, position, float(np.exp(log_width)))]
    for shift in ((step * np.exp(log_width), 0.0), (0.0, step)):
        moved = _step_basis(distance, position + shift[0], float(np.exp(log_width + shift[1])))
        columns.append(((moved - columns[0]) @ levels)[:, None] / step)
    matrix = np.concatenate(columns, axis=1)
    variance = float(np.linalg.pinv(matrix.T @ matrix)[-1, -1])
    if not variance > 0:
        return float("inf")
    return float(np.sqrt(variance * squares / max(distance.size - 6, 1)))


def rim_response(
    volume: Any,
    *,
    axis_mm: tuple[float, float],
    radius_mm: float,
    rows: tuple[int, int],
    voxel_size_mm: float,
) -> EdgeResponse:
    """Resolution within the slices, from the rim of a round pellet.

    Parameters
    ----------
    volume : (z, y, x) array, or anything that slices like one
    axis_mm, radius_mm : axis (y, x) and radius of the pellet, within a few voxels
    rows : (start, stop)
        Slices of one layer, so that the rim has one contrast.

    Raises
    ------
    InputError
        If fewer than three sectors of the rim show a step.

    Notes
    -----
    The rim is fitted in sectors, so that a wrong centre or an oval pellet does not widen it; the median width
    is given, with its error from the spread of the sectors.
    """
    reach = REACH_VOXELS * voxel_size_mm
    box = pellet_box(tuple(volume.shape), axis_mm, radius_mm + reach, voxel_size_mm)
    y, x = (
        np.arange(part.start, part.stop) * voxel_size_mm - a for part, a in zip(box, axis_mm, strict=True)
    )
    distance = np.hypot(y[:, None], x[None, :]) - radius_mm
    near = np.abs(distance) < reach
    sector = np.floor((np.arctan2(y[:, None], x[None, :]) / (2 * np.pi) % 1.0) * SECTORS).astype(int)[near]
    slab = np.asarray(volume[rows[0] : rows[1], box[0], box[1]], np.float32)[:, near]
    found = []
    for k in range(SECTORS):
        try:
            part = slab[:, sector == k]
            found.append(fit_edge(np.broadcast_to(distance[near][sector == k], part.shape), part))
        except InputError:
            continue
    return _median_edge(found, "the rim of the pellet")


def surface_response(
    volume: Any, stack: LayerStack, surface: Surface, *, radius_fraction: float = 0.9
) -> EdgeResponse:
    """Resolution across a surface between two layers.

    Parameters
    ----------
    volume : (z, y, x) array, or anything that slices like one
        On the grid of the stack.
    surface : Surface
        Of a step that is sharp in the sample.
    radius_fraction : float
        Part of the pellet's radius that is used.

    Raises
    ------
    InputError
        If fewer than three sectors of the surface show a step.
    """
    voxel, reach = stack.voxel_size_mm, REACH_VOXELS * stack.voxel_size_mm
    box = pellet_box(tuple(volume.shape), stack.axis_mm, radius_fraction * stack.radius_mm, voxel)
    y, x = (np.arange(part.start, part.stop) * voxel for part in box)
    v, u = y[:, None] - stack.axis_mm[0], x[None, :] - stack.axis_mm[1]
    inside = np.hypot(v, u) < radius_fraction * stack.radius_mm
    height = surface.height_mm(y[:, None], x[None, :])
    cosine = surface.normal_cosine(y[:, None], x[None, :])
    sector = np.floor((np.arctan2(v, u) / (2 * np.pi) % 1.0) * SECTORS).astype(int)
    low = max(int((height[inside].min() - reach) // voxel), 0)
    high = min(int((height[inside].max() + reach) // voxel) + 2, volume.shape[0])
    slab = np.asarray(volume[low:high, box[0], box[1]], np.float32)
    z = np.arange(low, high)[:, None] * voxel
    found = []
    for k in range(SECTORS):
        chosen = inside & (sector == k)
        distance = (z - height[chosen]) * cosine[chosen]
        near = np.abs(distance) < reach
        try:
            found.append(fit_edge(*_binned(distance[near], slab[:, chosen][near], 0.2 * voxel)))
        except InputError:
            continue
    return _median_edge(found, "the surface")


def _binned(distance: Float, values: NDArray[np.floating], width: float) -> tuple[Float, Float]:
    """Means over narrow bins of distance: a fit to thousands of voxels costs as little as to the bins."""
    known = np.isfinite(values)
    index = np.floor(distance[known] / width).astype(np.intp)
    index -= index.min(initial=0)
    count = np.bincount(index)
    filled = count > 0
    mean_distance = np.bincount(index, distance[known])[filled] / count[filled]
    return mean_distance, np.bincount(index, values[known])[filled] / count[filled]


def _median_edge(found: list[EdgeResponse], where: str) -> EdgeResponse:
    if len(found) < 3:
        raise InputError(f"edge: only {len(found)} of {SECTORS} sectors of {where} show a step")
    widths = np.array([edge.fwhm_mm for edge in found])
    spread = 1.4826 * float(np.median(np.abs(widths - np.median(widths))))
    # the median of n normal values scatters 1.25 times as much as their mean
    error = 1.2533 * spread / np.sqrt(len(found))
    return EdgeResponse(
        float(np.median(widths)),
        float(error),
        float(np.median([edge.position_mm for edge in found])),
        float(np.median([edge.contrast for edge in found])),
    )
