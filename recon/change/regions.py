"""Parts of the pellet seen along its axis: core, rim, sectors, rings and masks of the user.

Regions overlap, so sums are kept for the patches into which their outlines divide the pellet; every region is a
union of patches, and one pass over the voxels serves all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.columns import pellet_box
from deltamu.recon.change.profile_plan import RADIAL_STEP_PX, ProfilePlan
from deltamu.recon.change.profile_sums import binned_depth, slab_rows
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
SECTORS = 4
MOST_REGIONS = 62


@dataclass(frozen=True, eq=False)
class RegionLayout:
    """Regions and the patches they are made of.

    Attributes
    ----------
    names : tuple of str
    patch : (y, x) intp array
        Number of the patch of every column of voxels.
    member : (region, patch) bool array
    """

    names: tuple[str, ...]
    patch: NDArray[np.intp]
    member: Mask

    @property
    def patches(self) -> int:
        """Number of patches."""
        result: int = self.member.shape[1]
        return result

    def mask(self, name: str) -> Mask:
        """(y, x) mask of a region."""
        return np.asarray(self.member[self.names.index(name)][self.patch])


@dataclass(frozen=True, eq=False)
class RegionSums:
    """Sums over the voxels of every bin and patch; those of slabs add up.

    Attributes
    ----------
    count : (bin, patch) float64 array
    total : (bin, patch) float64 array
        Of the values, cm⁻¹.
    """

    count: Float
    total: Float

    def __add__(self, other: "RegionSums") -> "RegionSums":
        """Sums of both parts."""
        return RegionSums(self.count + other.count, self.total + other.total)


def pellet_regions(
    plan: ProfilePlan, *, core_fraction: float = 0.8, rings: int = 8, masks: Mapping[str, Mask] | None = None
) -> dict[str, Mask]:
    """Name the regions of a round pellet.

    Parameters
    ----------
    plan : ProfilePlan
    core_fraction : float
        Of the radius, between core and rim.
    rings : int
        Rings of equal width between axis and rim, for radial profiles; 0 for none.
    masks : mapping of name to (y, x) bool array, optional
        Regions of the user.

    Returns
    -------
    dict of name to (y, x) bool array
        `all`, `core`, `rim`, `sector_1` … from +x towards +y (of the core), `ring_1` … from the axis.

    Raises
    ------
    InputError
        If a mask does not fit the slices, is empty, or has the name of another region.
    """
    layer = plan.layer
    y, x = (
        np.arange(n) * layer.voxel_size_mm - a for n, a in zip(plan.shape[1:], layer.axis_mm, strict=True)
    )
    radius = np.hypot(y[:, None], x[None, :]) / layer.radius_mm
    turn = np.arctan2(y[:, None], x[None, :]) / (2 * np.pi) % 1.0
    found = {
        "all": radius < 1,
        "core": radius < core_fraction,
        "rim": (radius >= core_fraction) & (radius < 1),
    }
    for k in range(SECTORS):
        inside = (turn >= k / SECTORS) & (turn < (k + 1) / SECTORS)
        found[f"sector_{k + 1}"] = inside & found["core"]
    for k in range(rings):
        found[f"ring_{k + 1}"] = (radius >= k / rings) & (radius < (k + 1) / rings)
    for name, mask in (masks or {}).items():
        found[name] = _checked_mask(name, mask, plan.shape[1:], found)
    return found


def _checked_mask(name: str, mask: Mask, shape: tuple[int, ...], taken: Mapping[str, Mask]) -> Mask:
    if name in taken:
        raise InputError(f"region '{name}': the name is taken; choose another than {', '.join(taken)}")
    if mask.shape != shape:
        raise InputError(
            f"region '{name}': mask of shape {mask.shape}, expected (y, x) {shape} of the reference"
        )
    chosen = np.asarray(mask) > 0
    if not chosen.any():
        raise InputError(f"region '{name}': the mask is empty")
    return chosen


def lay_out_regions(regions: Mapping[str, Mask]) -> RegionLayout:
    """Divide the slices into patches along the outlines of all regions.

    Raises
    ------
    InputError
        If there are none, or more than 62.
    """
    if not 0 < len(regions) <= MOST_REGIONS:
        raise InputError(f"regions: found {len(regions)}, expected 1 to {MOST_REGIONS}")
    masks = np.stack(list(regions.values()))
    code = np.tensordot(1 << np.arange(len(masks), dtype=np.int64), masks.astype(np.int64), axes=1)
    kinds, patch = np.unique(code, return_inverse=True)
    member = (kinds[None, :] >> np.arange(len(masks))[:, None] & 1).astype(bool)
    return RegionLayout(tuple(regions), patch.reshape(code.shape), member)


def empty_region_sums(plan: ProfilePlan, layout: RegionLayout) -> RegionSums:
    """Sums before the first slab."""
    zero = np.zeros((plan.bins, layout.patches))
    return RegionSums(zero, zero)


def region_slab_sums(
    plan: ProfilePlan, layout: RegionLayout, z_start: int, values: NDArray[np.floating]
) -> RegionSums:
    """Sum the voxels of one slab by depth and patch; NaN is left out.

    Parameters
    ----------
    z_start : int
        Row of the first slice of the slab.
    values : (row, y, x) array
    """
    sums = empty_region_sums(plan, layout)
    rows = slab_rows(plan, z_start, values.shape[0])
    if rows is None:
        return sums
    box = pellet_box(plan.shape, plan.layer.axis_mm, plan.radius_mm, plan.layer.voxel_size_mm)
    part = np.asarray(values[rows.start - z_start : rows.stop - z_start, box[0], box[1]])
    _, bins, inside = binned_depth(plan, rows, box)
    valid = inside & np.isfinite(part)
    at = (bins * layout.patches + layout.patch[box])[valid]
    size = plan.bins * layout.patches
    counts, totals = np.bincount(at, minlength=size), np.bincount(at, part[valid], size)
    shape = (plan.bins, layout.patches)
    return RegionSums(counts.astype(np.float64).reshape(shape), totals.astype(np.float64).reshape(shape))


def region_means(sums: RegionSums, layout: RegionLayout) -> tuple[Float, Float]:
    """Mean and number of voxels of every region and bin, both (region, bin); NaN where there is no voxel."""
    count = sums.count @ layout.member.T.astype(float)
    total = sums.total @ layout.member.T.astype(float)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return mean.T, count.T


def ring_share(plan: ProfilePlan, mask: Mask) -> Float:
    """Part of the ring at each radius of the plan (about the rotation axis) that lies in a mask, (radius,)."""
    y = np.arange(plan.shape[1]) - plan.rotation_axis[0]
    x = np.arange(plan.shape[2]) - plan.rotation_axis[1]
    position = np.hypot(y[:, None], x[None, :]) / RADIAL_STEP_PX
    index = np.minimum(np.rint(position).astype(np.intp), plan.radii_px.size)
    size = plan.radii_px.size + 1
    inside = np.bincount(index.ravel(), np.asarray(mask, float).ravel(), size)[:-1]
    every = np.bincount(index.ravel(), minlength=size)[:-1]
    # half a voxel's step leaves radii without a voxel: they take their neighbours' share
    filled = every > 0
    share = inside[filled] / every[filled]
    return np.interp(plan.radii_px, plan.radii_px[filled], share) if filled.any() else np.zeros(size - 1)
