"""What a reader found in the files of a scan, before the user's settings are applied."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.scans.angle_file import AngleList
from deltamu.recon.scans.frames import FrameSource


@dataclass(frozen=True)
class FoundScan:
    """Sources of frames and what the files say about them.

    Attributes
    ----------
    projections : FrameSource
    flats, flats_after, darks : FrameSource or None
    angles : AngleList or None
        As the files state them.
    in_file : (projection,) int array or None
        Where the projections stand among all frames, where one list of angles covers them all.
    all_in_file : int
        Number of frames of all kinds in that list.
    pixel_size_mm : float or None
    exposure_s : float or None
        Of a projection.
    times_s : (projection,) array or None
    notes : tuple of str
    """

    projections: FrameSource
    flats: FrameSource | None = None
    flats_after: FrameSource | None = None
    darks: FrameSource | None = None
    angles: AngleList | None = None
    in_file: NDArray[np.int64] | None = None
    all_in_file: int = 0
    pixel_size_mm: float | None = None
    exposure_s: float | None = None
    times_s: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
