"""Coarse copies of two volumes and a mask, each knowing where its voxels lie."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.recon.errors import InputError

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Factors = tuple[int, int, int]

# an axis is halved while it has this many voxels; the pyramid grows while one has more than _COARSEST, or all
# together more than _MOST_VOXELS, for it is on the coarsest level that many starts are tried
_SMALLEST_TO_HALVE = 32
_COARSEST = 80
_MOST_VOXELS = 200_000
# a Gaussian is cut off here, in standard deviations
_TRUNCATE = 3.0
# nearer to the end of a volume, in standard deviations, what lies beyond has more than 1 % in a smoothed voxel
_UNSOUND = 3.0
# voxels around a mask that its gradients and small corrections of the motion can reach
_MARGIN = 6
# planes that are read from a volume at a time
_PLANES = 16


@dataclass(frozen=True)
class Level:
    """Parts of both volumes, coarser by whole factors along (z, y, x), and the mask's weights.

    Attributes
    ----------
    reference, weights : (z, y, x) float32 arrays
    moving : (z, y, x) float32 array
    factors : tuple of 3 ints
    reference_start, moving_start : tuple of 3 ints
        Full-resolution voxel at which the parts begin.
    moving_sound : (2, 3) array or None
        First and last voxel of the moving part whose smoothing did not reach beyond the volume.
    """

    reference: Array
    moving: Array
    weights: Array
    factors: Factors
    reference_start: Factors = (0, 0, 0)
    moving_start: Factors = (0, 0, 0)
    moving_sound: NDArray[np.int64] | None = None

    @property
    def spacing(self) -> Float:
        """Size of a voxel of this level in voxels of the full resolution."""
        return np.asarray(self.factors, float)

    @property
    def reference_origin(self) -> Float:
        """Where voxel 0 lies on the full-resolution grid: in the middle of the block that it averages."""
        return self.reference_start + (self.spacing - 1) / 2

    @property
    def moving_origin(self) -> Float:
        """The same for the moving volume."""
        return self.moving_start + (self.spacing - 1) / 2

    def index_affine(self, full: Float) -> Float:
        """Write an affine (3, 4) between full-resolution indices as one between indices of this level."""
        matrix = full[:, :3] * self.spacing[None, :] / self.spacing[:, None]
        offset = (full[:, :3] @ self.reference_origin + full[:, 3] - self.moving_origin) / self.spacing
        return np.column_stack([matrix, offset])


def level_factors(shape: Sequence[int]) -> list[Factors]:
    """Factors of every level, the full resolution first; short axes stop being halved earlier."""
    factors = [(1, 1, 1)]
    size = list(shape)
    while max(size) > _COARSEST or math.prod(size) > _MOST_VOXELS:
        halved = [2 if n >= _SMALLEST_TO_HALVE else 1 for n in size]
        last = factors[-1]
        factors.append((last[0] * halved[0], last[1] * halved[1], last[2] * halved[2]))
        size = [n // h for n, h in zip(size, halved, strict=True)]
    return factors


def coarse_levels(reference: Any, moving: Any, mask: Any | None) -> list[Level]:
    """Levels from half resolution to the coarsest; the full resolution alone for a volume that small."""
    factors = level_factors(reference.shape)
    factors = factors[1:] or factors
    arrays = [block_mean(volume, factors[0]) for volume in (reference, moving)]
    weights = np.ones_like(arrays[0]) if mask is None else block_mean(mask, factors[0])
    levels = [Level(arrays[0], arrays[1], weights, factors[0])]
    for finer, coarser in itertools.pairwise(factors):
        step = (coarser[0] // finer[0], coarser[1] // finer[1], coarser[2] // finer[2])
        last = levels[-1]
        parts = (block_mean(array, step) for array in (last.reference, last.moving, last.weights))
        levels.append(Level(*parts, coarser))  # type: ignore[call-arg, arg-type]
    return levels


def finest_level(
    reference: Any,
    moving: Any,
    mask: Any | None,
    affine: Float,
    *,
    factors: Factors,
    presmooth: float,
    coarse: Level | None = None,
) -> Level:
    """Smoothed copies of what the mask covers, and of where a motion takes it.

    Parameters
    ----------
    reference, moving, mask : (z, y, x) arrays, or anything that slices like one
    affine : (3, 4) array
        The motion between full-resolution indices, known to within a few voxels.
    factors : tuple of 3 ints
    presmooth : float
        Standard deviation of the Gaussian, in voxels of this level.
    coarse : Level, optional
        Whole volumes, from which the parts are taken where the factors are the same.
    """
    grid = np.asarray(factors)
    margin = grid * (_MARGIN + int(np.ceil(_TRUNCATE * presmooth)))
    box = np.array([[0, 0, 0], reference.shape]) if mask is None else mask_box(mask)
    part = _aligned(box + [[-1], [1]] * margin, grid, reference.shape)  # type: ignore[arg-type]
    corners = np.array(list(itertools.product(*part.T))) @ affine[:, :3].T + affine[:, 3]
    there = np.array([np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))]).astype(int)
    other = _aligned(there + [[-1], [1]] * margin, grid, moving.shape)  # type: ignore[arg-type]
    if np.any(other[1] <= other[0]):
        raise InputError("moving: the mask lies wholly outside it; expected two volumes of the same region")
    whole: tuple[Array | None, Array | None] = (None, None)
    if coarse is not None and coarse.factors == factors:
        whole = (coarse.reference, coarse.moving)
    smoothed = [
        _smoothed(_part(volume, blocks, factors, region), presmooth)
        for volume, blocks, region in zip((reference, moving), whole, (part, other), strict=True)
    ]
    weights = np.ones_like(smoothed[0]) if mask is None else block_mean(mask, factors, box=part)
    reach = max(1, int(np.ceil(_UNSOUND * presmooth)))
    _clear_outside(weights, _sound(part, reference.shape, grid, reach))
    sound = _sound(other, moving.shape, grid, reach)
    return Level(smoothed[0], smoothed[1], weights, factors, _triple(part[0]), _triple(other[0]), sound)


def _part(volume: Any, whole: Array | None, factors: Factors, box: NDArray[np.int64]) -> Array:
    """Blocks of a box, averaged from the volume or taken from the blocks of the whole volume."""
    if whole is None:
        return block_mean(volume, factors, box=box)
    start, stop = box // np.asarray(factors)
    return whole[tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))].copy()


def _clear_outside(weights: Array, sound: NDArray[np.int64]) -> None:
    for axis, (first, last) in enumerate(sound.T):
        along = np.moveaxis(weights, axis, 0)
        along[:first] = 0
        along[last + 1 :] = 0


def _sound(
    part: NDArray[np.int64], shape: Sequence[int], grid: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """First and last voxel of a part, in voxels of its level, that are `reach` away from the ends of the volume."""
    size = (part[1] - part[0]) // grid
    first = np.where(part[0] == 0, reach, 0)
    last = size - 1 - np.where(part[1] > np.asarray(shape) - grid, reach, 0)
    return np.array([first, last])


def block_mean(volume: Any, factors: Factors, *, box: NDArray[np.int64] | None = None) -> Array:
    """Mean over blocks of `factors` voxels of a box ((2, 3): start, stop), read some planes at a time.

    Voxels that do not fill a block are left out. A block with a voxel that is not finite is not finite.
    """
    start, stop = np.array([[0, 0, 0], volume.shape]) if box is None else box
    nz, ny, nx = (int(n) for n in (stop - start) // factors)
    out = np.empty((nz, ny, nx), np.float32)
    fz, fy, fx = factors
    for z in range(0, nz, _PLANES):
        end = min(nz, z + _PLANES)
        rows = np.asarray(volume[start[0] + z * fz : start[0] + end * fz], np.float32)
        rows = rows[:, start[1] : start[1] + ny * fy, start[2] : start[2] + nx * fx]
        planes = functools.reduce(np.add, (rows[k::fz] for k in range(fz)))
        lines = functools.reduce(np.add, (planes[:, k::fy] for k in range(fy)))
        out[z:end] = functools.reduce(np.add, (lines[:, :, k::fx] for k in range(fx)))
    out *= np.float32(1 / (fz * fy * fx))
    return out


def mask_box(mask: Any) -> NDArray[np.int64]:
    """Smallest box ((2, 3): start and stop) around the voxels above 0.

    Raises
    ------
    InputError
        If there is none.
    """
    covered = [(np.asarray(mask[z]) > 0).any(axis=0) for z in range(mask.shape[0])]
    lines = np.any([(np.asarray(mask[z]) > 0).any(axis=1) for z in range(mask.shape[0])], axis=0)
    spans = [np.flatnonzero(line) for line in (np.any(covered, axis=1), lines, np.any(covered, axis=0))]
    if spans[0].size == 0:
        raise InputError("mask: found no voxel above 0; expected weights 0 to 1 on the reference grid")
    return np.array([[span[0] for span in spans], [span[-1] + 1 for span in spans]])


def _aligned(box: NDArray[np.int64], grid: NDArray[np.int64], shape: Sequence[int]) -> NDArray[np.int64]:
    """Clip a box to a volume and to whole blocks of the grid."""
    start = np.clip(box[0], 0, shape) // grid * grid
    stop = np.clip(-(-box[1] // grid) * grid, 0, np.asarray(shape) // grid * grid)
    return np.array([start, stop])


def _triple(values: NDArray[np.int64]) -> Factors:
    return int(values[0]), int(values[1]), int(values[2])


def _smoothed(volume: Array, sigma: float) -> Array:
    if sigma <= 0:
        return volume
    smoothed: Array = ndimage.gaussian_filter(volume, sigma, mode="nearest", truncate=_TRUNCATE)
    return smoothed


def check_images(level: Level) -> None:
    """Refuse a pair of volumes that nothing can be learnt from.

    Raises
    ------
    InputError
    """
    inside = level.weights > 0
    if not inside.any():
        raise InputError("mask: found no voxel above 0; expected weights 0 to 1 on the reference grid")
    values = level.reference[inside]
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise InputError("reference: no voxel inside the mask is finite")
    if np.ptp(values) == 0:
        raise InputError(
            f"reference: every voxel inside the mask is {values[0]:g}; a registration needs structure, "
            "try a mask that reaches beyond an edge"
        )
    finite = level.moving[np.isfinite(level.moving)]
    if finite.size == 0 or np.ptp(finite) == 0:
        found = "no finite voxel" if finite.size == 0 else f"the constant {finite[0]:g}"
        raise InputError(f"moving: found {found}; a registration needs structure")
