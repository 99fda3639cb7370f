"""Every reconstruction method by its name, as study.toml and the command line call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.bridged_rays import bridge_silent_rays
from deltamu.recon.solvers.engines import OWN, TIMES_OURS, engine_cost, engine_options, reconstruct_by_engine
from deltamu.recon.solvers.fbp import check_views, fbp, fbp_cost
from deltamu.recon.solvers.iterate import Course
from deltamu.recon.solvers.iterative import cgls, fista, mlem, os_sart, pdhg, sirt
from deltamu.recon.solvers.method import ITERATIONS, OPTIONS, STRENGTH, SUBSETS, Method
from deltamu.recon.solvers.operators import operator
from deltamu.recon.solvers.penalties import TotalVariation, pull_of_noise

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]
Record = Callable[[Course], None]

# relative change of one iteration: at 2e-3 the rim of a change in the simulated cell was a quarter wider than at 1e-4
SETTLED_CHANGE = 1e-3

# arrays of the size of the volume and of the projections that the hungriest step holds at once, beside the scaling of
# the voxels in every subset; measured, within 15 %
_HELD = {
    "sirt": (4, 6), "os-sart": (3, 6), "cgls": (6, 4), "mlem": (4, 5), "osem": (4, 5), "fista-tv": (9, 6),
    "pdhg-tv": (15, 7),
}  # fmt: skip


def reconstruct(
    line_integrals: Array,
    angles: NDArray[np.floating],
    method: Method,
    *,
    center: float,
    pixel_size_mm: float,
    weights: Array | None = None,
    noise: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    record: Record | None = None,
) -> Array:
    """Reconstruct parallel-beam line integrals by a named method, or by another program's.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
    angles : (angle,) array
        Radians.
    method : Method
    center : float
        Column of the rotation axis.
    pixel_size_mm : float
    weights : (angle, row, column) array, optional
        Influence of every ray relative to one of the noise `noise`: variance of that one over its own, zero for
        a ray that says nothing. Filtered back-projection cannot weigh rays and leaves them aside, and so do other
        engines.
    noise : float, optional
        Standard deviation of a line integral of weight one; `strength` and `discrepancy` are multiples of it.
    device : {"auto", "cpu", "gpu"}
        Of other engines; ours computes where the arrays are.
    progress : callable, optional
        Called with (iterations done, at most), by other engines with (rows done, all); it may raise to cancel.
    record : callable, optional
        Called at the end of our own iterative methods with their `Course`: objectives, changes, why they ended.

    Returns
    -------
    (row, column, column) float32 array
        cm⁻¹.

    Raises
    ------
    InputError
        If an argument is out of range, or the noise is needed and not given.
    """
    views, theta = check_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    place: dict[str, Any] = {"center": center, "pixel_size_mm": pixel_size_mm}
    if method.engine != OWN:
        return _by_engine(views, theta, method, device=device, progress=progress, **place)
    if not method.is_iterative:
        return _analytic(views, theta, method, place)
    if method.needs_noise and not (noise is not None and np.isfinite(noise) and noise > 0):
        raise InputError(
            f"noise: found {noise}, expected the standard deviation of a line integral; {method.name} counts in it"
        )
    problem = _Rays(views, theta, weights, noise or 0.0, place)
    return _BUILD[method.name](
        problem, method, {**_stopping(problem, method), "progress": progress, "record": record}
    )


def stopped_early(method: Method, course: Course) -> str | None:
    """A sentence for a solver that ran out of iterations before it was done; None where it was not.

    That is before a criterion that was given was met, or, for total variation, whose minimum is what counts, while
    the volume still moved by more than `SETTLED_CHANGE` of itself. Other methods are stopped to keep noise out.
    """
    if course.reason != "iterations":
        return None
    asked = [n for n in ("discrepancy", "relative_change") if getattr(method, n) is not None]
    if asked:
        taken = len(course.changes)
        return f"{method.title} took all {taken} iterations before it met {' or '.join(asked)}; give it more iterations"
    return unsettled(method.title, course) if "strength" in OPTIONS[method.name] else None


def unsettled(title: str, course: Course) -> str | None:
    """A sentence for a minimisation that ran out of iterations while its volume still moved; None where it was not."""
    if course.reason != "iterations" or course.changes[-1] <= SETTLED_CHANGE:
        return None
    return (
        f"{title} stopped after {len(course.changes)} iterations while one still changed the volume by "
        f"{course.changes[-1]:.1g} of itself, more than {SETTLED_CHANGE:g}: edges may be blurred and values off; "
        "give it more iterations"
    )


def method_cost(method: Method, views: int, columns: int) -> Cost:
    """Working memory of `reconstruct` beyond line integrals and result, per row of the detector."""
    if method.engine != OWN:
        return engine_cost(method.engine, views, columns)
    analytic = fbp_cost(views, columns)
    if not method.is_iterative:
        return analytic
    volumes, sinograms = _HELD[method.name]
    if "subsets" in OPTIONS[method.name]:
        volumes += _subsets(method, views)
    held = 4 * columns * (volumes * columns + sinograms * views)
    return Cost(max(held, analytic.bytes_per_slice), analytic.fixed_bytes)


def projections_taken(method: Method) -> int:
    """Projections and back-projections of all the views that take as long, at most; for an estimate of the time."""
    taken = 2 * (method.iterations or ITERATIONS[method.name]) if method.is_iterative else 0
    return taken if method.engine == OWN else TIMES_OURS * max(taken, 1)


@dataclass(frozen=True)
class _Rays:
    """What is to be fitted."""

    views: Array
    theta: NDArray[np.float64]
    weights: Array | None
    noise: float
    place: Mapping[str, Any]

    @property
    def residual_of_noise(self) -> float:
        """Norm of the weighted residual of the truth."""
        heard = self.views.size if self.weights is None else np.count_nonzero(self.weights)
        return float(self.noise * np.sqrt(heard))

    @property
    def pull_of_noise(self) -> float:
        """The unit of a strength, cm."""
        voxel = self.place["pixel_size_mm"]
        return pull_of_noise(self.noise, voxel_size_mm=voxel, views=len(self.theta))


def _stopping(problem: _Rays, method: Method) -> dict[str, Any]:
    options: dict[str, Any] = {
        "iterations": ITERATIONS[method.name] if method.iterations is None else method.iterations,
        "relative_change": method.relative_change,
        "weights": problem.weights,
        **problem.place,
    }
    if method.discrepancy is not None:
        options["discrepancy"] = method.discrepancy * problem.residual_of_noise
    return options


def _analytic(views: Array, theta: NDArray[np.float64], method: Method, place: Mapping[str, Any]) -> Array:
    return fbp(views, theta, filter=method.filter, cutoff=method.cutoff, padding=method.padding, **place)


def _by_engine(
    views: Array, theta: NDArray[np.float64], method: Method, *, device: str, **options: Any
) -> Array:
    if method.is_iterative:
        options["iterations"] = ITERATIONS[method.name]
        options |= _given(method, *engine_options(method.engine, method.name))
    else:
        options |= {"filter": method.filter, "cutoff": method.cutoff}
    return reconstruct_by_engine(
        views, theta, engine=method.engine, method=method.name, device=device, **options
    )


def _by_sirt(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    return sirt(problem.views, problem.theta, **options, **_given(method, "relaxation", "lower", "upper"))


def _by_os_sart(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    own = _given(method, "relaxation", "lower", "upper")
    return os_sart(
        problem.views, problem.theta, subsets=_subsets(method, len(problem.theta)), **options, **own
    )


def _by_cgls(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    strength = 0.0
    if method.tikhonov:
        _, _, columns = problem.views.shape
        strength = (
            method.tikhonov * operator(problem.theta, columns=columns, rows=1, **problem.place).norm() ** 2
        )
    return cgls(problem.views, problem.theta, tikhonov=strength, **options)


def _by_mlem(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    """Line integrals stand for counts; noise below zero has no likelihood and is cut off."""
    counts = np.maximum(problem.views, np.float32(0))
    subsets = _subsets(method, len(problem.theta)) if method.name == "osem" else 1
    return mlem(counts, problem.theta, subsets=subsets, **options)


def _by_fista(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    return fista(problem.views, problem.theta, **options, **_variation(problem, method))


def _by_pdhg(problem: _Rays, method: Method, options: dict[str, Any]) -> Array:
    return pdhg(problem.views, problem.theta, **options, **_variation(problem, method))


_BUILD: Mapping[str, Callable[[_Rays, Method, dict[str, Any]], Array]] = {
    "sirt": _by_sirt,
    "os-sart": _by_os_sart,
    "cgls": _by_cgls,
    "mlem": _by_mlem,
    "osem": _by_mlem,
    "fista-tv": _by_fista,
    "pdhg-tv": _by_pdhg,
}


def _variation(problem: _Rays, method: Method) -> dict[str, Any]:
    """Penalty, bounds, and filtered back-projection as the first volume."""
    strength = STRENGTH if method.strength is None else method.strength
    return {
        "penalty": TotalVariation(
            strength * problem.pull_of_noise, threshold=method.threshold or 0.0, planar=method.dimensions != 3
        ),
        "start": _analytic(
            bridge_silent_rays(problem.views, problem.weights), problem.theta, method, problem.place
        ),
        **_given(method, "lower", "upper"),
    }


def _subsets(method: Method, views: int) -> int:
    """As many as asked for; by default at most the number of views."""
    return min(SUBSETS, views) if method.subsets is None else method.subsets


def _given(method: Method, *names: str) -> dict[str, Any]:
    return {name: getattr(method, name) for name in names if getattr(method, name) is not None}
