"""Depth against time: transmission of a region relative to the reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.ratio import TransmissionRatio, transmission_ratio

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Kymograph:
    """Tr_t / Tr_0 of a region.

    Attributes
    ----------
    times_s : (time,) array
    position_mm : (row,) array
        From the upper end of the frame along the axis of the cell.
    ratio : TransmissionRatio
        (time, row); σ holds what the reference contributes, which all times share.
    own_sigma : (time, row) array
        σ of −ln ratio from the frame alone, independent from time to time.
    """

    times_s: Float
    position_mm: Float
    ratio: TransmissionRatio
    own_sigma: Float

    @property
    def change(self) -> Float:
        """∫Δμ dl (time, row)."""
        return self.ratio.change


def make_kymograph(
    transmission: Float,
    variance: Float,
    times_s: Float,
    *,
    reference: tuple[int, int],
    pixel_size_mm: float,
) -> Kymograph:
    """Divide the profiles of a region by the mean of those of the reference frames.

    Parameters
    ----------
    transmission, variance : (time, row) arrays
    times_s : (time,) array
    reference : (first, stop)
        Of the frames.
    pixel_size_mm : float
    """
    if transmission.shape != variance.shape or len(transmission) != times_s.size:
        raise InputError(
            f"transmission: found {transmission.shape}, expected as the variance {variance.shape} and {times_s.size} times"
        )
    chosen = slice(*reference)
    before = transmission[chosen].mean(axis=0)
    spread = variance[chosen].mean(axis=0) / (reference[1] - reference[0])
    ratio = transmission_ratio(transmission, before, variance=variance, reference_variance=spread)
    own = np.sqrt(variance) / np.maximum(transmission, 1e-9)
    return Kymograph(times_s, (np.arange(before.size) + 0.5) * pixel_size_mm, ratio, own)


def average_in_time(values: Float, count: int) -> Float:
    """Mean over consecutive groups of frames; what is left over at the end is one shorter group."""
    return np.stack([values[first : first + count].mean(axis=0) for first in range(0, len(values), count)])


def group_bounds(frames: int, count: int) -> Sequence[tuple[int, int]]:
    """First and stop of the groups of `average_in_time`."""
    return [(first, min(first + count, frames)) for first in range(0, frames, count)]
