"""PICCS and joint reconstruction of parallel-beam scans in one call, straight onto the grid of the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.solvers.complete_rays import complete_rays
from deltamu.recon.solvers.direct import fbp_direct
from deltamu.recon.solvers.fbp import check_views
from deltamu.recon.solvers.iterate import Course, Stopping, last
from deltamu.recon.solvers.onto import seen_from_reference
from deltamu.recon.solvers.operators import Operator, Shape, operator_of
from deltamu.recon.solvers.penalties import TotalVariation, pull_of_noise
from deltamu.recon.solvers.prior_image import StateViews, joint_iterates, piccs_iterates

Array = NDArray[np.float32]
Region = tuple[slice, slice]
Progress = Callable[[int, int], None]
Record = Callable[[Course], None]
STRENGTH = 0.5
ITERATIONS = 60
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
    first = known + _first_change(A, near, data - A(known), weights, pixel_size_mm)
    pull = pull_of_noise(views.noise, voxel_size_mm=pixel_size_mm, views=len(views.angles))
    iterates = piccs_iterates(
        A, data, known, penalty=TotalVariation(strength * pull, threshold), prior_share=prior_share,
        start=first, weights=weights, lower=lower, upper=upper,
    )  # fmt: skip
    rest[inside] = last(iterates, stopping, progress=progress, record=record).volume
    return rest


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
    pulls = [
        pull_of_noise(state.noise, voxel_size_mm=pixel_size_mm, views=len(state.angles)) for state in states
    ]
    iterates = joint_iterates(
        parts, penalty=TotalVariation(strength * pulls[0], threshold),
        change_penalty=TotalVariation(change_strength * max(pulls[1:]), threshold),
        lower=lower, upper=upper, change_support=mask, start=_first_volumes(parts, seen, pixel_size_mm),
    )  # fmt: skip
    stopping = Stopping(iterations, relative_change=relative_change)
    found = last(iterates, stopping, progress=progress, record=record)
    return tuple(np.split(found.volume, len(states)))


def _first_volumes(
    parts: Sequence[StateViews], seen: Sequence[tuple[ScanGeometry, Shape]], pixel_size_mm: float
) -> Array:
    """Filtered back-projection of the reference, and of what it does not explain of the others."""
    volumes: list[Array] = []
    for part, (geometry, _) in zip(parts, seen, strict=True):
        left = part.line_integrals - part.A(volumes[0]) if volumes else part.line_integrals
        weights = np.float32(1) if part.weights is None else part.weights
        volumes.append(_first_change(part.A, geometry, left, weights, pixel_size_mm))
    return array_module(volumes[0]).concatenate(volumes)  # type: ignore[no-any-return]


def _first_change(
    A: Operator, geometry: ScanGeometry, left: Array, weights: Any, pixel_size_mm: float
) -> Array:
    """Smooth filtered back-projection of residuals; zero where rows end."""
    found = fbp_direct(
        left * (weights > 0),
        geometry,
        volume_shape=A.domain_shape,
        voxel_size_mm=pixel_size_mm,
        filter="hann",
    )
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
