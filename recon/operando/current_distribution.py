"""How the current is distributed across the electrode: the rate at which lithium comes into strips of columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.operando.rate import sliding_rate
from deltamu.recon.operando.strips import Strips
from deltamu.recon.operando.zone_charge import ZoneCharges

Float = NDArray[np.float64]
# strips further out hold the blur beyond the pellet
_INNER = 0.95


@dataclass(frozen=True)
class CurrentDistribution:
    """Local current density of a zone, positive where lithium comes.

    Attributes
    ----------
    times_s : (time,) array
    edges_mm : (strip, 2) array
        Of the strips, as distances from the axis.
    ma_cm2, sigma_ma_cm2 : (time, strip) arrays
        Mean over the chord that the beam passes; NaN where too few times are near.
    """

    times_s: Float
    edges_mm: Float
    ma_cm2: Float
    sigma_ma_cm2: Float


def current_distribution(
    charges: ZoneCharges, zone: str, strips: Strips, *, radius_mm: float, window_s: float
) -> CurrentDistribution:
    """Fit straight lines to the charge of every strip of a zone in a sliding window of time.

    Parameters
    ----------
    charges : ZoneCharges
    zone : str
    strips : Strips
    radius_mm : float
        Of the pellet.
    window_s : float

    Raises
    ------
    InputError
        If the window holds fewer than three times.
    """
    inner = np.abs(strips.middles_mm) < _INNER * radius_mm
    area = strips.chord_areas_cm2(radius_mm)[inner]
    fit = sliding_rate(charges.times_s, window_s=window_s, order=1)
    current = 3600 * fit.apply(charges.strips_mah[zone][:, inner] / area)
    sigma = 3600 * fit.sigma(charges.strips_sigma_mah[zone][:, inner] / area)
    edges = np.stack([strips.edges_mm[:-1], strips.edges_mm[1:]], axis=1)[inner]
    return CurrentDistribution(charges.times_s, edges, current, sigma)
