"""What may be wrong with means over bins apart from noise: registration and interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.uncertainty import registration_readout_error
from deltamu.recon.study.comparison import Registered
from deltamu.recon.study.interpolation_error import interpolation_shifts
from deltamu.recon.study.run_context import RunContext

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Systematics:
    """What may be wrong with the means over bins apart from noise.

    Attributes
    ----------
    moving_attenuation : (bin,) array
        cm⁻¹
    shift_sigma_mm : float
        Standard deviation of the displacement along the axis.
    interpolation_shift : (bin,) array
        How another interpolation would change the means, cm⁻¹.
    """

    moving_attenuation: Float
    shift_sigma_mm: float
    interpolation_shift: Float

    def registration_error(self, plan: ProfilePlan, readout: Float) -> float:
        """Error of Σ readout·(bin means) from the displacement."""
        return registration_readout_error(plan, self.moving_attenuation, readout, self.shift_sigma_mm)

    def interpolation_error(self, readout: Float) -> float:
        """Error of Σ readout·(bin means) from the interpolation."""
        return float(abs(readout @ self.interpolation_shift))

    def readout_error(self, plan: ProfilePlan, readout: Float) -> float:
        """Error of Σ readout·(bin means)."""
        return float(np.hypot(self.registration_error(plan, readout), self.interpolation_error(readout)))

    def covariance(self, plan: ProfilePlan) -> Float:
        """(bin, bin) covariance: each of the two moves all bins together."""
        moved = self.shift_sigma_mm * np.gradient(self.moving_attenuation, plan.depth_mm)
        return np.asarray(
            np.outer(moved, moved) + np.outer(self.interpolation_shift, self.interpolation_shift)
        )


def find_systematics(
    context: RunContext,
    registered: Registered,
    states: Sequence[str],
    plans: Sequence[ProfilePlan],
    moving: Sequence[Float],
) -> list[Systematics]:
    """Systematics of the bins of every plan."""
    shift = _shift_sigma_mm(registered, states)
    to, origin = (interpolation_shifts(context, s, registered, plans) for s in states)
    return [Systematics(moving[i], shift, to[i] - origin[i]) for i in range(len(plans))]


def _shift_sigma_mm(registered: Registered, states: Sequence[str]) -> float:
    """Standard deviation of the displacement along the axis, of both states together."""
    sigmas = [
        registered.facts[s]["uncertainty"].get("translation_z") or 0.0
        for s in states
        if s in registered.facts
    ]
    return float(np.sqrt(np.sum(np.square(sigmas))))
