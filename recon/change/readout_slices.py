"""Read-outs of a depth profile as weights of voxels, on the grid of the reference or of the state that was registered.

The smallest read-out is the sum over the voxels of one bin of depth in one patch of the pellet; means over regions,
over layers and integrals are sums of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.warp import warp
from deltamu.recon.change.columns import pellet_box
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import binned_depth, slab_rows
from deltamu.recon.geometry import AffineTransform

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
# voxels beside the weights that a spline reaches: it forgets by 0.27 per voxel
SPLINE_REACH = 4
# voxels beside a read-out that interpolation reaches
BESIDE_PX = 6
# of the sum of squares of a read-out: rows with less are left out
NEGLIGIBLE = 1e-5


@dataclass(frozen=True, eq=False)
class PatchBins:
    """The voxels of one patch of the pellet, and the bin of depth of each.

    Attributes
    ----------
    row : int
        Of the first slice.
    corner : tuple of 2 ints
        Index (y, x) of the first voxel of a slice.
    bins : (row, y, x) int16 array
        -1 for voxels that do not count.
    voxel_size_mm : float
    """

    row: int
    corner: tuple[int, int]
    bins: NDArray[np.int16]
    voxel_size_mm: float

    def weights(self, index: int) -> tuple[Array, int]:
        """Weights (row, y, x) of one bin, 1 for its voxels, and the row of the first slice that has some."""
        touched = np.flatnonzero((self.bins == index).any(axis=(1, 2)))
        if touched.size == 0:
            return np.zeros((0, *self.bins.shape[1:]), np.float32), self.row
        first = int(touched[0])
        part = self.bins[first : int(touched[-1]) + 1]
        return (part == index).astype(np.float32), self.row + first


@dataclass(frozen=True, eq=False)
class MovedBins:
    """The same read-outs as weights of the voxels of a state that was registered and interpolated by a spline.

    Attributes
    ----------
    source : PatchBins
    transform : AffineTransform
        Reference to moving coordinates.
    low, high : tuples of 3 ints
        First voxel (z, y, x) of the moving state that all bins together reach, and the one after the last.
    """

    source: PatchBins
    transform: AffineTransform
    low: tuple[int, int, int]
    high: tuple[int, int, int]

    @property
    def corner(self) -> tuple[int, int]:
        """Index (y, x) of the first voxel of a slice."""
        return self.low[1], self.low[2]

    def weights(self, index: int) -> tuple[Array, int]:
        """Weights (row, y, x) of one bin, and the row of the first slice.

        Σ weights · resample(volume, order=3) = Σ result · volume. A cubic spline through the weights is read where
        the voxels of the moving state lie. That is the transpose for shifts and quarter turns; for other turns up
        to what the spline is not round, less than one per cent of the noise of smoothed slices.
        """
        plain, row = self.source.weights(index)
        if not len(plain):
            return np.zeros((0, self.high[1] - self.low[1], self.high[2] - self.low[2]), np.float32), row
        padded = np.pad(plain, SPLINE_REACH)
        start = np.array([row, *self.source.corner]) - SPLINE_REACH
        low, high = self._rows(start, padded.shape)
        there = self.transform.index_affine(self.source.voxel_size_mm, self.source.voxel_size_mm)
        back = np.linalg.inv(there[:, :3])
        offset = back @ (np.array([low, *self.low[1:]]) - there[:, 3]) - start
        shape = (max(high - low, 1), self.high[1] - self.low[1], self.high[2] - self.low[2])
        found = warp(padded, np.column_stack([back, offset]), output_shape=shape, order=3, fill=0.0)
        # a voxel of the reference covers so many of a state that is stretched
        found /= np.float32(self.transform.volume_factor)
        energy = np.einsum("zyx,zyx->z", found, found)
        kept = np.flatnonzero(energy > NEGLIGIBLE * energy.sum())
        if kept.size == 0:
            return found[:0], low
        return found[kept[0] : kept[-1] + 1], low + int(kept[0])

    def _rows(self, start: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[int, int]:
        low, high = _reached(self.transform, self.source.voxel_size_mm, start, shape)
        return max(int(low[0]), self.low[0]), min(int(high[0]), self.high[0])


def patch_bins(plan: ProfilePlan, patches: NDArray[np.intp], rows: tuple[int, int]) -> Iterator[PatchBins]:
    """Yield the patches in the order of their numbers; one without voxels has an empty part of a slice.

    Parameters
    ----------
    plan : ProfilePlan
    patches : (y, x) array
        Number of the patch of every column of voxels; -1 where it does not count.
    rows : tuple of 2 ints
        Rows of the volume that the plan can touch.
    """
    voxel = plan.layer.voxel_size_mm
    whole = pellet_box(plan.shape, plan.layer.axis_mm, plan.radius_mm, voxel)
    found = slab_rows(plan, rows[0], rows[1] - rows[0])
    for patch in range(int(patches.max()) + 1):
        box = _box_of(patches[whole] == patch, whole)
        if box is None or found is None:
            yield PatchBins(rows[0], (0, 0), np.full((1, 1, 1), -1, np.int16), voxel)
            continue
        _, bins, inside = binned_depth(plan, found, box)
        bins[~(inside & (patches[box] == patch))] = -1
        yield PatchBins(found.start, (box[0].start, box[1].start), bins.astype(np.int16), voxel)


def moved_bins(source: PatchBins, transform: AffineTransform, shape: tuple[int, int, int]) -> MovedBins:
    """Turn read-outs of the reference into read-outs of a moving state of that shape."""
    start = np.array([source.row, *source.corner]) - SPLINE_REACH
    size = tuple(n + 2 * SPLINE_REACH for n in source.bins.shape)
    low, high = _reached(transform, source.voxel_size_mm, start, size)
    low = np.clip(low, 0, np.array(shape) - 1)
    z, y, x = (int(n) for n in low)
    high = np.clip(high, low + 1, shape)
    return MovedBins(source, transform, (z, y, x), (int(high[0]), int(high[1]), int(high[2])))


def _reached(
    transform: AffineTransform, voxel_size_mm: float, start: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First voxel of the moving state that a block of the reference reaches, and the one after the last."""
    affine = transform.index_affine(voxel_size_mm, voxel_size_mm)
    ends = [(s, s + n - 1) for s, n in zip(start, shape, strict=True)]
    moved = np.array(list(product(*ends)), float) @ affine[:, :3].T + affine[:, 3]
    return np.floor(moved.min(axis=0)).astype(np.intp), np.ceil(moved.max(axis=0)).astype(np.intp) + 1


def _box_of(mask: Mask, whole: tuple[slice, slice]) -> tuple[slice, slice] | None:
    """Rows and columns of the slice that hold a mask, which is given in a larger box."""
    if not mask.any():
        return None
    y, x = (
        slice(side.start + int(found[0]), side.start + int(found[-1]) + 1)
        for side, found in zip(whole, (np.flatnonzero(mask.any(axis=a)) for a in (1, 0)), strict=True)
    )
    return y, x
