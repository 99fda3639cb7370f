"""Exact counting errors of the read-outs of every change: which read-outs, of which states, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.readout_slices import BESIDE_PX, moved_bins, patch_bins
from deltamu.recon.change.regions import RegionLayout
from deltamu.recon.geometry import AffineTransform
from deltamu.recon.preprocess.shared_flats import shared_correlation
from deltamu.recon.solvers.line_noise import LineNoise
from deltamu.recon.solvers.readout_weights import ReadoutRays, readout_rays
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered
from deltamu.recon.study.from_scans import ScannedState, fbp_options
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.progress import stop_if_asked
from deltamu.recon.study.readout_variances import BinGroup, StateVariances, add_variances
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.view_noise import line_noise
from deltamu.recon.study.view_subsets import layer_rows, layout_facts, moving_rows, plan_facts

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
PROFILE, INTEGRAL = "profile", "integral"


@dataclass(frozen=True, eq=False)
class ExactErrors:
    """Variances of the read-outs of one change, by name; one number, or one per bin.

    Attributes
    ----------
    counting, open_beam : mapping of name to (read-out,) array
        cm⁻². From what is independent from view to view, and from what is alike in all.
    shared : float
        Correlation of the noise of both mean flats: 0 where no frame is common, 1 where all are.
    """

    counting: Mapping[str, Float]
    open_beam: Mapping[str, Float]
    shared: float

    def variance(self, name: str) -> Float:
        """Of both parts together."""
        return np.asarray(self.counting[name] + self.open_beam[name])


@dataclass(frozen=True, eq=False)
class _Job:
    """A plan with its patches, and what is read from them."""

    plan: ProfilePlan
    patches: NDArray[np.intp]
    groups: tuple[BinGroup, ...]
    beyond: int | None = None


def region_readout(name: str) -> str:
    """Name of the read-outs of the bins of a region."""
    return f"region {name}"


def exact_errors(
    context: RunContext,
    changes: Sequence[tuple[str, str]],
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    plans: Sequence[ProfilePlan],
    layout: RegionLayout,
) -> dict[tuple[str, str], ExactErrors]:
    """Variances of the read-outs of every change (to, from) whose scans are reconstructed row by row.

    Parameters
    ----------
    plans : sequence of ProfilePlan
        Of the core and of the whole pellet; the regions have the bins of the latter.
    """
    needed = dict.fromkeys(state for pair in changes for state in pair)
    states = [name for name in needed if _is_exact(context, scanned, name)]
    settings = settings_hash(
        "exact errors", [registered.hashes[name] for name in states], [scanned[name].settings for name in states],
        [scanned[name].flats for name in states], context.study.profile, context.study.reconstruction,
        [plan_facts(plan) for plan in plans], layout_facts(layout),
    )  # fmt: skip

    def compute() -> tuple[Slabs, Mapping[str, Any]]:
        return [], _payload(context, states, registered, scanned, _jobs(plans, layout))

    with context.stage("errors"):
        payload = context.piece(PieceKey("errors"), settings, compute)
    context.progress("errors", "", 1, 1)
    return {pair: _of_change(payload, pair) for pair in changes if all(name in states for name in pair)}


def _is_exact(context: RunContext, scanned: Mapping[str, ScannedState], name: str) -> bool:
    """Whether the slices of a state are rows of its detector, filtered with zeros beside them."""
    return (
        name in scanned
        and scanned[name].alignment.is_trivial
        and context.study.reconstruction.padding == "zero"
    )


def _jobs(plans: Sequence[ProfilePlan], layout: RegionLayout) -> list[_Job]:
    """Regions and the integral by the bins of the whole pellet; the core by itself where its bins are others."""
    core, whole = plans
    names = [name for name in layout.names if not name.startswith("ring_")]
    patches, members = _patches(layout, names)
    beyond = int(patches.max()) + 1
    groups = [BinGroup(region_readout(name), members[name], {"mean": _averaged(whole)}) for name in names]
    every = np.ones(whole.bins, bool)
    groups.append(BinGroup(INTEGRAL, (*members["all"], beyond), {"sum": every}, by_bin=False))
    jobs = [_Job(whole, np.where(patches < 0, beyond, patches), tuple(groups), beyond)]
    if _same_bins(core, whole):
        # the core is one of the regions
        again = BinGroup(PROFILE, members["core"], {"mean": _averaged(core), "whole": core.within})
        others = (group for group in groups if group.name != region_readout("core"))
        return [replace(jobs[0], groups=(*others, again))]
    alone = BinGroup(PROFILE, (0,), {"mean": _averaged(core), "whole": core.within})
    return [*jobs, _Job(core, np.zeros(core.shape[1:], np.intp), (alone,))]


def _averaged(plan: ProfilePlan) -> Mask:
    """Bins of the mean of a layer: a layer too thin to leave anything after erosion is averaged whole."""
    return plan.eroded if plan.eroded.any() else plan.within


def _same_bins(core: ProfilePlan, whole: ProfilePlan) -> bool:
    return core.edges_mm.shape == whole.edges_mm.shape and bool(np.all(core.edges_mm == whole.edges_mm))


def _patches(
    layout: RegionLayout, names: Sequence[str]
) -> tuple[NDArray[np.intp], dict[str, tuple[int, ...]]]:
    """Patches along the outlines of some regions, -1 outside all of them, and which make up each region."""
    chosen = layout.member[[layout.names.index(name) for name in names]]
    kinds, number = np.unique(chosen, axis=1, return_inverse=True)
    inside = kinds.any(axis=0)
    renamed = np.where(inside, np.cumsum(inside) - 1, -1)
    members = {name: tuple(int(k) for k in renamed[kinds[row]]) for row, name in enumerate(names)}
    return renamed[number.ravel()][layout.patch], members


def _payload(
    context: RunContext,
    states: Sequence[str],
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    jobs: Sequence[_Job],
) -> dict[str, Any]:
    """Variances of every state, and covariances of those whose flats have frames in common."""
    found: dict[str, tuple[StateVariances, LineNoise]] = {}
    for name in states:
        found[name] = _state_variances(context, scanned[name], registered.transforms.get(name), jobs)
        context.progress("errors", name, 1, 1)
    payload: dict[str, Any] = {
        "states": {
            name: {"counting": _lists(variances.counting), "open_beam": _lists(variances.open_beam)}
            for name, (variances, _) in found.items()
        },
        "shared": {},
    }
    for one, two in combinations(states, 2):
        correlation = shared_correlation(scanned[one].flats, scanned[two].flats)
        if correlation > 0:
            payload["shared"]["|".join(sorted((one, two)))] = {
                "correlation": correlation,
                "covariance": _covariances(found[one], found[two], correlation),
            }
    return payload


def _lists(values: Mapping[str, Float]) -> dict[str, list[float]]:
    return {name: array.tolist() for name, array in values.items()}


def _state_variances(
    context: RunContext, state: ScannedState, transform: AffineTransform | None, jobs: Sequence[_Job]
) -> tuple[StateVariances, LineNoise]:
    whole = jobs[0].plan
    rows = layer_rows(whole)
    seen = rows if transform is None else moving_rows(context, transform, rows)
    noise_rows = (seen[0], min(seen[1], state.scan.shape[1]))
    rays = _rays(context, state, transform, whole)
    noise = line_noise(context, state, rays, noise_rows)
    found = StateVariances()
    for job in jobs:
        patches = list(patch_bins(job.plan, job.patches, rows))
        if job.beyond is not None:
            # only the integral reads it, so that all of its voxels may as well be in one bin
            outside = patches[job.beyond]
            patches[job.beyond] = replace(outside, bins=np.minimum(outside.bins, 0))
        shape = context.plan.state(state.name).volume
        moved = None if transform is None else [moved_bins(patch, transform, shape) for patch in patches]
        add_variances(
            found, patches, moved, job.groups, job.plan.bins, rays, noise,
            between=lambda done: stop_if_asked(context.cancel),
        )  # fmt: skip
    return found, noise


def _rays(
    context: RunContext, state: ScannedState, transform: AffineTransform | None, plan: ProfilePlan
) -> ReadoutRays:
    """Views and columns that show the pellet, wherever it stands in this state."""
    layer, voxel = plan.layer, plan.layer.voxel_size_mm
    size = context.plan.state(state.name).volume[2]
    axis = np.array(layer.axis_mm, np.float64)
    faces = [layer.near.height_mm(axis[:1], axis[1:]), layer.far.height_mm(axis[:1], axis[1:])]
    ends = np.array([[float(height[0]), *axis] for height in faces], np.float64)
    moved = ends if transform is None else transform.apply(ends)
    offset = np.hypot(*(moved[:, 1:] / voxel - (size - 1) / 2).T).max()
    return readout_rays(
        state.scan.angles, columns=state.scan.shape[2], size=size,
        reach_px=float(offset) + plan.radius_mm / voxel + BESIDE_PX, **fbp_options(context, state),
    )  # fmt: skip


def _covariances(
    one: tuple[StateVariances, LineNoise], two: tuple[StateVariances, LineNoise], correlation: float
) -> dict[str, list[float]]:
    """Covariance of every read-out of two states by their common flats."""
    (first, noise), (second, other) = one, two
    return {
        name: [
            0.0 if a is None or b is None else noise.shared_covariance(a, other, b, correlation)
            for a, b in zip(first.gathered[name], second.gathered[name], strict=True)
        ]
        for name in first.gathered
    }


def _of_change(payload: Mapping[str, Any], pair: tuple[str, str]) -> ExactErrors:
    """Both states of a change together; what their flats share is in both with opposite signs."""
    to, origin = (payload["states"][name] for name in pair)
    common = payload["shared"].get("|".join(sorted(pair)), {"correlation": 0.0, "covariance": {}})
    counting = {name: np.add(to["counting"][name], origin["counting"][name]) for name in to["counting"]}
    alike = {
        name: np.maximum(
            np.add(to["open_beam"][name], origin["open_beam"][name])
            - 2 * np.asarray(common["covariance"].get(name, 0.0)),
            0.0,
        )
        for name in to["open_beam"]
    }
    return ExactErrors(_with_core(counting), _with_core(alike), float(common["correlation"]))


def _with_core(variances: Mapping[str, Float]) -> dict[str, Float]:
    """Add the core as a region, where its bins are those of the profile."""
    core = region_readout("core")
    return {core: variances[PROFILE], f"{core} mean": variances[f"{PROFILE} mean"], **variances}
