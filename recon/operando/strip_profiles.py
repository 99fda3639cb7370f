"""Each frame becomes one profile along the stack per strip of columns, in the place of the reference frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift as shift_array

from deltamu.recon.operando.drift import shift_profiles
from deltamu.recon.operando.frame_chain import CorrectedFrame
from deltamu.recon.operando.reference import SeriesReference

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class FrameRecord:
    """What is kept of a frame.

    Attributes
    ----------
    profiles : (strip, row) float32 array
        Mean transmission over each strip; rows are those of the axis of the pellet in the reference.
    drift_px : (rows, columns)
    dose, spots_fraction : float
    by_neighbours : bool
    """

    profiles: Float32
    drift_px: tuple[float, float]
    dose: float
    spots_fraction: float
    by_neighbours: bool


def measure_frame(frame: CorrectedFrame, reference: SeriesReference, *, drift: bool = True) -> FrameRecord:
    """Find the drift of a frame and read its profiles there, along the tilt and bow of the layers."""
    down, right = reference.drift.measure(frame.transmission) if drift else (0.0, 0.0)
    weights = reference.strips.weights(frame.transmission.shape[1], right)
    raw = (frame.transmission @ weights).T.astype(np.float64)
    profiles = shift_profiles(raw, reference.geometry.offsets_px + down)
    return FrameRecord(
        profiles.astype(np.float32), (down, right), frame.dose, frame.spots_fraction, frame.by_neighbours
    )  # fmt: skip


def frame_in_place(frame: CorrectedFrame, drift_px: tuple[float, float]) -> Float32:
    """Move a whole frame back to where the reference was, by cubic splines; NaN where nothing was seen."""
    down, right = drift_px
    moved = shift_array(
        frame.transmission, (-down, -right), order=3, mode="constant", cval=np.nan, prefilter=True
    )
    return np.asarray(moved, np.float32)
