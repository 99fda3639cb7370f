"""Reconstruction by tomopy, called as ours is: same units, same centre, same axes.

Conventions of tomopy 1.15, measured with a disc beside the axis: rows of an image count upwards. Its iterative methods
count columns from the edge of the detector, so that the middle of column 0 is 0.5. gridrec counts from the middle of
column 0, but puts the axis half a voxel beside the middle of an even image and a whole one beside that of an odd one;
it leaves out the zero frequency; and its amplitude is too large by a tenth or more, depending on the place in the
padded image (tomopy issues 453 and 481).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.kernels.backend import thread_count
from deltamu.recon.solvers.engine_inputs import Array, Float, check_iterations, engine_views, import_engine
from deltamu.recon.solvers.fbp import check_size, check_weights, per_cm
from deltamu.recon.solvers.filters import check_filter, filter_response

Progress = Callable[[int, int], None]
# rows that are handed over at a time
ROWS_AT_A_TIME = 8
# gridrec pads to the next power of two itself; below three times the width its amplitude changes too fast
PADDING = 3
# standard deviations in the padded width: a Gaussian much wider has only frequencies that gridrec smears
GAUSSIANS_ACROSS = 20
_MIDDLE_OF_COLUMN_0 = 0.5


def fbp_by_tomopy(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    size: int | None = None,
    weights: NDArray[np.floating] | None = None,
    progress: Progress | None = None,
) -> Array:
    """Filtered back-projection by tomopy's gridrec (Dowd et al. 1999, Rivers and Gürsoy 2014).

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, filter, cutoff, size, weights
        As in `fbp.fbp`; views are continued with zeros.
    progress : callable, optional
        Called with (rows done, rows).

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹. The amplitude is that of a Gaussian which gridrec reconstructs on the same grid.

    Raises
    ------
    InputError
        If an argument is out of range, a value is not finite, or tomopy is not installed.
    """
    views, theta = engine_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    check_filter(filter, cutoff)
    factors = check_weights(weights, theta)
    side = check_size(size, views.shape[2])
    wide = padded_width(max(side, views.shape[2]))
    scale = per_cm(pixel_size_mm) / _amplitude(wide, side)
    response = filter_response(filter, wide, cutoff=cutoff)

    def reconstruct(rows: Array) -> Array:
        image = _gridrec(rows, theta, factors, center=center, response=response, side=side) * scale
        return image.astype(np.float32)

    return _in_blocks(views, side, reconstruct, progress)


def sirt_by_tomopy(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    iterations: int = 100,
    size: int | None = None,
    progress: Progress | None = None,
) -> Array:
    """Simultaneous iterative reconstruction by tomopy, from zero, with rays weighted by its own rule.

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, iterations, size
        As in `iterative.sirt`.
    progress : callable, optional
        Called with (rows done, rows).

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range, a value is not finite, or tomopy is not installed.
    """
    place = {"center": center, "pixel_size_mm": pixel_size_mm}
    return _iterate("sirt", 0.0, line_integrals, angles, iterations, size, progress, **place)


def mlem_by_tomopy(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    iterations: int = 50,
    size: int | None = None,
    progress: Progress | None = None,
) -> Array:
    """Maximum likelihood by tomopy, from a constant; see `sirt_by_tomopy`. Line integrals below zero are cut off."""
    counts = np.maximum(line_integrals, 0)
    place = {"center": center, "pixel_size_mm": pixel_size_mm}
    return _iterate("mlem", 1.0, counts, angles, iterations, size, progress, **place)


def padded_width(columns: int) -> int:
    """Columns that views are padded to for gridrec: a power of two."""
    return int(max(16, 2 ** int(np.ceil(np.log2(PADDING * columns)))))


def _iterate(
    algorithm: str, start: float, line_integrals: NDArray[np.floating], angles: NDArray[np.floating],
    iterations: int, size: int | None, progress: Progress | None, *, center: float, pixel_size_mm: float,
) -> Array:  # fmt: skip
    views, theta = engine_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    check_iterations(iterations)
    side = check_size(size, views.shape[2])
    scale = np.float32(per_cm(pixel_size_mm))
    options = {"algorithm": algorithm, "num_iter": iterations, "center": center + _MIDDLE_OF_COLUMN_0}

    def reconstruct(rows: Array) -> Array:
        first = np.full((rows.shape[1], side, side), start, np.float32)
        return _recon(rows, theta, side, init_recon=first, **options) * scale

    return _in_blocks(views, side, reconstruct, progress)


def _gridrec(
    rows: Array, theta: Float, factors: Float, *, center: float, response: Float, side: int
) -> Float:
    """Filtered back-projection per column; gridrec weighs every view by π over their number."""
    weighted = rows * (factors * theta.size / np.pi)[:, None, None]
    wide = 2 * (response.size - 1)
    left = (wide - rows.shape[2]) // 2
    image = _recon(
        _centred(weighted, theta, wide, left, side), theta, side, center=center + left, algorithm="gridrec",
        filter_name="custom", filter_par=(2 * response[:-1]).astype(np.float32),
    )  # fmt: skip
    mean = weighted.sum(axis=2).mean(axis=0) * np.pi / wide * response[0]
    result: Float = image.astype(np.float64) + mean[:, None, None]
    return result


def _centred(rows: Float, theta: Float, wide: int, left: int, side: int) -> Array:
    """Views between zeros, shifted so that the axis comes to the middle of gridrec's image."""
    beside = 0.5 if side % 2 == 0 else 1.0
    padded = np.zeros((*rows.shape[:2], wide))
    padded[:, :, left : left + rows.shape[2]] = rows
    shift = beside * (np.cos(theta) + np.sin(theta))
    turn = np.exp(2j * np.pi * fft.rfftfreq(wide) * shift[:, None])
    shifted = fft.irfft(fft.rfft(padded, axis=2) * turn[:, None], wide, axis=2)
    return np.asarray(shifted, np.float32)


