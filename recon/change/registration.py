"""Rigid registration of two volumes of one sample on the parts that do not change."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.align import NormalEquations
from deltamu.recon.change.gauss_newton import Fit, Method, Motion, fit_level, influence_cut
from deltamu.recon.change.registration_histogram import InformedMotion, find_informed_motion
from deltamu.recon.change.registration_information import (
    PARAMETERS,
    Information,
    displacement_deviation,
    measure_information,
    parameter_names,
)
from deltamu.recon.change.registration_offset import local_offset, offset_influence
from deltamu.recon.change.registration_pyramid import (
    Level,
    check_images,
    coarse_levels,
    finest_level,
    level_factors,
)
from deltamu.recon.change.registration_start import best_starts, correlation, starting_points
from deltamu.recon.change.registration_weights import (
    laid_over,
    matched_gain,
    noise_energy,
    structure_weights,
)
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform

Float = NDArray[np.float64]

METRICS = ("squared-difference", "mutual-information")
# below this overlap of the mask with the moving volume there is nothing to compare
_LEAST_OVERLAP = 0.2
_COARSE_TOLERANCE = 0.05
_FINE_TOLERANCE = 0.002
# what differs over a wide range and where the edges are depend a little on each other
_OFFSET_ROUNDS = 6


@dataclass(frozen=True)
class Registration:
    """A rigid motion from reference to moving coordinates, and how well the data determine it.

    Attributes
    ----------
    transform : RigidTransform
        Takes a point of the reference, (z, y, x) in mm, to where the moving volume shows it.
    residual_voxel : float
        Largest standard deviation of the displacement over the mask, voxels, from the scatter of the data.
        Says nothing about parameters that were held.
    iterations : int
    converged : bool
    covariance : (6, 6) array
        Of translation (z, y, x) in mm and rotation (z, y, x) in degrees about the transform's centre.
    undetermined : tuple of str
        Parameters that the data do not determine; they were held at their initial value.
    overlap : float
        Part of the mask that lies inside the moving volume.
    correlation : float
        Correlation coefficient of the registered volumes over the mask; by mutual information, the one that
        normal variables with as much of it have.
    gain, offset : float
        `gain` x moving + `offset` matches the reference; 1 and 0 by mutual information.
    """

    transform: RigidTransform
    residual_voxel: float
    iterations: int
    converged: bool
    covariance: Float
    undetermined: tuple[str, ...]
    overlap: float
    correlation: float
    gain: float
    offset: float

    @property
    def uncertainty(self) -> dict[str, float]:
        """Standard deviation of each parameter: mm and degrees."""
        deviation = np.sqrt(np.diag(self.covariance))
        return {name: float(value) for name, value in zip(PARAMETERS, deviation, strict=True)}


@dataclass(frozen=True)
class _Scheme:
    """Options of `register` that the fit itself needs."""

    factors: tuple[int, int, int]
    presmooth: float
    search_deg: float
    max_iterations: int


def register(
    reference: Any,
    moving: Any,
    *,
    voxel_size_mm: float,
    moving_voxel_size_mm: float | None = None,
    mask: Any | None = None,
    initial: RigidTransform | None = None,
    search_deg: float = 6.0,
    presmooth: float = 1.0,
    stop_level: int = 0,
    max_iterations: int = 40,
    metric: str = "squared-difference",
) -> Registration:
    """Find the rigid motion that takes the reference to the moving volume.

    Parameters
    ----------
    reference, moving : (z, y, x) arrays, cm^-1
        Or anything that slices like one. Voxels that are not finite do not count.
    voxel_size_mm : float
        Of both volumes.
    moving_voxel_size_mm : float, optional
        Given for a check only: another size is refused.
    mask : (z, y, x) array, optional
        Weights 0 to 1 on the reference grid: the parts that do not change between the states, with a rim of
        some voxels around their edges, for it is the edges that tell. Without one, everything counts.
    initial : RigidTransform, optional
        Where the search starts, and the value of what the data do not determine; no motion by default.
    search_deg : float
        Rotations about z up to this are tried from the start. 0 for a start that is close already.
    presmooth : float
        Standard deviation of a Gaussian on both volumes, in voxels of the finest level. Noise of 0.3 of the
        contrast shifts the result of unsmoothed volumes, and edges sharper than a voxel have no exact place.
    stop_level : int
        Finest level: 0 the full resolution, 1 half, 2 a quarter: several times faster, and where edges are as
        sharp as the voxels less exact by an order of magnitude.
    max_iterations : int
        Of each level.
    metric : {"squared-difference", "mutual-information"}
        The latter for volumes of two kinds, such as neutrons and X-rays, whose values are not proportional: less
        exact, slower, and with an uncertainty from the curvature of the information alone.

    Returns
    -------
    Registration

    Raises
    ------
    InputError
        If the volumes or the mask do not fit, hold no structure, or do not overlap.

    Notes
    -----
    Coarse to fine Gauss-Newton on the squared difference with a gain and an offset. Coarse levels use the
    efficient second-order step (Benhimane and Malis, IROS 2004) and Huber's weight. The finest one uses the
    reference's gradient alone, whose noise does not shift the solution, weighted by how far it stands above
    the noise, and Tukey's biweight, so that a layer that did change does not pull. Differences that are
    constant over a wider range than an edge (hardening, scatter, a gain) are taken out there, for at an edge
    they look like a shift.
    """
    _check_arguments(reference, moving, mask, voxel_size_mm, moving_voxel_size_mm)
    if metric not in METRICS:
        raise InputError(f"metric: found {metric!r}, expected one of {', '.join(METRICS)}")
    factors = level_factors(reference.shape)
    scheme = _Scheme(
        factors=factors[min(stop_level, len(factors) - 1)],
        presmooth=presmooth,
        search_deg=search_deg,
        max_iterations=max_iterations,
    )
    levels = coarse_levels(reference, moving, mask)
    levels = levels[min(max(stop_level - 1, 0), len(levels) - 1) :]
    check_images(levels[0])
    start = _initial_motion(levels[0], initial or RigidTransform(), voxel_size_mm)
    if metric == "mutual-information":
        informed = find_informed_motion(
            (reference, moving, mask), levels, start, factors=scheme.factors, presmooth=presmooth,
            search_deg=search_deg, max_iterations=max_iterations,
        )  # fmt: skip
        return _informed_result(informed, voxel_size_mm)
    level, fit, held = _fit_what_is_determined((reference, moving, mask), levels, start, scheme)
    return _result(level, fit, held, voxel_size_mm)


def mask_points(weights: Any, *, limit: int = 4096) -> Float:
    """Indices (n, 3) of some voxels of a mask: of every plane those at the ends of its rows and columns."""
    points = []
    for z in range(weights.shape[0]):
        plane = np.asarray(weights[z]) > 0
        for rows, flip in ((plane, False), (plane.T, True)):
            lines = np.flatnonzero(rows.any(axis=1))
            for ends in (rows[lines].argmax(axis=1), rows.shape[1] - 1 - rows[lines][:, ::-1].argmax(axis=1)):
                pair = (ends, lines) if flip else (lines, ends)
                points.append(np.column_stack([np.full(lines.size, z), *pair]))
    found = np.concatenate(points) if points else np.zeros((0, 3))
    if found.shape[0] == 0:
        raise InputError("mask: found no voxel above 0; expected weights 0 to 1 on the reference grid")
    return found[:: max(1, found.shape[0] // limit)].astype(float)


def _fit_what_is_determined(
    volumes: tuple[Any, Any, Any | None], levels: list[Level], start: Motion, scheme: _Scheme
) -> tuple[Level, Fit, Float]:
    """Fit; where the data leave a direction open, start again with that direction held."""
    held = np.zeros((6, 0))
    while True:
        motion = _coarse_motion(levels, start, held, scheme.search_deg, scheme.max_iterations)
        level = finest_level(
            *volumes, motion.affine, factors=scheme.factors, presmooth=scheme.presmooth, coarse=levels[0]
        )
        fit = _fine_fit(level, motion, held, scheme.max_iterations)
        undetermined = _information(level, fit, held).open_directions
        if undetermined.shape[1] == 0 or held.shape[1] + undetermined.shape[1] >= 6:
            return level, fit, held
        held = np.column_stack([held, undetermined])


def _coarse_motion(levels: list[Level], start: Motion, held: Float, search_deg: float, limit: int) -> Motion:
    method = Method(0.5, False, 0.0, limit, held)
    candidates = starting_points(levels[-1], start, search_deg=search_deg, held=held)
    for level in reversed(levels):
        tolerance = _COARSE_TOLERANCE * float(level.spacing.max())
        candidates = best_starts(level, candidates, replace(method, tolerance=tolerance))
    return candidates[0]


def _fine_fit(level: Level, motion: Motion, held: Float, limit: int) -> Fit:
    """Fit, then again on what stands above the noise, without differences that range widely.

    The moving volume is laid over the reference by a spline each time, so that only a small motion is left to
    linear interpolation, which would smooth it by how far between its voxels it is read.
    """
    method = Method(0.0, True, _FINE_TOLERANCE, limit, held)
    fit = fit_level(level, motion, replace(method, tolerance=10 * _FINE_TOLERANCE))
    _check_overlap(fit.equations.weight / float(level.weights.sum(dtype=float)))
    weights = structure_weights(level, noise_energy(fit.equations))
    if not np.any(weights[level.weights > 0]):
        return fit
    method = replace(method, fit_gain=False)
    motion, iterations = fit.motion, fit.iterations
    for attempt in range(_OFFSET_ROUNDS):
        near, still = laid_over(level, motion.affine), motion.without_motion()
        if attempt == 0:
            still = replace(still, gain=matched_gain(near, still, influence_cut(near, still, method)))
        left = _fit_what_is_left(near, still, weights, method)
        before, motion, iterations = motion, motion.after(left.motion), iterations + left.iterations
        if before.distance(motion) < 2 * _FINE_TOLERANCE:
            break
    equations = replace(_without_offsets(left, near, weights, method), weight=fit.equations.weight)
    return replace(left, motion=motion, equations=equations, iterations=iterations)


def _fit_what_is_left(near: Level, still: Motion, weights: NDArray[np.float32], method: Method) -> Fit:
    """Fit the small motion between the reference and a moving volume that lies over it."""
    cut = influence_cut(near, still, method)
    reference = near.reference + local_offset(near, still, cut)
    return fit_level(replace(near, reference=reference, weights=weights * near.weights), still, method)


def _without_offsets(left: Fit, near: Level, weights: NDArray[np.float32], method: Method) -> NormalEquations:
    """Take from the equations what the local offsets explain."""
    still = replace(left.motion.without_motion(), offset=left.motion.offset)
    taken = offset_influence(near, still, weights, influence_cut(near, still, method))
    found = left.equations
    return replace(
        found, cross=found.cross - taken.structure, bundle_scores=found.bundle_scores - taken.bundle_scores
    )


def _check_overlap(overlap: float) -> None:
    if overlap < _LEAST_OVERLAP:
        raise InputError(
            f"moving: {overlap:.0%} of the mask lies inside it after registration, expected at least "
            f"{_LEAST_OVERLAP:.0%}; try an initial transform, or check that both show the same sample"
        )


def _information(level: Level, fit: Fit, held: Float) -> Information:
    return measure_information(fit.equations, fit.motion, held, spacing=float(level.spacing.max()))


def _result(level: Level, fit: Fit, held: Float, voxel_size_mm: float) -> Registration:
    information = _information(level, fit, held)
    return Registration(
        **_placed(level, fit.motion, information, held, voxel_size_mm),
        iterations=fit.iterations,
        converged=fit.converged,
        overlap=min(fit.equations.weight / float(level.weights.sum(dtype=float)), 1.0),
        correlation=correlation(fit.equations),
        gain=fit.motion.gain,
        offset=fit.motion.offset,
    )


def _informed_result(found: InformedMotion, voxel_size_mm: float) -> Registration:
    fit = found.fit
    _check_overlap(fit.overlap)
    return Registration(
        **_placed(found.level, fit.motion, found.information, found.held, voxel_size_mm),
        iterations=fit.iterations,
        converged=fit.converged,
        overlap=fit.overlap,
        # the correlation of normal variables that share as much (Linfoot 1957)
        correlation=math.sqrt(1 - math.exp(-2 * fit.mutual_information)),
        gain=1.0,
        offset=0.0,
    )


def _placed(
    level: Level, motion: Motion, information: Information, held: Float, voxel_size_mm: float
) -> dict[str, Any]:
    """Motion and uncertainty in millimetres, and what was held."""
    points = mask_points(level.weights) * level.spacing + level.reference_origin
    units = np.repeat([voxel_size_mm, 180 / math.pi / motion.radius], 3)
    return {
        "transform": motion.transform(voxel_size_mm),
        "residual_voxel": float(displacement_deviation(information.covariance, motion, points).max()),
        "covariance": information.covariance * np.outer(units, units),
        "undetermined": parameter_names(np.column_stack([held, information.open_directions])),
    }


def _initial_motion(level: Level, initial: RigidTransform, voxel_size_mm: float) -> Motion:
    """Write the start about the middle of the mask, where translation and rotation separate best."""
    weights = level.weights
    total = weights.sum(dtype=float)
    center, spread = np.zeros(3), 0.0
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        profile = weights.sum(axis=others, dtype=float)
        index = np.arange(profile.size)
        middle = float(profile @ index / total)
        center[axis] = middle * level.spacing[axis] + level.reference_origin[axis]
        spread += float(profile @ (index - middle) ** 2 / total) * level.spacing[axis] ** 2
    about = initial.about(tuple(center * voxel_size_mm))
    # a rotation moves a typical voxel by 2/3 of its mean square distance, averaged over the three axes
    radius = max(math.sqrt(2 / 3 * spread), 1.0)
    return Motion(about.matrix, np.asarray(about.translation_mm) / voxel_size_mm, center, radius)


def _check_arguments(
    reference: Any, moving: Any, mask: Any | None, voxel_size_mm: float, moving_voxel_size_mm: float | None
) -> None:
    for name, volume in (("reference", reference), ("moving", moving)):
        if len(volume.shape) != 3 or min(volume.shape) < 8:
            raise InputError(
                f"{name}: found shape {tuple(volume.shape)}, expected (z, y, x) with at least 8 along each"
            )
    if not (math.isfinite(voxel_size_mm) and voxel_size_mm > 0):
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive length in mm")
    if moving_voxel_size_mm is not None and not math.isclose(
        moving_voxel_size_mm, voxel_size_mm, rel_tol=1e-4
    ):
        raise InputError(
            f"moving_voxel_size_mm: found {moving_voxel_size_mm}, the reference has {voxel_size_mm}; "
            "bring both volumes to one voxel size first"
        )
    if mask is not None and tuple(mask.shape) != tuple(reference.shape):
        raise InputError(
            f"mask: found shape {tuple(mask.shape)}, expected that of the reference, {tuple(reference.shape)}"
        )
