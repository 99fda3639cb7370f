"""What may be wrong with means over bins apart from noise: registration, interpolation, depth and blur."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deltamu.recon.change.log_blur import FWHM_PER_SIGMA
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
    depth_shift : (bin,) array
        How the means change where depth 0 lies one standard error deeper, cm⁻¹.
    blur_shift : (bin,) array
        What the blur adds to the means, judged by blurring them once more, cm⁻¹.
    """

    moving_attenuation: Float
    shift_sigma_mm: float
    interpolation_shift: Float
    depth_shift: Float
    blur_shift: Float

    def registration_error(self, plan: ProfilePlan, readout: Float) -> float:
        """Error of Σ readout·(bin means) from the displacement."""
        return registration_readout_error(plan, self.moving_attenuation, readout, self.shift_sigma_mm)

    def interpolation_error(self, readout: Float) -> float:
        """Error of Σ readout·(bin means) from the interpolation."""
        return float(abs(readout @ self.interpolation_shift))

    def readout_error(self, plan: ProfilePlan, readout: Float) -> float:
        """Error of Σ readout·(bin means), each source moving all bins together."""
        shared = (self.interpolation_shift, self.depth_shift, self.blur_shift)
        parts = [self.registration_error(plan, readout), *(float(readout @ shift) for shift in shared)]
        return float(np.linalg.norm(parts))

    def profile_covariance(self, plan: ProfilePlan) -> Float:
        """(bin, bin) covariance of what the errors of the bins themselves hold: registration and interpolation."""
        moved = self.shift_sigma_mm * np.gradient(self.moving_attenuation, plan.depth_mm)
        return _together(moved, self.interpolation_shift)

    def place_covariance(self) -> Float:
        """(bin, bin) covariance of what matters for the true layer: where depth 0 is, and the blur."""
        return _together(self.depth_shift, self.blur_shift)


def _together(*shifts: Float) -> Float:
    return np.asarray(sum(np.outer(shift, shift) for shift in shifts), np.float64)


def find_systematics(
    context: RunContext,
    registered: Registered,
    states: Sequence[str],
    plans: Sequence[ProfilePlan],
    moving: Sequence[Float],
    means: Sequence[Float],
    *,
    surface_sigma_mm: float,
) -> list[Systematics]:
    """Systematics of the bins of every plan.

    Parameters
    ----------
    moving, means : sequences of (bin,) arrays
        Attenuation of the moving state, and its change; one per plan.
    surface_sigma_mm : float
        Standard error of where depth 0 is.
    """
    shift = _shift_sigma_mm(registered, states)
    to, origin = (interpolation_shifts(context, s, registered, plans) for s in states)
    return [
        Systematics(
            moving[i],
            shift,
            to[i] - origin[i],
            surface_sigma_mm * np.gradient(np.nan_to_num(means[i]), plan.depth_mm),
            _blurred_again(plan, np.nan_to_num(means[i])),
        )
        for i, plan in enumerate(plans)
    ]


def _blurred_again(plan: ProfilePlan, mean: Float) -> Float:
    """What another blur of the same width does to a profile; about what the first one did."""
    width = float(np.median(np.diff(plan.edges_mm)))
    blurred = gaussian_filter1d(mean, plan.fwhm_mm / FWHM_PER_SIGMA / width, mode="nearest")
    return np.asarray(blurred - mean, np.float64)


def axial_error_mm(facts: Mapping[str, Any]) -> float:
    """Standard error of the position of the layers along the axis, with that of a stretch where there is one."""
    return float(facts.get("axial_standard_error_mm") or facts["uncertainty"].get("translation_z") or 0.0)


def _shift_sigma_mm(registered: Registered, states: Sequence[str]) -> float:
    """Standard deviation of the displacement along the axis, of both states together."""
    sigmas = [axial_error_mm(registered.facts[s]) for s in states if s in registered.facts]
    return float(np.sqrt(np.sum(np.square(sigmas))))
