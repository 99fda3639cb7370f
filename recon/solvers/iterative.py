"""Iterative reconstruction of parallel-beam line integrals in one call.

Each function runs one of the generators of `least_squares`, `counts` and `regularised` until it should stop and
returns the volume. For another geometry, or to look at the iterates, take the generators with an operator.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.solvers.counts import mlem_iterates
from deltamu.recon.solvers.fbp import check_views
from deltamu.recon.solvers.iterate import Course, Iterate, Stopping, last
from deltamu.recon.solvers.least_squares import cgls_iterates, os_sart_iterates, sirt_iterates
from deltamu.recon.solvers.operators import operator
from deltamu.recon.solvers.regularised import fista_iterates, pdhg_iterates

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]


def sirt(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 100, **options: Any
) -> Array:
    """Simultaneous iterative reconstruction; see `least_squares.sirt_iterates`.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
    angles : (angle,) array
        Radians.
    iterations : int
        The most that are taken.
    **options
        center, pixel_size_mm (as in `fbp`), size; discrepancy, relative_change (see `iterate.Stopping`);
        progress, called with (done, at most); record, called with the `iterate.Course` at the end; and what the generator takes: start, weights, lower, upper,
        support, relaxation.

    Returns
    -------
    (row, size, size) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range or a value is not finite.
    """
    return _run(sirt_iterates, line_integrals, angles, iterations=iterations, **options)


def os_sart(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 10, **options: Any
) -> Array:
    """Ordered-subset SART; see `sirt` for the arguments and `least_squares.os_sart_iterates` for `subsets`."""
    return _run(os_sart_iterates, line_integrals, angles, iterations=iterations, **options)


def cgls(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 20, **options: Any
) -> Array:
    """Conjugate gradients; see `sirt` for the arguments and `least_squares.cgls_iterates` for its own."""
    return _run(cgls_iterates, line_integrals, angles, iterations=iterations, **options)


def mlem(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 50, **options: Any
) -> Array:
    """Maximum likelihood for counts, OSEM with `subsets`; see `sirt` and `counts.mlem_iterates`."""
    return _run(mlem_iterates, line_integrals, angles, iterations=iterations, **options)


def fista(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 100, **options: Any
) -> Array:
    """Regularised least squares with `penalty`; see `sirt` and `regularised.fista_iterates`."""
    return _run(fista_iterates, line_integrals, angles, iterations=iterations, **options)


def pdhg(
    line_integrals: Array, angles: NDArray[np.floating], *, iterations: int = 200, **options: Any
) -> Array:
    """Total variation by primal-dual splitting; see `sirt` and `regularised.pdhg_iterates`."""
    return _run(pdhg_iterates, line_integrals, angles, iterations=iterations, **options)


def _run(
    generator: Callable[..., Iterator[Iterate]],
    line_integrals: Array,
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    iterations: int,
    size: int | None = None,
    discrepancy: float | None = None,
    relative_change: float | None = None,
    progress: Progress | None = None,
    record: Callable[[Course], None] | None = None,
    **options: Any,
) -> Array:
    views, theta = check_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    _, rows, columns = views.shape
    A = operator(theta, columns=columns, rows=rows, center=center, pixel_size_mm=pixel_size_mm, size=size)
    stopping = Stopping(iterations, discrepancy, relative_change)
    return last(generator(A, views, **options), stopping, progress=progress, record=record).volume
