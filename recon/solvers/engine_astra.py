"""Reconstruction by the ASTRA toolbox on the CPU, called as ours is: same units, same centre, same axes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import check_size, check_views, check_weights, per_cm
from deltamu.recon.solvers.filters import check_filter, filter_response
from deltamu.recon.solvers.problem import Bounds

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Progress = Callable[[int, int], None]


def fbp_by_astra(
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
    """Filtered back-projection by ASTRA's linear back-projector (van Aarle et al. 2016).

    ASTRA's own filter refuses an axis beside the middle of the detector; views are filtered with `filter_response`.

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, filter, cutoff, size, weights, progress
        As in `fbp.fbp`; views are continued with zeros.

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range, a value is not finite, or ASTRA is not installed.
    """
    views, theta = _checked(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    check_filter(filter, cutoff)
    factors = check_weights(weights, theta) * per_cm(pixel_size_mm)
    side = check_size(size, views.shape[2])
    volume = np.empty((views.shape[1], side, side), np.float32)
    with _Slices.of(theta, views.shape[2], side, center) as slices:
        for row, out in enumerate(volume):
            filtered = _filtered(views[:, row], filter, cutoff) * factors[:, None]
            out[:] = slices.run("BP", filtered.astype(np.float32))
            if progress:
                progress(row + 1, len(volume))
    return volume


def sirt_by_astra(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    iterations: int = 100,
    size: int | None = None,
    relaxation: float = 1.0,
    lower: float | None = None,
    upper: float | None = None,
    progress: Progress | None = None,
) -> Array:
    """Simultaneous iterative reconstruction by ASTRA (van Aarle et al. 2016), from zero.

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, iterations, size, relaxation, lower, upper
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
        If an argument is out of range, a value is not finite, or ASTRA is not installed.
    """
    views, theta = _checked(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    if iterations < 1:
        raise InputError(f"iterations: found {iterations}, expected at least 1")
    if not 0 < relaxation < 2:
        raise InputError(f"relaxation: found {relaxation}, expected a number between 0 and 2")
    # refuses bounds that no voxel can keep
    Bounds(-np.inf if lower is None else lower, np.inf if upper is None else upper)
    scale = per_cm(pixel_size_mm)
    bounds = {"MinConstraint": lower, "MaxConstraint": upper}
    options = {name: bound / scale for name, bound in bounds.items() if bound is not None}
    side = check_size(size, views.shape[2])
    volume = np.empty((views.shape[1], side, side), np.float32)
    with _Slices.of(theta, views.shape[2], side, center) as slices:
        for row, out in enumerate(volume):
            found = slices.run("SIRT", views[:, row], iterations, Relaxation=relaxation, **options)
            out[:] = found * np.float32(scale)
            if progress:
                progress(row + 1, len(volume))
    return volume


class _Slices:
    """ASTRA's objects for one slice after the other; one pixel long in ASTRA's units."""

    def __init__(self, astra: Any, geometry: Any, grid: Any) -> None:
        self._astra, self._data = astra, astra.data2d
        self._projector = astra.create_projector("linear", geometry, grid)
        self._views = astra.data2d.create("-sino", geometry, 0)
        self._slice = astra.data2d.create("-vol", grid, 0)

    @classmethod
    @contextmanager
    def of(cls, theta: Float, columns: int, side: int, center: float) -> Iterator["_Slices"]:
        """Make the objects, and free them at the end."""
        astra = _astra()
        geometry = astra.create_proj_geom("parallel_vec", columns, _vectors(theta, columns, center))
        slices = cls(astra, geometry, astra.create_vol_geom(side, side))
        try:
            yield slices
        finally:
            slices._data.delete([slices._views, slices._slice])
            astra.projector.delete(slices._projector)

    def run(self, algorithm: str, views: Array, iterations: int = 1, **options: float) -> Array:
        """Reconstruct one slice; ASTRA's y axis points up, ours down."""
        self._data.store(self._views, np.ascontiguousarray(views))
        self._data.store(self._slice, 0)
        settings = self._astra.astra_dict(algorithm)
        settings["ProjectorId"], settings["ProjectionDataId"] = self._projector, self._views
        settings["ReconstructionDataId"], settings["option"] = self._slice, options
        made = self._astra.algorithm.create(settings)
        try:
            self._astra.algorithm.run(made, iterations)
        finally:
            self._astra.algorithm.delete(made)
        return np.asarray(self._data.get(self._slice)[::-1], np.float32)


def _astra() -> Any:
    try:
        import astra
    except ImportError:
        raise InputError("engine: ASTRA is not installed; try: pip install 'deltamu[astra]'") from None
    return astra


def _checked(
    views: NDArray[np.floating], angles: NDArray[np.floating], *, center: float, pixel_size_mm: float
) -> tuple[Array, Float]:
    """As `check_views`, which leaves values that are not finite to our kernels."""
    found, theta = check_views(views, angles, center=center, pixel_size_mm=pixel_size_mm)
    if not np.all(np.isfinite(found)):
        raise InputError("line_integrals: found values that are not finite; mask or repair them first")
    return found, theta


def _vectors(theta: Float, columns: int, center: float) -> Float:
    """Direction of the rays, middle of the detector and step from column to column, for every view."""
    along = np.stack([np.cos(theta), np.sin(theta)], axis=1)
    rays = np.stack([np.sin(theta), -np.cos(theta)], axis=1)
    return np.concatenate([rays, along * ((columns - 1) / 2 - center), along], axis=1)


def _filtered(views: Array, name: str, cutoff: float) -> Float:
    columns = views.shape[1]
    padded = fft.next_fast_len(max(4, 2 * columns), real=True)
    padded += padded % 2
    response = filter_response(name, padded, cutoff=cutoff)
    filtered = fft.irfft(fft.rfft(views.astype(np.float64), padded, axis=1) * response, padded, axis=1)
    return np.asarray(filtered[:, :columns], np.float64)
