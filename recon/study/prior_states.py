"""States of few views on the grid of the reference, with the reference as prior (PICCS)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import release_freed_memory
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights
from deltamu.recon.solvers.iterate import Course
from deltamu.recon.solvers.methods import unsettled
from deltamu.recon.solvers.prior_scans import RegisteredViews, piccs
from deltamu.recon.study.back_projecting import cancelling
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison_costs import solved_rows
from deltamu.recon.study.from_scans import ScannedState, read_rows
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings_states import PriorSettings
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.volumes.image import finish_image
from deltamu.recon.volumes.open import open_image

Array = NDArray[np.float32]
# rows beside a block that total variation looks at, beside those that the motion asks for
HALO_ROWS = 8


def reconstruct_with_prior(
    context: RunContext, state: ScannedState, transform: RigidTransform, settings: str
) -> None:
    """Write a registered state as PICCS finds it from its views and the reference; its sigma is not known."""
    reference = context.study.reference
    _tell(context, state.name)
    images = [
        context.image(reference, f"registered/{state.name}", name, unit="cm^-1")
        for name in ("attenuation", "sigma")
    ]
    solved = _Solved(context, state, transform)
    for slab in range(images[0].slabs):

        def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
            first = slab * images[0].slab
            stop = min(first + images[0].slab, images[0].shape[0])
            found = solved.rows(first, stop)
            told = [text for course in solved.courses if (text := unsettled("piccs", course))]
            sigma = np.full(found.shape, np.nan, np.float32)
            return [(images[0], found), (images[1], sigma)], {"early": told[0]} if told else {}

        facts = context.piece(PieceKey("prior", state.name, slab), settings, compute)
        if "early" in facts:
            context.warn(f"{state.name}: {facts['early']}")
        context.progress("prior", state.name, slab + 1, images[0].slabs)
    for image in images:
        finish_image(image)


def prior_of(context: RunContext, state: str) -> PriorSettings | None:
    """How a state is reconstructed with a prior; None where it is not."""
    return context.study.states[state].reconstruction


def _tell(context: RunContext, name: str) -> None:
    """Say what a regularised difference is, and what is not known of it."""
    prior = context.study.reference
    context.warn(
        f"{name}: reconstructed by piccs with {prior} as prior, so its change is regularised: towards none where the "
        "views do not ask for one, and towards flat regions where they do. The noise of its voxels is not known, so "
        "sigma and z scores are not available; errors of means and profiles are those of filtered back-projection of "
        "the same views and leave out the bias of piccs"
    )
    if context.plan.device == "gpu":
        context.warn(f"{name}: piccs computes on the CPU")


class _Solved:
    """Rows of the reference as PICCS finds them, block by block; the last block is kept for its further slabs."""

    def __init__(self, context: RunContext, state: ScannedState, transform: RigidTransform) -> None:
        self._context, self._state, self._transform = context, state, transform
        self._block = solved_rows(context.plan.compute_rows, context.plan.slab)
        self._start, self._kept = -1, np.empty((0, 0, 0), np.float32)
        self.courses: list[Course] = []

    def rows(self, first: int, stop: int) -> Array:
        """Slices first to stop − 1, which lie in one block or are made of several."""
        found = [
            self._part(begin, min(begin + self._block, stop)) for begin in range(first, stop, self._block)
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _part(self, first: int, stop: int) -> Array:
        start = first // self._block * self._block
        if start != self._start:
            release_freed_memory()
            end = min(start + self._block, self._context.plan.state(self._state.name).volume[0])
            self.courses.clear()
            self._kept = _solve(self._context, self._state, self._transform, (start, end), self.courses)
            self._start = start
        return self._kept[first - start : stop - start].copy()


def _solve(
    context: RunContext,
    state: ScannedState,
    transform: RigidTransform,
    rows: tuple[int, int],
    courses: list[Course],
) -> Array:
    """Solve rows of the reference together with those that they depend on; NaN where the state was not seen."""
    grid = context.plan.state(context.study.reference)
    halo = HALO_ROWS + reach_of(transform, grid)
    low, high = max(rows[0] - halo, 0), min(rows[1] + halo, grid.volume[0])
    lines, counted = read_rows(context, state, low, high)
    views = RegisteredViews(
        lines, state.scan.angles, state.center, open_beam_noise(state.correction), transform,
        ray_weights(counted, state.correction),
    )  # fmt: skip
    del counted
    prior = open_image(context.store / "states" / context.study.reference / "attenuation")
    settings = prior_of(context, state.name)
    assert settings is not None
    found = piccs(
        views, np.asarray(prior[low:high]), pixel_size_mm=grid.voxel_size_mm, first_row=low,
        progress=cancelling(context), record=courses.append, **settings.options,
    )[rows[0] - low : rows[1] - low]  # fmt: skip
    found[beyond(transform, grid, rows)] = np.nan
    return found


def reach_of(transform: RigidTransform, grid: StatePlan) -> int:
    """Most rows by which the motion lifts a voxel of the reference."""
    nz, ny, nx = grid.volume
    corners = (
        np.array(np.meshgrid([0, nz - 1], [0, ny - 1], [0, nx - 1])).reshape(3, -1).T * grid.voxel_size_mm
    )
    moved = transform.apply(corners)
    return int(np.ceil(np.abs(moved - corners)[:, 0].max() / grid.voxel_size_mm))


def beyond(transform: RigidTransform, grid: StatePlan, rows: tuple[int, int]) -> NDArray[np.bool_]:
    """Voxels (z, y, x) of some rows of the reference that lie outside what the moved state's scan saw."""
    size = grid.voxel_size_mm
    origin, *ends = transform.apply(np.vstack([np.zeros(3), np.eye(3)]) * size) / size
    z, y, x = np.ogrid[rows[0] : rows[1], : grid.volume[1], : grid.volume[2]]
    # rounding at the very rim: a state that did not move is seen everywhere
    slack = 1e-6
    outside = np.zeros((rows[1] - rows[0], *grid.volume[1:]), np.bool_)
    for axis, count in enumerate(grid.volume):
        along = [end[axis] - origin[axis] for end in ends]
        place = origin[axis] + z * along[0] + y * along[1] + x * along[2]
        outside |= (place < -slack) | (place > count - 1 + slack)
    return outside
