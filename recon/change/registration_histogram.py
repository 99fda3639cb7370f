"""Registration by mutual information: for volumes whose values belong together without being proportional."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from deltamu.kernels.warp import warp
from deltamu.recon.change.gauss_newton import Motion, free_directions
from deltamu.recon.change.registration_information import Information, named_directions
from deltamu.recon.change.registration_pyramid import Level, finest_level
from deltamu.recon.change.registration_start import starting_points
from deltamu.recon.errors import InputError

Array = NDArray[np.float32]
Float = NDArray[np.float64]

BINS = 32
# values beyond these shares of all belong to the outer bins
_TAILS = (0.5, 99.5)
# standard deviation of the Gaussian window over both axes of the histogram, bins
_WINDOW = 1.0
# voxels that enter one histogram
_MOST_VOXELS = 100_000
# a motion whose curvature is below this share of the best one is not determined
_LEAST_SHARE = 1e-3
# nor a parameter whose change alters the reference by less than this share of what the best one does
_LEAST_IN_ITSELF = 0.05
# nor is one that is left open by more than this many voxels of its level (one standard deviation)
_OPEN_VOXELS = 1.0
_KEEP = 3
# step of the differences that curvature is read from, voxels, and at least half a voxel of the level
_STEP = 2.0


@dataclass(frozen=True)
class InformationFit:
    """A motion of greatest mutual information.

    Attributes
    ----------
    motion : Motion
    mutual_information : float
        Nats per voxel.
    overlap : float
        Part of the mask that lies inside the moving volume.
    iterations : int
    converged : bool
    """

    motion: Motion
    mutual_information: float
    overlap: float
    iterations: int
    converged: bool


class JointHistogram:
    """Mutual information of a level's two volumes as a function of the motion (Viola and Wells; Maes et al. 1997)."""

    def __init__(self, level: Level) -> None:
        self.level = level
        stride = max(1, round((np.count_nonzero(level.weights) / _MOST_VOXELS) ** 0.5))
        self._step = np.array([1, stride, stride])
        # voxels of the level for which one stands
        self.every = stride**2
        part = tuple(slice(None, None, int(step)) for step in self._step)
        self._weights = level.weights[part]
        reference = level.reference[part]
        self._used = (self._weights > 0) & np.isfinite(reference)
        if not self._used.any():
            raise InputError("mask: no voxel of the reference under it is finite")
        self._row = np.rint(_bin_places(reference[self._used], reference[self._used])).astype(np.intp)
        finite = level.moving[np.isfinite(level.moving)]
        self._moving = _bin_places(level.moving, finite)
        self.voxels = float(self._weights[self._used].sum(dtype=float))

    def __call__(self, motion: Motion) -> tuple[float, float]:
        """Mutual information in nats, and the part of the mask that was compared."""
        affine = self.level.index_affine(motion.affine)
        affine[:, :3] *= self._step
        moved = warp(self._moving, affine, output_shape=self._weights.shape)[self._used]
        known = np.isfinite(moved)
        weights = self._weights[self._used][known].astype(np.float64)
        if weights.size < BINS:
            return 0.0, 0.0
        joint = _joint(self._row[known], moved[known].astype(np.float64), weights)
        return _mutual_information(joint), float(weights.sum()) / self.voxels


@dataclass(frozen=True)
class InformedMotion:
    """What a search by mutual information found, on which level, with what uncertainty."""

    level: Level
    fit: InformationFit
    information: Information
    held: Float


def find_informed_motion(
    volumes: tuple[Any, Any, Any | None],
    levels: list[Level],
    start: Motion,
    *,
    factors: tuple[int, int, int],
    presmooth: float,
    search_deg: float,
    max_iterations: int,
) -> InformedMotion:
    """Search; where the data leave a direction open, start again with that direction held.

    Parameters
    ----------
    volumes : reference, moving, mask or None
    levels : list of Level
        The coarse ones, the finest of them first.
    start : Motion
    factors, presmooth
        Of the finest level.
    search_deg : float
        Rotations about z that are tried, up to this either way.
    max_iterations : int
        Of each level.
    """
    held = _open_in_itself(levels[0], start)
    while True:
        starts = starting_points(levels[-1], start, search_deg=search_deg, held=held)
        coarse = fit_information(levels, starts, held, max_iterations)
        level = finest_level(*volumes, coarse.motion.affine, factors=factors, presmooth=presmooth)
        joint = JointHistogram(level)
        fit = _climb(joint, coarse.motion, held, max_iterations)
        found = information_at(joint, fit.motion, held, presmooth=presmooth)
        opened = found.open_directions
        if opened.shape[1] == 0 or held.shape[1] + opened.shape[1] >= 6:
            return InformedMotion(level, fit, found, held)
        held = np.column_stack([held, opened])


