"""Means over bins of depth from interleaved subsets of the views, or from sectors of the pellet."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.box_motion import between_boxes, moved_box
from deltamu.recon.change.columns import pellet_box
from deltamu.recon.change.layer_stack import Layer
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import slab_sums
from deltamu.recon.change.regions import RegionLayout, region_means, region_slab_sums
from deltamu.recon.change.resampling import REACH_PLANES, resample
from deltamu.recon.geometry import AffineTransform
from deltamu.recon.study.back_projecting import back_project, read_seen_rows
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import INTERPOLATION_ORDER, Registered
from deltamu.recon.study.from_scans import ScannedState
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.progress import stop_if_asked
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.planes import PlanesOnDemand
from deltamu.recon.volumes.volume import Volume

Float = NDArray[np.float64]
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SomeRows(PlanesOnDemand):
    """Rows of a volume that are in memory, indexed as if the whole volume were; the others are NaN."""

    rows: Array
    first: int
    whole: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the whole volume."""
        return self.whole

    def planes(self, begin: int, end: int) -> Array:
        """Copy rows; NaN where they are not in memory."""
        found = np.full((end - begin, *self.whole[1:]), np.nan, np.float32)
        low, high = max(begin, self.first), min(end, self.first + len(self.rows))
        if high > low:
            found[low - begin : high - begin] = self.rows[low - self.first : high - self.first]
        return found


@dataclass(frozen=True, eq=False)
class SubsetMeans:
    """Means in the reconstruction of each interleaved subset of the views.

    Attributes
    ----------
    plans : tuple of (subset, bin) arrays
        One per plan.
    regions : (subset, region, bin) array
        By depth of the last plan.
    """

    plans: tuple[Float, ...]
    regions: Float


def subset_means(
    context: RunContext,
    state: ScannedState,
    registered: Registered,
    plans: Sequence[ProfilePlan],
    layout: RegionLayout,
) -> SubsetMeans:
    """Means over the bins of every plan, and over the regions, in the reconstruction of each subset of the views.

    The subsets are resampled onto the reference as the state was, so that interpolation is in their scatter.
    """
    transform = registered.transforms.get(state.name)
    settings = settings_hash(
        registered.hashes[state.name],
        state.settings,
        context.study.profile,
        context.study.reconstruction,
        [plan_facts(plan) for plan in plans],
        layout_facts(layout),
    )

    def compute() -> tuple[Slabs, Mapping[str, Any]]:
        found = _compute(context, state, transform, plans, layout)
        return [], {"means": [means.tolist() for means in found.plans], "regions": found.regions.tolist()}

    with context.stage("subsets"):
        payload = context.piece(PieceKey("subsets", state.name), settings, compute)
    context.progress("subsets", state.name, 1, 1)
    return SubsetMeans(
        tuple(np.asarray(means, np.float64) for means in payload["means"]), np.asarray(payload["regions"])
    )


def sector_means(plan: ProfilePlan, volume: Volume, rows: tuple[int, int], *, sectors: int = 12) -> Float:
    """Means of the bins in sectors of the pellet, (sector, bin).

    For volumes made elsewhere, whose views are not at hand: the scatter between sectors holds noise and texture.
    """
    layer = plan.layer
    y = np.arange(plan.shape[1])[:, None] * layer.voxel_size_mm - layer.axis_mm[0]
    x = np.arange(plan.shape[2])[None, :] * layer.voxel_size_mm - layer.axis_mm[1]
    sector = np.floor((np.arctan2(y, x) / (2 * np.pi) % 1.0) * sectors).astype(int)
    values = np.asarray(volume[rows[0] : rows[1]], np.float32)
    found = [
        slab_sums(plan, rows[0], np.where(sector == k, values, np.nan), rings=False).mean
        for k in range(sectors)
    ]
    return np.nan_to_num(np.array(found))


def layer_rows(plan: ProfilePlan) -> tuple[int, int]:
    """First row of the volume that a plan can touch, and the one after the last."""
    layer = plan.layer
    angle = np.linspace(0, 2 * np.pi, 64)
    y = layer.axis_mm[0] + np.append(0.0, plan.radius_mm * np.sin(angle))
    x = layer.axis_mm[1] + np.append(0.0, plan.radius_mm * np.cos(angle))
    heights = np.concatenate([layer.near.height_mm(y, x), layer.far.height_mm(y, x)])
    margin = max(-plan.edges_mm[0], plan.edges_mm[-1] - layer.thickness_mm) + 2 * layer.voxel_size_mm
    first = int(np.floor((heights.min() - margin) / layer.voxel_size_mm))
    stop = int(np.ceil((heights.max() + margin) / layer.voxel_size_mm)) + 1
    return max(first, 0), min(stop, plan.shape[0])


