"""How much every ray counts in a reconstruction that weighs its data."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.starvation import FLOOR

Float32 = NDArray[np.float32]


def ray_weights(variance: Float32, correction: Correction) -> Float32:
    """Inverse variance of every ray relative to the open beam; zero for a ray that is starved.

    Parameters
    ----------
    variance : array
        Counting variance of line integrals, as `correction.line_integral_variance` gives it: one over the
        counts.
    correction : Correction

    Returns
    -------
    float32 array of the same shape
        About the transmission. Below twice the floor of counts the line integral is a mean over the
        neighbourhood whose logarithm is biased; it says nothing that weighing by variance could save.
    """
    heard = variance * np.float32(2 * FLOOR) <= 1
    if array_module(variance) is not np:
        # CuPy's division takes no `where`; it does not warn of zeros either
        return np.where(heard, np.float32(_open_beam(correction)) / variance, np.float32(0))
    weights = np.zeros_like(variance)
    np.divide(np.float32(_open_beam(correction)), variance, out=weights, where=heard)
    return weights


def open_beam_noise(correction: Correction) -> float:
    """Standard deviation of the line integral of one pixel in the open beam, whose weight is one."""
    return float(np.sqrt(_open_beam(correction) * correction.noise.pixel_fraction))


def _open_beam(correction: Correction) -> float:
    """Typical counting variance of a line integral of zero, large-area limit."""
    flat, noise = float(np.median(correction.flat)), correction.noise
    return noise.adu_per_count / flat + noise.read_variance / flat**2