def _open_in_itself(level: Level, start: Motion) -> Float:
    """Parameters along which the reference looks like itself: no other volume can tell them."""
    joint = JointHistogram(replace(level, moving=level.reference, moving_start=level.reference_start))
    still = start.without_motion()
    alone = np.diag(_curvature(joint, still))
    return np.eye(6)[:, alone < _LEAST_IN_ITSELF * alone.max()]


def fit_information(levels: list[Level], starts: list[Motion], held: Float, limit: int) -> InformationFit:
    """Search from coarse to fine for the motion of greatest mutual information.

    Parameters
    ----------
    levels : list of Level
        The finest first.
    starts : list of Motion
        Tried on the coarsest level.
    held : (6, n) array
        Directions along which nothing moves.
    limit : int
        Iterations of each level.
    """
    candidates = starts
    for level in reversed(levels):
        joint = JointHistogram(level)
        fits = sorted((_climb(joint, start, held, limit) for start in candidates), key=_merit, reverse=True)
        candidates = _different([fit.motion for fit in fits], 0.5 * float(level.spacing.max()))
        best = fits[0]
    return best


def _merit(fit: InformationFit) -> float:
    return fit.mutual_information * fit.overlap


def _different(motions: list[Motion], least: float) -> list[Motion]:
    kept: list[Motion] = []
    for motion in motions:
        if all(motion.distance(other) > least for other in kept):
            kept.append(motion)
    return kept[:_KEEP]


def _climb(joint: JointHistogram, start: Motion, held: Float, limit: int) -> InformationFit:
    """Maximise by directions (Powell, Computer Journal 7, 1964), which needs no derivative."""
    free = free_directions(held)
    size = float(joint.level.spacing.max())

    def loss(steps: Float) -> float:
        information, overlap = joint(start.step(free @ steps * size))
        # what leaves the moving volume must not pay
        return -information * overlap

    found = optimize.minimize(
        loss, np.zeros(free.shape[1]), method="Powell",
        options={"xtol": 0.02, "ftol": 1e-5, "maxiter": limit},
    )  # fmt: skip
    motion = start.step(free @ found.x * size)
    return InformationFit(motion, *joint(motion), int(found.nit), bool(found.success))


def information_at(joint: JointHistogram, motion: Motion, held: Float, *, presmooth: float) -> Information:
    """Covariance from the curvature of the mutual information, and directions without any.

    Voxels x mutual information is a logarithm of a likelihood; voxels that smoothing ties together count once.
    """
    free = free_directions(held)
    curvature = free.T @ _curvature(joint, motion) @ free
    together = (2 * np.sqrt(np.pi) * np.hypot(presmooth, 1.0)) ** 3
    values, vectors = np.linalg.eigh(curvature * joint.voxels * joint.every / together)
    least = (_OPEN_VOXELS * float(joint.level.spacing.max())) ** -2
    known = values > np.maximum(_LEAST_SHARE * values.max(initial=0.0), least)
    inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T
    return Information(free @ inverse @ free.T, named_directions(free @ vectors[:, ~known]))


def _curvature(joint: JointHistogram, motion: Motion) -> Float:
    """Minus the second derivatives of the information by displacements in voxels, (6, 6)."""
    step = max(_STEP, 0.5 * float(joint.level.spacing.max()))
    units = step * np.eye(6)

    def at(displacement: Float) -> float:
        return joint(motion.step(displacement))[0]

    here = at(np.zeros(6))
    ahead, behind = (np.array([at(sign * unit) for unit in units]) for sign in (1, -1))
    curvature = np.diag(2 * here - ahead - behind)
    for i in range(6):
        for j in range(i):
            both = at(units[i] + units[j]) + at(-units[i] - units[j])
            curvature[i, j] = curvature[j, i] = 0.5 * (
                ahead[i] + behind[i] + ahead[j] + behind[j] - 2 * here - both
            )
    found: Float = curvature / step**2
    return found


def _bin_places(values: Array, known: Array) -> Array:
    """Where values fall on the axis of the histogram, 0 to BINS − 1."""
    low, high = np.percentile(known, _TAILS)
    scale = (BINS - 1) / max(float(high - low), 1e-30)
    places: Array = np.clip((values - np.float32(low)) * np.float32(scale), 0, BINS - 1)
    return places


def _joint(rows: NDArray[np.intp], places: Float, weights: Float) -> Float:
    """Histogram (reference, moving); a value is shared between its two neighbouring bins."""
    lower = np.minimum(places.astype(np.intp), BINS - 2)
    share = places - lower
    cells = rows * BINS + lower
    counts = np.bincount(cells, weights * (1 - share), BINS * BINS)
    counts += np.bincount(cells + 1, weights * share, BINS * BINS)
    joint: Float = ndimage.gaussian_filter(counts.reshape(BINS, BINS), _WINDOW, mode="constant")
    joint /= joint.sum()
    return joint


def _mutual_information(joint: Float) -> float:
    outer = joint.sum(axis=1)[:, None] * joint.sum(axis=0)[None, :]
    filled = joint > 1e-15
    return float(np.sum(joint[filled] * np.log(joint[filled] / outer[filled])))
