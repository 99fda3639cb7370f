"""How far means over depth hang on the interpolation that laid a state over the reference."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import slab_sums
from deltamu.recon.change.resampling import resample
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.view_subsets import layer_rows, plan_facts
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]
OTHER_ORDER = 1


def interpolation_shifts(
    context: RunContext, state: str, registered: Registered, plans: Sequence[ProfilePlan]
) -> tuple[Float, ...]:
    """Change of the bin means of a state, cm⁻¹, had it been read linearly instead of by the spline.

    Neither is right where an edge is sharper than the voxels: the spline rings there, linear reading smooths.
    What they differ by is how far either may be off; it is an error that no repetition of the scan would show.

    Returns
    -------
    tuple of (bin,) arrays, one per plan; zero for the reference and for states with a prior, which are not
    interpolated
    """
    transform = registered.transforms.get(state)
    if transform is None or context.study.states[state].reconstruction is not None:
        return tuple(np.zeros(plan.bins) for plan in plans)
    settings = settings_hash(registered.hashes[state], [plan_facts(plan) for plan in plans], OTHER_ORDER)

    def compute() -> tuple[Slabs, Mapping[str, Any]]:
        return [], {"shifts": [_shift(context, state, registered, plan).tolist() for plan in plans]}

    payload = context.piece(PieceKey("interpolation", state), settings, compute)
    return tuple(np.asarray(shift, np.float64) for shift in payload["shifts"])


def _shift(context: RunContext, state: str, registered: Registered, plan: ProfilePlan) -> Float:
    grid = context.plan.state(context.study.reference)
    rows = layer_rows(plan)
    other = resample(
        open_image(context.store / "states" / state / "attenuation"),
        registered.transforms[state],
        voxel_size_mm=grid.voxel_size_mm,
        reference_shape=grid.volume,
        z_range=rows,
        order=OTHER_ORDER,
    )
    own = open_image(context.store / "registered" / state / "attenuation")[rows[0] : rows[1]]
    sums = slab_sums(plan, rows[0], np.asarray(other - own, np.float32), rings=False)
    return np.nan_to_num(sums.mean)
