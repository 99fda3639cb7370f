"""Where the pellet stands in the slices: its axis and its radius."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from deltamu.recon.change.columns import SLAB_ROWS
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
MOST_SAMPLES = 8000


@dataclass(frozen=True)
class Disc:
    """A blurred disc in an image.

    Attributes
    ----------
    center_mm : tuple of 2 floats
        (y, x).
    radius_mm, contrast : float
    standard_error_mm : float
        Of the centre and radius, from the scatter of the residuals; small when the fit is good.
    """

    center_mm: tuple[float, float]
    radius_mm: float
    contrast: float
    standard_error_mm: float


def mean_image(volume: Any, rows: NDArray[np.integer]) -> Float:
    """Mean of the finite voxels over the given rows, (y, x); 0 where there are none."""
    shape = tuple(volume.shape[1:])
    total, count = np.zeros(shape), np.zeros(shape)
    for start in range(int(np.min(rows)), int(np.max(rows)) + 1, SLAB_ROWS):
        chosen = rows[(rows >= start) & (rows < start + SLAB_ROWS)] - start
        if chosen.size == 0:
            continue
        slab = np.asarray(volume[start : start + int(chosen[-1]) + 1], np.float32)[chosen]
        valid = np.isfinite(slab)
        total += np.where(valid, slab, np.float32(0)).sum(axis=0, dtype=np.float64)
        count += valid.sum(axis=0)
    return np.divide(total, count, out=np.zeros(shape), where=count > 0)


def centroid_mm(image: Float, voxel_size_mm: float) -> tuple[float, float]:
    """Centre of attenuation of a slice: a start for everything concentric.

    Raises
    ------
    InputError
        If the image holds no attenuation.
    """
    weight = np.clip(image, 0, None)
    if not weight.sum() > 0:
        raise InputError("stack: the slices hold no attenuation above 0; expected a volume in cm⁻¹")
    y, x = (np.arange(size) for size in image.shape)
    total = weight.sum()
    return (
        float(weight.sum(axis=1) @ y / total * voxel_size_mm),
        float(weight.sum(axis=0) @ x / total * voxel_size_mm),
    )


def fit_disc(image: Float, voxel_size_mm: float, *, center_mm: tuple[float, float], radius_mm: float) -> Disc:
    """Fit a disc with a blurred rim to an image that is flat inside and outside.

    Parameters
    ----------
    image : (y, x) array
        The difference of two slices through layers of one pellet: what surrounds it cancels.
    center_mm, radius_mm : start, within about a tenth of the radius

    Notes
    -----
    The loss is soft (Huber-like), so that a blind hole or a pore does not pull the rim.
    """
    y, x = np.meshgrid(*(np.arange(size) * voxel_size_mm for size in image.shape), indexing="ij")
    distance = np.hypot(y - center_mm[0], x - center_mm[1])
    # the rim holds the geometry; a fifth of the radius on either side leaves room for the start
    near = np.abs(distance - radius_mm) < np.maximum(0.2 * radius_mm, 6 * voxel_size_mm)
    thin = max(1, int(near.sum()) // MOST_SAMPLES)
    y, x, value = y[near][::thin], x[near][::thin], image[near][::thin]
    inside = np.hypot(y - center_mm[0], x - center_mm[1]) < 0.87 * radius_mm
    outside = np.hypot(y - center_mm[0], x - center_mm[1]) > 1.13 * radius_mm
    base, level = float(np.median(value[outside])), float(np.median(value[inside]))
    noise = max(1.4826 * float(np.median(np.abs(value[inside] - level))), 1e-6)

    def residual(p: Float) -> Float:
        distance = np.hypot(y - p[0], x - p[1])
        model: Float = (p[4] + p[3] * ndtr((p[2] - distance) / np.exp(p[5])) - value) / noise
        return model

    start = [*center_mm, radius_mm, level - base, base, np.log(2 * voxel_size_mm)]
    bounds = (
        [-np.inf, -np.inf, 0.7 * radius_mm, -np.inf, -np.inf, np.log(0.2 * voxel_size_mm)],
        [np.inf, np.inf, 1.3 * radius_mm, np.inf, np.inf, np.log(0.2 * radius_mm)],
    )
    fit = least_squares(
        residual,
        start,
        bounds=bounds,
        loss="soft_l1",
        x_scale=[1e-2] * 3 + [0.1] * 3,
        ftol=1e-6,
        xtol=1e-6,
        max_nfev=40,
    )
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * 2 * fit.cost / max(value.size - 6, 1)
    error = float(np.sqrt(np.max(np.diag(covariance)[:3])))
    return Disc((float(fit.x[0]), float(fit.x[1])), float(fit.x[2]), float(fit.x[3]), error)


def radius_from_slices(
    volume: Any, rows: NDArray[np.integer], center_mm: tuple[float, float], voxel_size_mm: float
) -> float:
    """Radius inside which the slices change along z: the pellet, while sleeve and housing stay the same.

    Raises
    ------
    InputError
        If nothing changes along z.
    """
    shape = volume.shape
    y, x = (
        np.arange(shape[1]) * voxel_size_mm - center_mm[0],
        np.arange(shape[2]) * voxel_size_mm - center_mm[1],
    )
    ring = np.round(np.hypot(y[:, None], x[None, :]) / voxel_size_mm).astype(np.intp).ravel()
    reach = min(shape[1:]) // 2
    counts = np.maximum(np.bincount(ring, minlength=reach)[:reach], 1)
    profiles = []
    for row in rows:
        image = np.nan_to_num(np.asarray(volume[int(row)], np.float64)).ravel()
        profiles.append(np.bincount(ring, image, minlength=reach)[:reach] / counts)
    # the interquartile range over z is deaf to a single starved layer
    spread = np.subtract(*np.percentile(np.stack(profiles), [75, 25], axis=0))
    plateau, outside = np.median(spread[2 : max(4, reach // 4)]), np.median(spread[int(0.8 * reach) :])
    if not plateau > 2 * outside:
        raise InputError(
            "stack: no pellet found (slices do not change along z inside any radius); give radius_mm"
        )
    first = int(np.argmax(spread[2:] < 0.5 * (plateau + outside))) + 2
    return first * voxel_size_mm
