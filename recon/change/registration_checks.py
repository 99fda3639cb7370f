"""Does a registration agree with itself: with the roles of the volumes changed, and from either half of its mask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.box_motion import Box, moved_box
from deltamu.recon.change.registration import Registration, mask_points, register
from deltamu.recon.change.registration_information import displacements, variances
from deltamu.recon.change.registration_pyramid import block_mean, mask_box
from deltamu.recon.change.resampling import resample
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.volumes.planes import PlanesOnDemand

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# edge of the cubes that are dealt out in turn to both halves: wide beside what ties neighbouring voxels' noise
CUBE = 16
# voxels beside the mask that are read: smoothing and gradients at half resolution reach 18
_BESIDE = 24
# halves of volumes that are smaller along any axis are registered at full resolution
_SMALLEST_TO_HALVE = 32
# what splines and the end of the search leave in each of two registrations, voxels
_SAMPLING_VOXELS = 0.01
# standard deviations that chance explains
_CHANCE = 3.0


@dataclass(frozen=True)
class SelfComparison:
    """Two registrations of one pair of volumes that should be the same.

    Attributes
    ----------
    max_voxel : float
        Largest difference of their displacements over the mask.
    deviation_voxel : float
        Standard deviation of the difference where that is largest, from both stated covariances.
    """

    max_voxel: float
    deviation_voxel: float

    @property
    def agree(self) -> bool:
        """Whether chance and sampling explain the difference."""
        return self.max_voxel <= _CHANCE * float(np.hypot(self.deviation_voxel, 2**0.5 * _SAMPLING_VOXELS))


@dataclass(frozen=True)
class SelfCheck:
    """Comparison with the inverse registration, and of the registrations of two halves; None where one failed."""

    inverse: SelfComparison | None
    halves: SelfComparison | None

    @property
    def agree(self) -> bool:
        """Whether every comparison that could be made agrees."""
        return all(found.agree for found in (self.inverse, self.halves) if found is not None)


@dataclass(frozen=True, eq=False)
class HalfMask(PlanesOnDemand):
    """Weights of a mask in every other cube of voxels, like the black fields of a chessboard.

    Attributes
    ----------
    mask : (z, y, x) array-like
    parity : {0, 1}
    cube : int
        Edge of the cubes, voxels of the mask.
    """

    mask: Any
    parity: int
    cube: int = CUBE

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        nz, ny, nx = self.mask.shape
        return nz, ny, nx

    def planes(self, begin: int, end: int) -> Array:
        """Weights of some rows."""
        z, y, x = (np.arange(first, last) // self.cube for first, last in _spans(begin, end, self.shape))
        chosen = (z[:, None, None] + y[None, :, None] + x[None, None, :]) % 2 == self.parity
        weights: Array = np.asarray(self.mask[begin:end], np.float32) * chosen
        return weights


def check_registration(
    reference: Any, moving: Any, found: Registration, *, voxel_size_mm: float, mask: Any
) -> SelfCheck:
    """Register backwards, and from both halves of the mask, starting where the registration ended.

    Parameters
    ----------
    reference, moving, mask : (z, y, x) arrays
        As for `register`.
    found : Registration
        What `register` found on this mask.
    voxel_size_mm : float

    Returns
    -------
    SelfCheck
        The registration backwards uses the same data, so it shows what the method adds; halves of interleaved
        cubes are independent, so they show whether the stated uncertainty is right. The halves are registered
        at half resolution, whose sampling moves both alike.
    """
    options: dict[str, Any] = {"voxel_size_mm": voxel_size_mm, "search_deg": 0.0}
    box = _common_box(mask, found.transform, moving.shape, voxel_size_mm)
    reference, moving, mask = (_Columns(volume, box) for volume in (reference, moving, mask))
    found = replace(found, transform=_from_corner(found.transform, box, voxel_size_mm))
    points = mask_points(mask) * voxel_size_mm

    def backwards() -> SelfComparison:
        inverse = found.transform.inverse()
        there = resample(
            mask, inverse, voxel_size_mm=voxel_size_mm, order=1, reference_shape=tuple(moving.shape)
        )
        there[~np.isfinite(there)] = 0
        back = register(moving, reference, mask=there, initial=inverse, **options)
        # to where the moving volume shows a point and back again
        return _compare(found.transform, back.transform.inverse(), (found, back), points, voxel_size_mm)

    def halves() -> SelfComparison:
        return _compare_halves(reference, moving, mask, found.transform, voxel_size_mm)

    return SelfCheck(_unless_impossible(backwards), _unless_impossible(halves))


def _compare_halves(
    reference: Any, moving: Any, mask: Any, start: RigidTransform, voxel_size_mm: float
) -> SelfComparison:
    """Register both halves of the mask on means over blocks, which are made once for both."""
    step = 1 if min(*reference.shape, *moving.shape) < _SMALLEST_TO_HALVE else 2
    blocks = [block_mean(volume, (step,) * 3) for volume in (reference, moving, mask)]
    # coordinates start in the middle of the first block
    middle, size = 0.5 * (step - 1) * voxel_size_mm, step * voxel_size_mm
    z, y, x = (along - middle for along in start.center_mm)
    one, other = (
        register(
            *blocks[:2], mask=HalfMask(blocks[2], parity, CUBE // step), voxel_size_mm=size, search_deg=0.0,
            initial=replace(start, center_mm=(z, y, x)),
        )
        for parity in (0, 1)
    )  # fmt: skip
    points = mask_points(blocks[2]) * size
    return _compare(one.transform, other.transform, (one, other), points, voxel_size_mm)


@dataclass(frozen=True, eq=False)
class _Columns(PlanesOnDemand):
    """A box (y, x) of a volume, read when it is needed."""

    volume: Any
    box: Box

    @property
    def shape(self) -> tuple[int, int, int]:
        nz, *sides = self.volume.shape
        ny, nx = (len(range(n)[side]) for n, side in zip(sides, self.box, strict=True))
        return nz, ny, nx

    def planes(self, begin: int, end: int) -> Array:
        return np.asarray(self.volume[begin:end, self.box[0], self.box[1]], np.float32)


def _common_box(
    mask: Any, transform: RigidTransform, shape: tuple[int, int, int], voxel_size_mm: float
) -> Box:
    """Columns (y, x) that hold the mask with what a registration reads beside it, in both volumes."""
    _, *sides = mask_box(mask).T
    box = (
        slice(max(int(sides[0][0]) - _BESIDE, 0), min(int(sides[0][1]) + _BESIDE, mask.shape[1])),
        slice(max(int(sides[1][0]) - _BESIDE, 0), min(int(sides[1][1]) + _BESIDE, mask.shape[2])),
    )
    other = moved_box(transform, box, (0, mask.shape[0]), shape, voxel_size_mm)
    y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, other, strict=True))
    return y, x


def _from_corner(transform: RigidTransform, box: Box, voxel_size_mm: float) -> RigidTransform:
    """Write a motion in coordinates that start at the corner of a box."""
    z, y, x = transform.center_mm
    return replace(
        transform, center_mm=(z, y - box[0].start * voxel_size_mm, x - box[1].start * voxel_size_mm)
    )


def _unless_impossible(compare: Any) -> SelfComparison | None:
    """Nothing where half a mask is too little to register."""
    try:
        found: SelfComparison = compare()
    except InputError:
        return None
    return found


def _compare(
    first: RigidTransform,
    second: RigidTransform,
    pair: Sequence[Registration],
    points: Float,
    voxel_size_mm: float,
) -> SelfComparison:
    apart = np.linalg.norm(first.apply(points) - second.apply(points), axis=1) / voxel_size_mm
    worst = int(apart.argmax())
    variance = sum(_variance(found, points[worst : worst + 1]) for found in pair)
    return SelfComparison(float(apart[worst]), float(variance**0.5) / voxel_size_mm)


def _variance(found: Registration, points: Float) -> float:
    """Of the displacement, mm²; a motion backwards has that of the motion itself but for its small rotation."""
    units = np.repeat([1.0, np.pi / 180], 3)
    moves = displacements(points - np.asarray(found.transform.center_mm))
    return max(float(variances(moves, found.covariance * np.outer(units, units))[0]), 0.0)


def _spans(begin: int, end: int, shape: tuple[int, int, int]) -> tuple[tuple[int, int], ...]:
    return (begin, end), (0, shape[1]), (0, shape[2])
