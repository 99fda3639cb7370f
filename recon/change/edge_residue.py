"""What an error of a registration leaves at the edge between two layers, in attenuation and in charge."""

import math
from dataclasses import dataclass

from deltamu.recon.change.log_blur import FWHM_PER_SIGMA
from deltamu.recon.errors import InputError


@dataclass(frozen=True)
class EdgeResidue:
    """A false change at an edge that is laid over itself with a shift.

    Attributes
    ----------
    peak : float
        cm⁻¹; the wider the blur, the lower.
    integral : float
        Across the edge, cm⁻¹ mm; does not depend on the blur.
    areal_mAh_cm2 : float
        Charge that the integral would be taken for.
    """

    peak: float
    integral: float
    areal_mAh_cm2: float


def edge_residue(
    step: float, shift_mm: float, *, fwhm_mm: float, charge_per_attenuation: float
) -> EdgeResidue:
    """Work out the false change at a blurred edge from its step and a shift, both taken as sizes.

    To first order in the shift the difference of two blurred edges is step x shift x a Gaussian: its peak is
    step x shift/(sigma sqrt(2 pi)), its integral step x shift exactly.

    Parameters
    ----------
    step : float
        Difference of the attenuation on both sides, cm⁻¹.
    shift_mm : float
    fwhm_mm : float
        Blur of the volumes.
    charge_per_attenuation : float
        mAh/cm³ that one cm⁻¹ stands for.

    Raises
    ------
    InputError
        If the blur is not positive.
    """
    if not fwhm_mm > 0:
        raise InputError(f"fwhm_mm: found {fwhm_mm}, expected the width of the blur, above 0")
    integral = abs(step * shift_mm)
    peak = integral / (fwhm_mm / FWHM_PER_SIGMA * math.sqrt(2 * math.pi))
    # mm to cm
    return EdgeResidue(float(peak), float(integral), float(0.1 * integral * charge_per_attenuation))
