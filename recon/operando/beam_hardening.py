"""The hardening of the beam in a series: undone on profiles and means of frames, where noise is small.

The casing does not harden the beam and has to go first (`preprocess.hardening`). A radiograph shows it beside the
pellet; the chords through shells of known radii carry it behind the pellet.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.hardening import Hardening, linearise

Float = NDArray[np.float64]

# columns so near to the face of a shell are blurred, and do not count
_BLURRED_MM = 0.1
_FEWEST_COLUMNS = 4
_DARKEST = 1e-5


@dataclass(frozen=True)
class Linearisation:
    """Turns transmission of a whole spectrum into that at one wavelength.

    Attributes
    ----------
    hardening : Hardening
    casing : (column,) array
        Line integral of what stands around the pellet.
    """

    hardening: Hardening
    casing: Float

    def strips(self, weights: NDArray[np.floating]) -> Float:
        """(strip, 1) line integral of the casing, for profiles; `weights` are (column, strip)."""
        return np.asarray(self.casing @ weights.astype(np.float64))[:, None]

    def apply(self, transmission: NDArray[np.floating], casing: Float) -> tuple[Float, Float]:
        """Transmission at the reference wavelength, and its derivative by the measured transmission.

        Parameters
        ----------
        transmission : (..., strip or row, row or column) array
            NaN where nothing was seen, which stays.
        casing : array that broadcasts to it
        """
        seen = np.where(np.isnan(transmission), 1.0, np.maximum(transmission, _DARKEST))
        line, slope = linearise(-np.log(seen), self.hardening, inert=casing)
        linear = np.exp(-line.astype(np.float64))
        # what is darker than any depth goes on in a straight line
        growth = slope * linear / seen
        return linear + growth * (transmission - seen), growth


def fit_casing(
    transmission: NDArray[np.floating],
    *,
    radius_mm: float,
    shells_mm: tuple[float, ...],
    axis_px: float,
    pixel_size_mm: float,
) -> Float:
    """Line integral of concentric shells around the pellet, per column, from the columns beside the pellet.

    Parameters
    ----------
    transmission : (row, column) array
    radius_mm : float
        Of the pellet.
    shells_mm : tuple of float
        Outer radii of the shells around it, from inside out.
    axis_px, pixel_size_mm : float

    Raises
    ------
    InputError
        If the radii do not grow, or the frame shows too little beside the pellet.
    """
    radii = np.array([radius_mm, *shells_mm])
    if np.any(np.diff(radii) <= 0):
        raise InputError(
            f"casing_mm: found {list(shells_mm)}, expected radii that grow from that of the pellet, {radius_mm:g} mm"
        )
    distance = np.abs(np.arange(transmission.shape[1]) - axis_px) * pixel_size_mm
    chords = 0.2 * np.sqrt(np.maximum(radii[:, None] ** 2 - distance**2, 0))
    paths = np.diff(chords, axis=0).T
    depth = -np.log(np.maximum(transmission.mean(axis=0, dtype=np.float64), _DARKEST))
    clear = (distance > radius_mm) & np.all(np.abs(distance - radii[:, None]) > _BLURRED_MM, axis=0)
    seen = [np.count_nonzero(clear & (distance > a) & (distance < b)) for a, b in pairwise(radii)]
    if min(seen) < _FEWEST_COLUMNS:
        raise InputError(
            f"casing_mm: found {list(shells_mm)}, but the frame does not show every shell beside the pellet of "
            f"{radius_mm:g} mm; expected shells in the field, or hardening.leave_out_casing = false"
        )
    attenuation, _ = nnls(paths[clear], depth[clear])
    return np.asarray(paths @ attenuation)
