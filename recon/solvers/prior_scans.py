"""PICCS and joint reconstruction of parallel-beam scans in one call, straight onto the grid of the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, array_module
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.solvers.bridged_rays import bridge_silent_rays
from deltamu.recon.solvers.complete_rays import complete_rays
from deltamu.recon.solvers.direct import fbp_direct
from deltamu.recon.solvers.fbp import check_views
from deltamu.recon.solvers.iterate import Course, Stopping, last
from deltamu.recon.solvers.onto import seen_from_reference
from deltamu.recon.solvers.operators import Operator, Shape, operator_of
from deltamu.recon.solvers.penalties import TotalVariation, pull_of_noise
from deltamu.recon.solvers.prior_image import StateViews, joint_iterates, piccs_iterates
from deltamu.recon.solvers.regularised import fista_iterates

Array = NDArray[np.float32]
Region = tuple[slice, slice]
Progress = Callable[[int, int], None]
Record = Callable[[Course], None]
STRENGTH = 0.5
ITERATIONS = 60
# arrays of the size of the volume and of the views that PICCS holds at once, beside prior, views and weights
_VOLUMES, _VIEWS = 16, 8
EVERYWHERE: Region = (slice(None), slice(None))


@dataclass(frozen=True)
class RegisteredViews:
    """The scan of one state, and where the reference stands in it.

    Attributes
    ----------
    line_integrals : (angle, row, column) array
    angles : (angle,) array
        Radians.
    center : float
        Column of the rotation axis.
    noise : float
        Standard deviation of a line integral of weight one.
    transform : RigidTransform
        Reference to this scan, as `register` finds it; none for the reference itself.
    weights : (angle, row, column) array, optional
        Influence of every ray relative to one of the noise `noise`, as in `reconstruct`.
    """

    line_integrals: Array
    angles: NDArray[np.floating]
    center: float
    noise: float
    transform: RigidTransform = field(default_factory=RigidTransform)
    weights: Array | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.noise) and self.noise > 0):
            raise InputError(f"noise: found {self.noise}, expected the standard deviation of a line integral")

    def geometry(self, pixel_size_mm: float, first_row: int) -> tuple[ScanGeometry, Shape]:
        """How it sees the slices of the reference that have the numbers of its rows, and their shape."""
        views, angles = check_views(
            self.line_integrals, self.angles, center=self.center, pixel_size_mm=pixel_size_mm
        )
        stop = first_row + views.shape[1]
        shape = (stop, views.shape[2], views.shape[2])
        return seen_from_reference(
            views.shape,
            angles,
            self.transform,
            self.center,
            pixel_size_mm,
            shape,
            (first_row, stop),
            first_row,
        )

    def heard(self, geometry: ScanGeometry, shape: Shape, pixel_size_mm: float) -> Array:
        """Weights, zero for rays that leave the slices."""
        within = complete_rays(geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm)
        weights = np.float32(1) if self.weights is None else self.weights
        xp = array_module(self.line_integrals)
        result: Array = np.multiply(weights, xp.asarray(within), dtype=np.float32)
        return result


def piccs(
    views: RegisteredViews,
    prior: Array,
    *,
    pixel_size_mm: float,
    strength: float = STRENGTH,
    prior_share: float = 1.0,
    threshold: float = 0.0,
    region: Region = EVERYWHERE,
    first_row: int = 0,
    lower: float | None = None,
    upper: float | None = None,
    iterations: int = ITERATIONS,
    relative_change: float | None = None,
    progress: Progress | None = None,
    record: Record | None = None,
) -> Array:
    """Reconstruct a state from few views with a registered volume of another state as prior.

    Parameters
    ----------
    views : RegisteredViews
    prior : (row, column, column) array
        cm⁻¹, the slices that have the numbers of the rows; best by `fista` from all views of its own scan.
    pixel_size_mm : float
        Also of the voxels.
    strength : float
        Of total variation, in standard deviations of the pull that noise has on a voxel, as in `Method`.
    prior_share : float
        How much of it falls on the change, the rest on the volume itself; see `prior_image.piccs_iterates`.
    threshold : float
        cm⁻¹; see `penalties.TotalVariation`.
    region : (y, x) slices
        Where anything may change; outside, the volume is the prior. A small region saves time.
    first_row : int
        Row of the detector that the given rows start with.
    lower, upper : float, optional
        cm⁻¹.
    iterations, relative_change, progress, record
        As in `sirt`.

    Returns
    -------
    (row, column, column) float32 array
        cm⁻¹; the change is this minus the prior.

    Raises
    ------
    InputError
        If an argument is out of range or a shape does not fit.
    """
    geometry, shape = views.geometry(pixel_size_mm, first_row)
    if np.shape(prior) != shape:
        raise InputError(f"prior: found shape {np.shape(prior)}, expected {shape}, one slice for each row")
    if not np.isfinite(prior).all():
        raise InputError("prior: found values that are not finite; put zeros where nothing is known")
    inside, corner = _part_of(shape, region)
    stopping = Stopping(iterations, relative_change=relative_change)
    rest = np.array(prior, np.float32)
    known = rest[inside].copy()
    rest[inside] = 0
    weights = views.heard(geometry, shape, pixel_size_mm)
    data = views.line_integrals - _operator(geometry, shape, pixel_size_mm)(rest)
    z, y, x = (pixel_size_mm * c for c in corner)
    near = geometry.of_moved_volume(RigidTransform(translation_mm=(z, y, x)))
    A = _operator(near, known.shape, pixel_size_mm)
    left = data - A(known)
    # what a ray without weight leaves is expected to be nothing
    first = known + _back_projected(left * (weights > 0), (near, known.shape), pixel_size_mm, "hann")
    pull = pull_of_noise(views.noise, voxel_size_mm=pixel_size_mm, views=len(views.angles))
    iterates = piccs_iterates(
        A, data, known, penalty=TotalVariation(strength * pull, threshold), prior_share=prior_share,
        start=first, weights=weights, lower=lower, upper=upper,
    )  # fmt: skip
    rest[inside] = last(iterates, stopping, progress=progress, record=record).volume
    return rest


def piccs_cost(views: int, columns: int) -> Cost:
    """Working memory of `piccs` beyond views, weights and prior, per row."""
    return Cost(4 * columns * (_VOLUMES * columns + _VIEWS * views), 0)


def joint(
    states: Sequence[RegisteredViews],
    *,
    pixel_size_mm: float,
    strength: float = STRENGTH,
    change_strength: float = STRENGTH,
    threshold: float = 0.0,
    region: Region = EVERYWHERE,
    first_row: int = 0,
    lower: float | None = None,
    upper: float | None = None,
    iterations: int = ITERATIONS,
    relative_change: float | None = None,
    progress: Progress | None = None,
    record: Record | None = None,
) -> tuple[Array, ...]:
    """Reconstruct a state and how others differ from it, together, with the change expected to be flat.

    Parameters
    ----------
    states : sequence of RegisteredViews
        The reference first; as many rows and columns of each.
    strength, change_strength : float
        Of the total variation of the reference and of the changes, in the unit of `piccs`.
    threshold, region, first_row, iterations, relative_change, progress, record
        As in `piccs`.
    lower, upper : float, optional
        Of the reference, cm⁻¹.

    Returns
    -------
    tuple of (row, column, column) float32 arrays
        cm⁻¹: the reference, and the change of each further state.

    Raises
    ------
    InputError
        If an argument is out of range or shapes do not fit.

    Notes
    -----
    What is common and what changes are slow to tell apart, so each is first solved alone: the reference, then every
    change with it as prior, with as many iterations as are then taken together. `progress` counts all of them,
    `record` is told of the last ones.
    """
    if len(states) < 2:
        raise InputError(f"states: found {len(states)}, expected the reference and at least one other")
    seen = [state.geometry(pixel_size_mm, first_row) for state in states]
    parts = [
        StateViews(
            _operator(geometry, shape, pixel_size_mm), np.ascontiguousarray(state.line_integrals, np.float32),
            state.heard(geometry, shape, pixel_size_mm),
        )
        for state, (geometry, shape) in zip(states, seen, strict=True)
    ]  # fmt: skip
    mask = np.zeros(seen[0][1][1:], np.bool_)
    mask[region] = True
    penalty, *others = _penalties(
        states, (strength, *[change_strength] * (len(states) - 1)), threshold, pixel_size_mm
    )
    change_penalty = max(others, key=lambda other: other.strength)
    stopping = Stopping(iterations, relative_change=relative_change)
    counts = [_counted(progress, done, len(states) + 1) for done in range(len(states) + 1)]
    alone = fista_iterates(
        parts[0].A, parts[0].line_integrals, penalty=penalty, weights=parts[0].weights, lower=lower, upper=upper,
        start=_back_projected(
            bridge_silent_rays(parts[0].line_integrals, parts[0].weights), seen[0], pixel_size_mm, "ram-lak"
        ),
    )  # fmt: skip
    volumes = [last(alone, stopping, progress=counts[0]).volume]
    for state, count in zip(states[1:], counts[1:-1], strict=True):
        seen_alone = piccs(
            state, volumes[0], pixel_size_mm=pixel_size_mm, strength=change_strength, threshold=threshold,
            region=region, first_row=first_row, iterations=iterations, relative_change=relative_change,
            progress=count,
        )  # fmt: skip
        volumes.append(seen_alone - volumes[0])
    iterates = joint_iterates(
        parts, penalty=penalty, change_penalty=change_penalty, lower=lower, upper=upper, change_support=mask,
        start=array_module(volumes[0]).concatenate(volumes),
    )  # fmt: skip
    found = last(iterates, stopping, progress=counts[-1], record=record)
    return tuple(np.split(found.volume, len(states)))


def _penalties(
    states: Sequence[RegisteredViews], strengths: Sequence[float], threshold: float, pixel_size_mm: float
) -> list[TotalVariation]:
    """Of every state, its strength in the unit of its own noise."""
    return [
        TotalVariation(
            strength * pull_of_noise(state.noise, voxel_size_mm=pixel_size_mm, views=len(state.angles)),
            threshold,
        )
        for state, strength in zip(states, strengths, strict=True)
    ]


def _counted(progress: Progress | None, stage: int, stages: int) -> Progress | None:
    """Progress of one of several stages of as many iterations, told as that of all."""
    if progress is None:
        return None
    return lambda done, most: progress(stage * most + done, stages * most)


def _back_projected(
    views: Array, seen: tuple[ScanGeometry, Shape], pixel_size_mm: float, filter: str
) -> Array:
    """Filtered back-projection of line integrals or residuals; zero where rows end."""
    geometry, shape = seen
    found = fbp_direct(views, geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm, filter=filter)
    return np.nan_to_num(found, copy=False)


def _operator(geometry: ScanGeometry, shape: Shape, pixel_size_mm: float) -> Operator:
    return operator_of(geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm)


def _part_of(shape: Shape, region: Region) -> tuple[tuple[slice, slice, slice], tuple[int, int, int]]:
    """The region as an index of the volume, and its first voxel."""
    bounds = [part.indices(n) for part, n in zip(region, shape[1:], strict=True)]
    (y, y_stop, y_step), (x, x_stop, x_step) = bounds
    if not (y < y_stop and x < x_stop and y_step == x_step == 1):
        raise InputError(f"region: found {region}, expected (y, x) slices that hold voxels of {shape[1:]}")
    return (slice(None), slice(y, y_stop), slice(x, x_stop)), (0, y, x)
