"""Sums of a change, or of a state, over the bins of a plan, some rows at a time."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums, empty_sums, slab_sums
from deltamu.recon.study.comparison import state_image
from deltamu.recon.study.row_blocks import chunk_blocks
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.view_subsets import layer_rows
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]


def change_sums(context: RunContext, change: str, plan: ProfilePlan) -> ProfileSums:
    """Sum a change over the bins of a plan, some rows at a time."""
    group = context.store / "changes" / change
    delta_mu, sigma = (open_image(group / name) for name in ("delta_mu", "sigma"))
    sums = empty_sums(plan)
    first, stop = layer_rows(plan)
    for rows in chunk_blocks(first, stop):
        sums = sums + slab_sums(plan, rows.start, delta_mu[rows], sigma[rows])
    return sums


def state_means(context: RunContext, state: str, plan: ProfilePlan) -> Float:
    """Mean attenuation of a state in the bins of a plan, cm⁻¹; NaN where a bin is empty."""
    image = state_image(context, state)
    sums = empty_sums(plan)
    first, stop = layer_rows(plan)
    for rows in chunk_blocks(first, stop):
        sums = sums + slab_sums(plan, rows.start, np.asarray(image[rows]), rings=False)
    return sums.mean
