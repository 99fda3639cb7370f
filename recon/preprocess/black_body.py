"""Black-body frames of a scan: an acquisition of its own, at fewer angles, behind a grid of black bodies."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.preprocess.detector import ScanLike
from deltamu.recon.preprocess.line_spread import remove_tail
from deltamu.recon.preprocess.references import combine_flats
from deltamu.recon.preprocess.scatter import BlackBodyBackground, dot_labels, measure_background

Float32 = NDArray[np.float32]


class TurningScan(ScanLike, Protocol):
    """A scan with the angles of its views."""

    @property
    def angles(self) -> NDArray[np.float64]:
        """Radians."""


@dataclass(frozen=True)
class BlackBodyFrames:
    """Frames of the sample (projections) and of the open beam (flats) behind a grid.

    Attributes
    ----------
    scan : TurningScan
        The acquisition behind the grid; its darks are those of the scan where it has none.
    view_angles : (view,) array
        Radians, of the scan that is to be corrected.
    mask : (row, column) array or None
        Not 0 inside the dots; they are found when it is not given.
    """

    scan: TurningScan
    view_angles: NDArray[np.float64]
    mask: NDArray[np.generic] | None = None

    def __post_init__(self) -> None:
        if self.scan.flats is None or len(self.scan.flats) == 0:
            raise InputError("black_body: no flats; expected open-beam frames behind the same grid")

    def background(self, correction: Correction) -> BlackBodyBackground:
        """Background of every view, measured with what the correction knows of detector and air."""
        if self.scan.shape[1:] != correction.flat.shape:
            raise InputError(
                f"black_body: frames of {self.scan.shape[1:]} pixels, the scan has {correction.flat.shape}; "
                "expected the same camera, crop and binning"
            )
        if self.mask is not None and np.shape(self.mask) != correction.flat.shape:
            raise InputError(
                f"black_body: a mask of {np.shape(self.mask)} pixels for frames of {correction.flat.shape}; expected the "
                "frames as they are read, cropped and binned"
            )
        darks = np.asarray(self.scan.darks, np.float32)
        dark = darks.mean(axis=0, dtype=np.float64).astype(np.float32) if len(darks) else correction.dark
        flats = combine_flats(np.asarray(self.scan.flats, np.float32), dark, threshold=None)
        frames = np.asarray(self.scan.read(0, self.scan.shape[0]), np.float32) - dark
        inverse = np.where(correction.bad_pixels, np.nan, correction.inverse_flat)
        repaired = np.nan_to_num(np.stack([*frames, flats.mean]) * inverse)
        correction.repair.apply(repaired)
        if correction.tail is not None:
            # the tail reaches behind the dots, and is no scatter
            repaired = remove_tail(repaired, correction.tail)
        return measure_background(
            repaired[:-1], repaired[-1], angles=self.scan.angles, view_angles=self.view_angles,
            air=_air_mask(correction), dots=None if self.mask is None else dot_labels(self.mask),
        )  # fmt: skip


def _air_mask(correction: Correction) -> NDArray[np.bool_] | None:
    if not correction.air_columns:
        return None
    mask = np.zeros(correction.flat.shape, bool)
    for first, stop in correction.air_columns:
        mask[:, first:stop] = True
    return mask & ~correction.bad_pixels
