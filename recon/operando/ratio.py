"""Transmission against that of a reference: what has changed along the beam, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class TransmissionRatio:
    """Tr_t / Tr_0 with its standard deviation.

    Above 1 the beam has met less lithium than at the reference (depletion), below 1 more (enrichment).

    Attributes
    ----------
    ratio, sigma : arrays of one shape
    """

    ratio: Float
    sigma: Float

    @property
    def change(self) -> Float:
        """−ln of the ratio: ∫ Δμ dl, dimensionless, positive where lithium has come."""
        return optical_depth_change(self.ratio)

    @property
    def change_sigma(self) -> Float:
        """Standard deviation of `change`, to first order."""
        return self.sigma / self.ratio


def optical_depth_change(ratio: NDArray[np.floating]) -> Float:
    """Change of the line integral, −ln(Tr_t / Tr_0); NaN where the ratio is not positive."""
    values = np.asarray(ratio, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(values > 0, -np.log(values), np.nan)


def ratio_of_change(change: NDArray[np.floating]) -> Float:
    """Tr_t / Tr_0 = exp(−∫ Δμ dl)."""
    return np.exp(-np.asarray(change, np.float64))


def transmission_ratio(
    transmission: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    variance: NDArray[np.floating] | float = 0.0,
    reference_variance: NDArray[np.floating] | float = 0.0,
) -> TransmissionRatio:
    """Divide transmissions; σ = ratio √(var/T² + var₀/T₀²), which is ratio √(1/N + 1/N₀) for counts N.

    Parameters
    ----------
    transmission, reference : arrays that broadcast
    variance, reference_variance : arrays or floats
        Of the two.

    Raises
    ------
    InputError
        If the reference is not positive somewhere, or a variance is negative.
    """
    now, before = np.asarray(transmission, np.float64), np.asarray(reference, np.float64)
    if before.size and not np.nanmin(before) > 0:
        raise InputError(
            f"reference: found transmission {np.nanmin(before):.3g}, expected values above 0; leave opaque parts out"
        )
    if np.any(np.asarray(variance) < 0) or np.any(np.asarray(reference_variance) < 0):
        raise InputError("variance: found negative values, expected zero or more")
    ratio = now / before
    relative = np.asarray(variance) / before**2 + ratio**2 * np.asarray(reference_variance) / before**2
    return TransmissionRatio(ratio, np.sqrt(np.broadcast_to(relative, ratio.shape)))
