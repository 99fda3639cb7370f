"""Filtered back-projection of parallel-beam data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.gridding import grid_backproject, gridding_cost, plan_gridding
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import view_weights
from deltamu.recon.solvers.filters import check_filter, filter_response
from deltamu.recon.solvers.redundancy import FULL_TURN, check_full_turn, offset_weights

Image = NDArray[np.float32]
MM_PER_CM = 10.0
PADDINGS = ("zero", "edge")


def fbp(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float | NDArray[np.floating],
    pixel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    size: int | None = None,
    padding: str = "zero",
    weights: NDArray[np.floating] | None = None,
    offset_detector: bool = False,
    out: Image | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Image:
    """Reconstruct attenuation coefficients from parallel-beam line integrals.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        -ln of the transmission.
    angles : (angle,) array
        Radians; any order, spacing and range. A view sees the point (x, y) at column
        center + [(x - x0) cos(angle) + (y - y0) sin(angle)] / pixel, x0 = y0 = (size - 1) / 2.
    center : float or (angle,) array
        Column that the rotation axis projects to; the centre of column 0 is 0. One per view where single views
        are shifted.
    pixel_size_mm : float
    filter : str
        One of `filters.FILTERS`.
    cutoff : float
        Fraction of the Nyquist frequency, (0, 1].
    size : int, optional
        Voxels along x and y; the number of columns by default, or the width that an offset detector sees in a
        full turn.
    padding : {"zero", "edge"}
        What a view is continued with beyond the detector. "zero" is exact for an object inside the field of
        view. An object that reaches beyond it leaves a bright rim with "zero"; "edge" trades the rim for a
        bias inside.
    weights : (angle,) array, optional
        Weight of each view, pi in total; `geometry.view_weights` by default, which makes the result
        independent of how the views are spaced.
    offset_detector : bool
        The detector stands to one side of the axis and the views make a full turn: each half of the sample is
        seen from the other side (`redundancy.offset_weights`). Takes a copy of the line integrals.
    out : (row, size, size) float32 array, optional
        C-contiguous; receives the result.
    progress : callable, optional
        Called with (rows done, rows).

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹. Bit-identical for any number of threads and any division into blocks of 32 rows.

    Raises
    ------
    InputError
        If an argument is out of range, the counts do not match, or a value is not finite.
    """
    sinograms, theta = check_views(
        line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm, center_per_view=True
    )
    check_filter(filter, cutoff)
    check_padding(padding)
    if offset_detector:
        check_full_turn(theta)
        places, edges = _from_axis(sinograms.shape[2], center)
        sinograms = sinograms * offset_weights(places, edges).astype(np.float32)
        size = round(2 * max(map(abs, edges))) if size is None else size
    side = check_size(size, sinograms.shape[2])
    _check_out(out, (sinograms.shape[1], side, side))
    circle = FULL_TURN if offset_detector else np.pi
    factors = check_weights(weights, theta, circle=circle) * per_cm(pixel_size_mm)
    plan = plan_gridding(sinograms.shape[2], theta, center, size=side, weights=factors)
    response = filter_response(filter, plan.padded, cutoff=cutoff)
    try:
        return grid_backproject(
            plan, sinograms, response, repeat_edge=padding == "edge", out=out, progress=progress
        )
    except ValueError as error:
        raise InputError(f"line_integrals: {error}; mask or repair them first") from error


def fbp_cost(views: int, columns: int, *, size: int | None = None) -> Cost:
    """Working memory of `fbp` beyond the line integrals and the result.

    Parameters
    ----------
    views, columns : int
        Shape of a sinogram.
    size : int, optional
        Voxels along x and y; the number of columns by default.
    """
    return gridding_cost(views, columns, columns if size is None else size)


def per_cm(pixel_size_mm: float) -> float:
    """Pixels per centimetre."""
    return MM_PER_CM / pixel_size_mm


def check_views(
    views: NDArray[Any],
    angles: NDArray[Any],
    *,
    center: float | NDArray[np.floating],
    pixel_size_mm: float,
    name: str = "line_integrals",
    center_per_view: bool = False,
) -> tuple[Image, NDArray[np.float64]]:
    """Return the views as contiguous float32 and the angles as float64, or raise InputError."""
    if views.ndim != 3 or 0 in views.shape:
        raise InputError(f"{name}: found shape {views.shape}, expected (angle, row, column), none empty")
    if not np.issubdtype(views.dtype, np.floating):
        raise InputError(f"{name}: found {views.dtype}, expected floating-point numbers, not raw counts")
    theta = np.asarray(angles, np.float64)
    if theta.shape != views.shape[:1]:
        raise InputError(f"angles: found shape {theta.shape}, expected one per view, {views.shape[:1]}")
    if not np.all(np.isfinite(theta)):
        raise InputError(f"angles: view {int(np.argmin(np.isfinite(theta)))} has no finite angle")
    check_center(center, views.shape[2], views=theta.size if center_per_view else None)
    check_pixel_size(pixel_size_mm)
    contiguous: Image = array_module(views).ascontiguousarray(views, np.float32)
    return contiguous, theta


def check_center(center: float | NDArray[np.floating], columns: int, *, views: int | None = None) -> None:
    """Raise InputError unless the rotation axis projects onto the detector; given `views`, in each of them."""
    if np.ndim(center) > 0 and np.shape(center) != (views,):
        expected = "one number" if views is None else f"one number, or {views} of them"
        raise InputError(f"center: found shape {np.shape(center)}, expected {expected}")
    columns_seen = np.asarray(center, np.float64)
    # written so that NaN is outside
    beyond = ~((columns_seen >= -0.5) & (columns_seen <= columns - 0.5))
    if beyond.any():
        found = columns_seen[beyond].ravel()[0]
        raise InputError(f"center: found {found}, expected a detector column, -0.5 to {columns - 0.5}")


def check_padding(padding: str) -> None:
    """Raise InputError unless `padding` is a way to continue a view."""
    if padding not in PADDINGS:
        raise InputError(f"padding: found {padding!r}, expected one of {', '.join(PADDINGS)}")


def check_pixel_size(pixel_size_mm: float) -> None:
    """Raise InputError unless the pixel size is a positive length."""
    if not (np.isfinite(pixel_size_mm) and pixel_size_mm > 0):
        raise InputError(f"pixel_size_mm: found {pixel_size_mm}, expected a positive length in millimetres")


def check_size(size: int | None, columns: int) -> int:
    """Return the voxels along x and y, or raise InputError."""
    side = columns if size is None else size
    if side < 1 or side != int(side):
        raise InputError(f"size: found {size}, expected a whole number of voxels, at least 1")
    return int(side)


def check_weights(
    weights: NDArray[Any] | None, theta: NDArray[np.float64], *, circle: float = np.pi
) -> NDArray[np.float64]:
    """Return the given weights, or those of the spacing of the views; InputError if they do not fit."""
    if weights is None:
        return view_weights(theta, circle=circle)
    given = np.asarray(weights, np.float64)
    if given.shape != theta.shape or not np.all(np.isfinite(given)):
        raise InputError(f"weights: found shape {given.shape}, expected {theta.shape}, all finite")
    return given


def _from_axis(
    columns: int, center: float | NDArray[np.floating]
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Signed distances from the axis, columns: of the pixels, and of the edges where they are closest to it."""
    axis = np.asarray(center, np.float64).reshape(-1, 1, 1)
    edges = float(-0.5 - axis.min()), float(columns - 0.5 - axis.max())
    return np.arange(columns, dtype=np.float64) - axis, edges


def _check_out(out: Image | None, shape: tuple[int, int, int]) -> None:
    if out is None:
        return
    writeable = getattr(out.flags, "writeable", True)  # CuPy has no arrays that are not
    if out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous or not writeable:
        raise InputError(
            f"out: found {out.dtype} {out.shape}, expected a writeable C-contiguous float32 array {shape}"
        )
