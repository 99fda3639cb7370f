"""Sums of a change over the bins of a plan, gathered slab by slab, and what is read from them.

Every number that is read from a change (the mean of a bin, of a layer, the volume integral) is a weighted sum
of the bins of one plan, so its standard error follows from the bins of view subsets and from the radii of
their voxels alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.columns import pellet_box
from deltamu.recon.change.depth import depth_of
from deltamu.recon.change.profile_plan import RADIAL_STEP_PX, ProfilePlan
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class ProfileSums:
    """Sums over the voxels of every bin; those of slabs add up to those of the volume.

    Attributes
    ----------
    count, missing : (bin,) int64 arrays
        Finite voxels, and voxels without a value.
    depth, total, squares, variance : (bin,) float64 arrays
        Sums of depth (mm), Δμ, Δμ² and sigma² (NaN without sigma).
    rings : (bin, row, radius) float64 array
        Voxels by slice and by radius about the rotation axis (shared linearly between the radii of the plan).
    """

    count: NDArray[np.int64]
    missing: NDArray[np.int64]
    depth: Float
    total: Float
    squares: Float
    variance: Float
    rings: Float

    def __add__(self, other: "ProfileSums") -> "ProfileSums":
        """Sums of both slabs."""
        return ProfileSums(
            self.count + other.count,
            self.missing + other.missing,
            self.depth + other.depth,
            self.total + other.total,
            self.squares + other.squares,
            self.variance + other.variance,
            self.rings + other.rings,
        )

    @property
    def mean(self) -> Float:
        """Mean of every bin; NaN where a bin is empty."""
        empty = np.full(self.total.shape, np.nan)
        mean: Float = np.divide(self.total, self.count, out=empty, where=self.count > 0)
        return mean


def empty_sums(plan: ProfilePlan) -> ProfileSums:
    """Sums before the first slab."""
    whole, real = np.zeros(plan.bins, np.int64), np.zeros(plan.bins)
    return ProfileSums(
        whole, whole, real, real, real, real, np.zeros((plan.bins, plan.shape[0], plan.radii_px.size))
    )


def slab_sums(
    plan: ProfilePlan,
    z_start: int,
    delta_mu: NDArray[np.floating],
    sigma: NDArray[np.floating] | None = None,
    *,
    rings: bool = True,
) -> ProfileSums:
    """Sum the voxels of one slab into the bins of a plan.

    Parameters
    ----------
    z_start : int
        Row of the first slice of the slab.
    delta_mu, sigma : (row, y, x) arrays
        NaN where there is no value.
    rings : bool
        Count voxels by radius as well; not needed again for view subsets.

    Raises
    ------
    InputError
        If the slab does not fit into the volume of the plan.
    """
    if delta_mu.shape[1:] != plan.shape[1:] or not 0 <= z_start <= plan.shape[0] - delta_mu.shape[0]:
        raise InputError(
            f"profile: a slab of shape {delta_mu.shape} from row {z_start} does not fit a volume {plan.shape}"
        )
    sums = empty_sums(plan)
    rows = slab_rows(plan, z_start, delta_mu.shape[0])
    if rows is None:
        return sums
    box = pellet_box(plan.shape, plan.layer.axis_mm, plan.radius_mm, plan.layer.voxel_size_mm)
    values = np.asarray(delta_mu[rows.start - z_start : rows.stop - z_start, box[0], box[1]], np.float64)
    depth, bins, inside = binned_depth(plan, rows, box)
    valid = inside & np.isfinite(values)
    at, value = bins[valid], values[valid]
    spread = np.full(plan.bins, np.nan)
    if sigma is not None:
        part = np.asarray(sigma[rows.start - z_start : rows.stop - z_start, box[0], box[1]], np.float64)
        spread = _binned(at, part[valid] ** 2, plan.bins)
    return ProfileSums(
        np.bincount(at, minlength=plan.bins),
        np.bincount(bins[inside & ~valid], minlength=plan.bins),
        _binned(at, depth[valid], plan.bins),
        _binned(at, value, plan.bins),
        _binned(at, value**2, plan.bins),
        spread,
        _ring_counts(plan, rows, box, bins, valid) if rings else sums.rings,
    )


def _binned(at: Index, values: Float, bins: int) -> Float:
    return np.bincount(at, values, bins).astype(np.float64)


def slab_rows(plan: ProfilePlan, z_start: int, count: int) -> slice | None:
    """Rows of a slab that starts at `z_start` that the plan can touch; None if there are none."""
    layer, voxel = plan.layer, plan.layer.voxel_size_mm
    angle = np.linspace(0, 2 * np.pi, 32)
    y = layer.axis_mm[0] + np.append(0.0, plan.radius_mm * np.sin(angle))
    x = layer.axis_mm[1] + np.append(0.0, plan.radius_mm * np.cos(angle))
    heights = np.concatenate([layer.near.height_mm(y, x), layer.far.height_mm(y, x)])
    margin = max(-plan.edges_mm[0], plan.edges_mm[-1] - layer.thickness_mm)
    # a tenth more: the depth is stretched by the tilt, or to the mean thickness
    reach = 1.1 * float(margin) + 2 * voxel
    low, high = float(heights.min()) - reach, float(heights.max()) + reach
    first, last = max(z_start, int(low // voxel)), min(z_start + count, int(high // voxel) + 2)
    return slice(first, last) if last > first else None


def binned_depth(
    plan: ProfilePlan, rows: slice, box: tuple[slice, slice]
) -> tuple[Float, Index, NDArray[np.bool_]]:
    """Depth of every voxel, the bin it falls into, and whether it belongs to the profile."""
    z, y, x = (np.arange(part.start, part.stop) for part in (rows, *box))
    voxel = plan.layer.voxel_size_mm
    axis = plan.layer.axis_mm
    lateral = np.hypot(y[:, None] * voxel - axis[0], x[None, :] * voxel - axis[1]) < plan.radius_mm
    depth = depth_of(
        plan.layer, z[:, None, None], y[None, :, None], x[None, None, :], normalised=plan.normalised
    )
    width = plan.edges_mm[1] - plan.edges_mm[0]
    bins = np.floor((depth - plan.edges_mm[0]) / width).astype(np.intp)
    inside = lateral & (bins >= 0) & (bins < plan.bins)
    return depth, bins, inside


def _ring_counts(
    plan: ProfilePlan, rows: slice, box: tuple[slice, slice], bins: Index, valid: NDArray[np.bool_]
) -> Float:
    """Voxels per bin, row and radius; a voxel between two radii is shared by its distance to them."""
    radii = plan.radii_px.size
    y = np.arange(box[0].start, box[0].stop) - plan.rotation_axis[0]
    x = np.arange(box[1].start, box[1].stop) - plan.rotation_axis[1]
    position = np.hypot(y[:, None], x[None, :]) / RADIAL_STEP_PX
    low = np.floor(position).astype(np.intp)
    upper = position - low
    counts = np.zeros((plan.bins, plan.shape[0], radii))
    for row in range(rows.start, rows.stop):
        chosen = valid[row - rows.start]
        at = bins[row - rows.start][chosen] * radii + low[chosen]
        shared = np.bincount(at, 1.0 - upper[chosen], plan.bins * radii)
        shared += np.bincount(at + 1, upper[chosen], plan.bins * radii + 1)[: plan.bins * radii]
        counts[:, row] = shared.reshape(plan.bins, radii)
    return counts


def bin_weights(sums: ProfileSums, chosen: NDArray[np.bool_]) -> Float:
    """Weights with which the chosen bins' means make the mean over all their voxels; all 0 without voxels."""
    weights = np.where(chosen, sums.count, 0).astype(float)
    return weights / weights.sum() if weights.any() else weights


def layer_mean(sums: ProfileSums, chosen: NDArray[np.bool_]) -> float:
    """Mean over the voxels of the chosen bins; NaN where there are none."""
    count = int(sums.count[chosen].sum())
    return float(sums.total[chosen].sum() / count) if count else float("nan")


def volume_integral(sums: ProfileSums, voxel_size_mm: float) -> float:
    """∫Δμ dV over all bins of a plan, cm² (Δμ in cm⁻¹, V in cm³)."""
    return float(sums.total.sum() * (0.1 * voxel_size_mm) ** 3)


def voxel_spread(sums: ProfileSums) -> Float:
    """Standard deviation of the voxels of every bin; NaN with fewer than two."""
    mean = np.divide(sums.total, sums.count, out=np.zeros(sums.total.shape), where=sums.count > 0)
    scatter = np.maximum(sums.squares - sums.count * mean**2, 0.0)
    free = sums.count - 1
    variance: Float = np.divide(scatter, free, out=np.full(mean.shape, np.nan), where=free > 0)
    return np.sqrt(variance)