@lru_cache(maxsize=4)
def _amplitude(wide: int, side: int) -> Float:
    """What gridrec makes of a Gaussian, over the Gaussian: its amplitude, a product of one along y and one along x."""
    sigma, theta = wide / GAUSSIANS_ACROSS, np.arange(90) * np.pi / 90
    view = np.sqrt(2 * np.pi) * sigma * _gaussian(np.arange(wide) - (wide - 1) / 2, sigma)
    rows = np.broadcast_to(view, (theta.size, 1, wide)).astype(np.float32)
    response, factors = filter_response("ram-lak", wide), np.full(theta.size, np.pi / theta.size)
    found = _gridrec(rows, theta, factors, center=(wide - 1) / 2, response=response, side=side)[0]
    profile = _gaussian(np.arange(side) - (side - 1) / 2, sigma)
    middle = side // 2
    along_x, along_y = (line / profile / profile[middle] for line in (found[middle], found[:, middle]))
    return np.asarray(np.outer(along_y, along_x) / along_x[middle], np.float64)


def _gaussian(place: NDArray[np.floating], sigma: float) -> Float:
    return np.asarray(np.exp(-0.5 * (place / sigma) ** 2), np.float64)


def _recon(views: Array, theta: Float, side: int, **options: Any) -> Array:
    """Call tomopy on (angle, row, column); its rows count upwards, ours downwards."""
    volume = import_engine("tomopy").recon(
        views, theta, sinogram_order=False, num_gridx=side, num_gridy=side, ncore=thread_count(), **options
    )
    return np.asarray(volume)[:, ::-1]


def _in_blocks(
    views: Array, side: int, reconstruct: Callable[[Array], Array], progress: Progress | None
) -> Array:
    volume = np.empty((views.shape[1], side, side), np.float32)
    for first in range(0, len(volume), ROWS_AT_A_TIME):
        stop = min(first + ROWS_AT_A_TIME, len(volume))
        volume[first:stop] = reconstruct(np.ascontiguousarray(views[:, first:stop]))
        if progress:
            progress(stop, len(volume))
    return volume
