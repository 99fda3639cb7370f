"""What the errors of a change follow from: noise of both states, registration, interpolation, blur."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums
from deltamu.recon.change.uncertainty import StateNoise
from deltamu.recon.solvers.noise import ring_response
from deltamu.recon.study.blurred_faces import BlurredFaces
from deltamu.recon.study.comparison import Registered
from deltamu.recon.study.exact_errors import ExactErrors
from deltamu.recon.study.from_scans import ScannedState, fbp_options, shared_variance
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.systematics import Systematics, find_systematics
from deltamu.recon.study.view_subsets import SubsetMeans, layer_rows, sector_means
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]
# part of the voxels without a value beyond which read-outs are not those that the exact errors are worked out for
LACKING = 0.01


@dataclass(frozen=True)
class ErrorSources:
    """What the errors of a change follow from, for the bins of the core and of the whole pellet.

    Attributes
    ----------
    noise : two sequences of StateNoise
    systematics : two Systematics
    regional : sequence of (subset, region, bin) arrays
        Of both states; empty where the views are not at hand.
    surface_sigma_mm : float
        Standard error of where depth 0 is.
    log_blur_cm2 : float
        What ∫Δμ dV holds too much of, by the blur before the logarithm.
    exact : ExactErrors or None
        Exact variances of counting and open beam, where the slices are rows of the detector and all voxels are there.
    """

    noise: Sequence[Sequence[StateNoise]]
    systematics: Sequence[Systematics]
    regional: Sequence[Float]
    surface_sigma_mm: float
    log_blur_cm2: float
    exact: ExactErrors | None = None


def find_error_sources(
    context: RunContext,
    change: str,
    plans: tuple[ProfilePlan, ProfilePlan],
    sums: tuple[ProfileSums, ProfileSums],
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    subsets: Mapping[str, SubsetMeans],
    faces: BlurredFaces,
    *,
    exact: ExactErrors | None = None,
) -> ErrorSources:
    """Gather what the errors of a change follow from, for the core's and for the whole pellet's bins."""
    states = split_change(change)
    if all(state in subsets for state in states):
        noise = [_noise_of_states(context, plans[i], states, scanned, subsets, i) for i in range(2)]
        moving = [subsets[states[0]].plans[i].mean(axis=0) for i in range(2)]
        regional = [subsets[state].regions for state in states]
    else:
        delta_mu = open_image(context.store / "changes" / change / "delta_mu")
        noise = [[StateNoise(sector_means(plan, delta_mu, layer_rows(plan)))] for plan in plans]
        moving, regional = [np.zeros(plan.bins) for plan in plans], []
    systematics = find_systematics(
        context, registered, states, plans, moving, [found.mean for found in sums],
        surface_sigma_mm=faces.surface_sigma_mm,
    )  # fmt: skip
    return ErrorSources(
        noise, systematics, regional, faces.surface_sigma_mm, faces.integral_cm2(states),
        None if any(_lacks_voxels(found) for found in sums) else exact,
    )  # fmt: skip


def _lacks_voxels(sums: ProfileSums) -> bool:
    return bool(sums.missing.sum() > LACKING * sums.count.sum())


def _noise_of_states(
    context: RunContext,
    plan: ProfilePlan,
    states: Sequence[str],
    scanned: Mapping[str, ScannedState],
    subsets: Mapping[str, SubsetMeans],
    which: int,
) -> list[StateNoise]:
    found = []
    for name in states:
        state = scanned[name]
        response = ring_response(state.scan.shape[2], radii_px=plan.radii_px, **fbp_options(context, state))
        found.append(
            StateNoise(
                subsets[name].plans[which], response, shared_variance(context, state).astype(np.float64)
            )
        )
    return found
