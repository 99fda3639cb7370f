"""Reconstruction by the ASTRA toolbox, called as ours is: same units, same centre, same axes.

Slice by slice, on the CPU with the rays of Joseph's method, or with CUDA where ASTRA has it and it is asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.solvers.engine_inputs import Array, Float, check_iterations, engine_views, import_engine
from deltamu.recon.solvers.fbp import check_size, check_weights, per_cm
from deltamu.recon.solvers.filters import check_filter, filter_response
from deltamu.recon.solvers.problem import Bounds

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
    device: str = "auto",
    progress: Progress | None = None,
) -> Array:
    """Filtered back-projection by ASTRA's linear back-projector (van Aarle et al. 2016).

    ASTRA's own filter refuses an axis beside the middle of the detector; views are filtered with `filter_response`.

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, filter, cutoff, size, weights, progress
        As in `fbp.fbp`; views are continued with zeros.
    device : {"auto", "cpu", "gpu"}
        "auto" takes CUDA where ASTRA has it.

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range, a value is not finite, or ASTRA is not installed.
    ResourceError
        If "gpu" is asked for and ASTRA has no CUDA.
    """
    views, theta = engine_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    check_filter(filter, cutoff)
    factors = check_weights(weights, theta) * per_cm(pixel_size_mm)
    side = check_size(size, views.shape[2])
    volume = np.empty((views.shape[1], side, side), np.float32)
    with _Slices.of(theta, views.shape[2], side, center, device) as slices:
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
    device: str = "auto",
    progress: Progress | None = None,
) -> Array:
    """Simultaneous iterative reconstruction by ASTRA (van Aarle et al. 2016), from zero.

    Parameters
    ----------
    line_integrals, angles, center, pixel_size_mm, iterations, size, relaxation, lower, upper
        As in `iterative.sirt`.
    device
        As in `fbp_by_astra`.
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
    ResourceError
        If "gpu" is asked for and ASTRA has no CUDA.
    """
    if not 0 < relaxation < 2:
        raise InputError(f"relaxation: found {relaxation}, expected a number between 0 and 2")
    # refuses bounds that no voxel can keep
    Bounds(-np.inf if lower is None else lower, np.inf if upper is None else upper)
    scale = per_cm(pixel_size_mm) if pixel_size_mm > 0 else np.nan
    bounds = {"MinConstraint": lower, "MaxConstraint": upper}
    options = {name: bound / scale for name, bound in bounds.items() if bound is not None}
    return _iterate(
        "SIRT", line_integrals, angles, iterations, size, device, progress, {"Relaxation": relaxation, **options},
        center=center, pixel_size_mm=pixel_size_mm,
    )  # fmt: skip


def cgls_by_astra(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    iterations: int = 20,
    size: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Array:
    """Conjugate gradients by ASTRA, from zero; arguments and errors as in `sirt_by_astra`."""
    return _iterate(
        "CGLS", line_integrals, angles, iterations, size, device, progress, {}, center=center,
        pixel_size_mm=pixel_size_mm,
    )  # fmt: skip


def _iterate(
    algorithm: str, line_integrals: NDArray[np.floating], angles: NDArray[np.floating], iterations: int,
    size: int | None, device: str, progress: Progress | None, options: dict[str, float], *, center: float,
    pixel_size_mm: float,
) -> Array:  # fmt: skip
    views, theta = engine_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    check_iterations(iterations)
    side = check_size(size, views.shape[2])
    volume = np.empty((views.shape[1], side, side), np.float32)
    with _Slices.of(theta, views.shape[2], side, center, device) as slices:
        for row, out in enumerate(volume):
            found = slices.run(algorithm, views[:, row], iterations, **options)
            out[:] = found * np.float32(per_cm(pixel_size_mm))
            if progress:
                progress(row + 1, len(volume))
    return volume


class _Slices:
    """ASTRA's objects for one slice after the other; one pixel long in ASTRA's units."""

    def __init__(self, astra: Any, geometry: Any, grid: Any, *, cuda: bool) -> None:
        self._astra, self._data = astra, astra.data2d
        self._suffix = "_CUDA" if cuda else ""
        self._projector = astra.create_projector("cuda" if cuda else "linear", geometry, grid)
        self._views = astra.data2d.create("-sino", geometry, 0)
        self._slice = astra.data2d.create("-vol", grid, 0)

    @classmethod
    @contextmanager
    def of(cls, theta: Float, columns: int, side: int, center: float, device: str) -> Iterator["_Slices"]:
        """Make the objects, and free them at the end."""
        astra = import_engine("astra")
        cuda = _takes_cuda(astra, device)
        geometry = astra.create_proj_geom("parallel_vec", columns, _vectors(theta, columns, center))
        slices = cls(astra, geometry, astra.create_vol_geom(side, side), cuda=cuda)
        try:
            yield slices
        finally:
            slices._data.delete([slices._views, slices._slice])
            astra.projector.delete(slices._projector)

    def run(self, algorithm: str, views: Array, iterations: int = 1, **options: float) -> Array:
        """Reconstruct one slice; ASTRA's y axis points up, ours down."""
        self._data.store(self._views, np.ascontiguousarray(views))
        self._data.store(self._slice, 0)
        settings = self._astra.astra_dict(algorithm + self._suffix)
        settings["ProjectorId"], settings["ProjectionDataId"] = self._projector, self._views
        settings["ReconstructionDataId"], settings["option"] = self._slice, options
        made = self._astra.algorithm.create(settings)
        try:
            self._astra.algorithm.run(made, iterations)
        finally:
            self._astra.algorithm.delete(made)
        return np.asarray(self._data.get(self._slice)[::-1], np.float32)


def _takes_cuda(astra: Any, device: str) -> bool:
    if device not in ("auto", "cpu", "gpu"):
        raise InputError(f"device: found '{device}', expected auto, cpu or gpu")
    has_cuda = device != "cpu" and bool(astra.use_cuda())
    if device == "gpu" and not has_cuda:
        raise ResourceError("device: ASTRA finds no CUDA device; try device='cpu', or see `deltamu info`")
    return has_cuda


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