def _compute(
    context: RunContext,
    state: ScannedState,
    transform: AffineTransform | None,
    plans: Sequence[ProfilePlan],
    layout: RegionLayout,
) -> SubsetMeans:
    spans = [layer_rows(plan) for plan in plans]
    rows = (min(span[0] for span in spans), max(span[1] for span in spans))
    source = rows if transform is None else moving_rows(context, transform, rows)
    seen = read_seen_rows(context, state, *source)
    count = context.study.profile.subsets
    means: list[list[Float]] = [[] for _ in plans]
    regions: list[Float] = []
    for subset in range(count):
        stop_if_asked(context.cancel)
        part = back_project(context, state, seen, views=slice(subset, None, count))
        if transform is not None:
            part = _on_reference(
                context, state, transform, part, source[0], rows, max(plans, key=lambda plan: plan.radius_mm)
            )
        for plan, collected in zip(plans, means, strict=True):
            sums = slab_sums(plan, rows[0], part, rings=False)
            collected.append(np.nan_to_num(sums.mean))
        regional = region_slab_sums(plans[-1], layout, rows[0], part)
        regions.append(np.nan_to_num(region_means(regional, layout)[0]))
        context.progress("subsets", state.name, subset, count)
    return SubsetMeans(tuple(np.array(collected) for collected in means), np.array(regions))


def _on_reference(
    context: RunContext,
    state: ScannedState,
    transform: AffineTransform,
    part: Array,
    first: int,
    rows: tuple[int, int],
    plan: ProfilePlan,
) -> Array:
    """Lay rows of a state over the reference where the plan looks; NaN beside."""
    grid = context.plan.state(context.study.reference)
    layer, voxel = plan.layer, grid.voxel_size_mm
    box = pellet_box(grid.volume, layer.axis_mm, plan.radius_mm, voxel)
    source = moved_box(transform, box, rows, context.plan.state(state.name).volume, voxel)
    cut = part[:, source[0], source[1]]
    inside = resample(
        SomeRows(cut, first, (context.plan.state(state.name).volume[0], *cut.shape[1:])),
        between_boxes(transform, box, source, voxel),
        voxel_size_mm=voxel,
        reference_shape=(grid.volume[0], *(side.stop - side.start for side in box)),
        z_range=rows,
        order=INTERPOLATION_ORDER,
    )
    found = np.full((len(inside), *grid.volume[1:]), np.nan, np.float32)
    found[:, box[0], box[1]] = inside
    return found


def moving_rows(context: RunContext, transform: AffineTransform, rows: tuple[int, int]) -> tuple[int, int]:
    """Rows of a moving state that rows of the reference are interpolated from."""
    grid = context.plan.state(context.study.reference)
    _, ny, nx = grid.volume
    corners = np.array(
        [(z, y, x) for z in (rows[0], rows[1] - 1) for y in (0, ny - 1) for x in (0, nx - 1)], float
    )
    moved = transform.apply(corners * grid.voxel_size_mm)[:, 0] / grid.voxel_size_mm
    # one more row than interpolation asks for: rounding may not leave one out
    reach = REACH_PLANES[INTERPOLATION_ORDER] + 1
    first, stop = int(np.floor(moved.min())) - reach, int(np.ceil(moved.max())) + reach + 1
    return max(first, 0), min(stop, grid.volume[0])


def layout_facts(layout: RegionLayout) -> list[Any]:
    """Write down what the means over regions depend on."""
    return [list(layout.names), zlib.crc32(layout.patch.tobytes()), layout.member.tolist()]


def plan_facts(plan: ProfilePlan) -> list[Any]:
    """Write down what the means over a plan's bins depend on."""
    return [plan.edges_mm.tolist(), plan.radius_mm, plan.normalised, *surface_facts(plan.layer)]


def surface_facts(layer: Layer) -> list[Any]:
    """Write down where a layer is."""
    return [
        list(map(float, layer.near.coefficients)),
        list(map(float, layer.far.coefficients)),
        list(map(float, layer.axis_mm)),
    ]
