"""What a stack of layers looks like through a detector: steps in attenuation, then blur in transmission.

Along the beam an interface is tilted and bowed, which spreads it in −ln T; the detector spreads it in T. The two
do not commute, and near a strong absorber the difference is larger than what lithium does.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, gaussian_filter1d
from scipy.special import erf

Float = NDArray[np.float64]
FINE = 6


@dataclass(frozen=True)
class StackModel:
    """Where the layers of a stack are, and how sharp they appear; lengths in pixels (rows).

    Attributes
    ----------
    boundaries : (layer − 1,) array
        Rows of the interfaces.
    interface_sigma : float
        Spread of an interface along the beam (tilt, bow, roughness).
    blur_sigma : float
        Spread of the detector; the pixels average in addition.
    rows : int
    disc : float
        Diameter of the disc that the finite collimation makes of a point; 0 where it is part of the detector's.
    """

    boundaries: Float
    interface_sigma: float
    blur_sigma: float
    rows: int
    disc: float = 0.0

    @cached_property
    def fine_rows(self) -> Float:
        """Positions of the fine grid."""
        return (np.arange(self.rows * FINE) + 0.5) / FINE - 0.5

    @property
    def _spread(self) -> float:
        # half a fine row: a step that moves by less must still change what is seen
        return float(np.hypot(self.interface_sigma, 0.5 / FINE))

    @cached_property
    def coverage(self) -> Float:
        """(fine row, layer) share of the beam's path in each layer."""
        spread = np.sqrt(2) * self._spread
        steps = [0.5 * (1 + erf((self.fine_rows - b) / spread)) for b in self.boundaries]
        passed = np.stack([np.ones(self.rows * FINE), *steps, np.zeros(self.rows * FINE)])
        return np.asarray((passed[:-1] - passed[1:]).T)

    def sharp(self, depths: Float) -> Float:
        """Transmission (fine row,) before the detector, for layers of line integrals `depths`."""
        return np.exp(-self.coverage @ depths)

    def seen(self, fine: Float) -> Float:
        """Blur (fine row, …) and average it over the rows."""
        if self.disc > 0:
            fine = convolve1d(fine, self._disc_weights, axis=0, mode="nearest")
        blurred = gaussian_filter1d(fine, self.blur_sigma * FINE, axis=0, mode="nearest", truncate=5.0)
        return np.asarray(blurred.reshape(self.rows, FINE, *fine.shape[1:]).mean(axis=1))

    def transmission(self, depths: Float) -> Float:
        """(row,) transmission."""
        return self.seen(self.sharp(depths))

    def by_depths(self, depths: Float) -> Float:
        """(row, layer) derivative of the transmission by the line integrals."""
        return self.seen(-self.coverage * self.sharp(depths)[:, None])

    def by_boundaries(self, depths: Float) -> Float:
        """(row, layer − 1) derivative of the transmission by the boundaries."""
        return self.seen(self._slopes * (self.sharp(depths)[:, None] * np.diff(depths)))

    def by_interface_sigma(self, depths: Float) -> Float:
        """(row,) derivative of the transmission by the spread of the interfaces."""
        distance = self.fine_rows[:, None] - self.boundaries
        widened = self._slopes * distance * (self.interface_sigma / self._spread**2)
        return self.seen(self.sharp(depths) * (widened @ np.diff(depths)))

    def by_blur_sigma(self, depths: Float, step: float = 0.02) -> Float:
        """(row,) derivative of the transmission by the spread of the detector, as a difference."""
        wider = replace(self, blur_sigma=self.blur_sigma + step)
        sharp = self.sharp(depths)
        return (wider.seen(sharp) - self.seen(sharp)) / step

    @cached_property
    def _disc_weights(self) -> Float:
        """A disc seen from its edge, averaged over fine rows."""
        radius = self.disc / 2 * FINE
        reach = int(np.ceil(radius + 0.5))
        edges = np.clip((np.arange(-reach, reach + 2) - 0.5) / radius, -1, 1)
        area = edges * np.sqrt(1 - edges**2) + np.arcsin(edges)
        return np.asarray(np.diff(area) / np.pi)

    @cached_property
    def _slopes(self) -> Float:
        """(fine row, layer − 1) slope of every smoothed step."""
        z = (self.fine_rows[:, None] - self.boundaries) / self._spread
        result: Float = np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * self._spread)
        return result
