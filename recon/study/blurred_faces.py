"""What blur before the logarithm does at the two faces of the profile layer, state by state."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deltamu.recon.change.log_blur import FaceDeficit, face_contrasts, face_deficit
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.study.change_sums import state_means
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.view_subsets import SubsetMeans


@dataclass(frozen=True)
class BlurredFaces:
    """What is missing at the faces of a layer, by state.

    Attributes
    ----------
    near, far : mapping of state to FaceDeficit
    mean_attenuation : mapping of state to float
        Inside the layer, away from its faces, cm⁻¹.
    surface_sigma_mm : float
        How far depth 0 may be off: error of the fit and the shift that the blur makes, over the states as the joint
        fit weighs them.
    """

    near: Mapping[str, FaceDeficit]
    far: Mapping[str, FaceDeficit]
    mean_attenuation: Mapping[str, float]
    surface_sigma_mm: float

    def integral_cm2(self, states: tuple[str, str]) -> float:
        """What ∫Δμ dV holds too much of, from the first of two states less the second."""
        to, origin = (self.near[state].integral_cm2 + self.far[state].integral_cm2 for state in states)
        return origin - to

    def thickness_shift_mm(self, state: str) -> float:
        """How much thicker the layer seems in a state."""
        return self.near[state].shift_mm + self.far[state].shift_mm


def find_blurred_faces(
    context: RunContext, plan: ProfilePlan, subsets: Mapping[str, SubsetMeans], states: list[str]
) -> BlurredFaces:
    """Estimate from the attenuation on both sides of each face, as the states show it.

    Parameters
    ----------
    plan : ProfilePlan
        Of the core, the first one of the subsets.
    """
    near, far, inside, weights = {}, {}, {}, {}
    for state in states:
        known = subsets.get(state)
        mean = state_means(context, state, plan) if known is None else known.plans[0].mean(axis=0)
        contrasts = face_contrasts(plan, mean)
        near[state], far[state] = (
            face_deficit(surface, step, radius_mm=plan.layer.radius_mm, blur_fwhm_mm=plan.fwhm_mm)
            for surface, step in zip((plan.layer.near, plan.layer.far), contrasts, strict=True)
        )
        weights[state] = contrasts[0] ** 2
        inside[state] = float(np.nanmean(mean[plan.eroded if plan.eroded.any() else plan.within]))
    return BlurredFaces(near, far, inside, float(np.hypot(_joint_shift(near, weights), _fit_error(plan))))


def _joint_shift(near: Mapping[str, FaceDeficit], weights: Mapping[str, float]) -> float:
    """Shift of a surface that was fitted to all states: each counts by the square of its contrast."""
    total = sum(weights.values())
    return sum(weights[s] * abs(near[s].shift_mm) for s in near) / total if total > 0 else 0.0


def _fit_error(plan: ProfilePlan) -> float:
    variance = float(plan.layer.near.covariance[0, 0])
    return float(np.sqrt(variance)) if np.isfinite(variance) else 0.0
