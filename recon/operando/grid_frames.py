"""Scattered background of a series: measured once behind a grid of black bodies, since the sample does not turn."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.series import files_fingerprint
from deltamu.recon.preprocess.black_body import BlackBodyFrames
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.scans.frames import Frames, FrameSource
from deltamu.recon.scans.options import ScanOptions
from deltamu.recon.scans.read import find_frames
from deltamu.recon.scans.view import DetectorView, detector_view

Float32 = NDArray[np.float32]
_READ_AT_ONCE = 8


@dataclass(frozen=True)
class SteadyBackground:
    """One background for all frames; what the reaction changes of it is not seen.

    Attributes
    ----------
    behind : (row, column) array
        Of a frame of dose 1 over the open beam, its background included.
    open_beam : (row, column) array
        Of the open beam, likewise.
    """

    behind: Float32
    open_beam: Float32

    def of_view(self, view: int) -> Float32:
        """Background of a frame."""
        return self.behind


@dataclass(frozen=True, eq=False)
class GridFrames:
    """Frames of the cell (projections) and of the open beam (flats) behind a grid, as a scan of one view.

    Attributes
    ----------
    frames, open_frames : FrameSource
    dark_frames : FrameSource or None
    view : DetectorView
    """

    frames: FrameSource
    open_frames: FrameSource
    dark_frames: FrameSource | None
    view: DetectorView
    flats_after: None = None
    exposure_s: None = None
    angles: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))

    @property
    def shape(self) -> tuple[int, int, int]:
        """One view of the detector."""
        return (1, *self.view.shape)

    @property
    def flats(self) -> Frames:
        """Open beam behind the grid."""
        return self.view.apply(self.open_frames.read(np.arange(self.open_frames.count)))

    @property
    def darks(self) -> Frames:
        """Its own darks; none where those of the series serve."""
        if self.dark_frames is None:
            return np.empty((0, *self.view.shape), np.float32)
        return self.view.apply(self.dark_frames.read(np.arange(self.dark_frames.count)))

    @property
    def fingerprint(self) -> str:
        """Hash over names, sizes and times of change of its files."""
        return files_fingerprint((self.frames, self.open_frames, self.dark_frames), self.view)

    def read(self, start: int = 0, stop: int | None = None) -> Frames:
        """Mean of all frames of the cell behind the grid."""
        total, count = np.zeros(self.view.shape, np.float64), self.frames.count
        for first in range(0, count, _READ_AT_ONCE):
            some = self.frames.read(np.arange(first, min(first + _READ_AT_ONCE, count)))
            total += self.view.apply(some).sum(axis=0, dtype=np.float64)
        return (total / count).astype(np.float32)[None]


def open_grid(path: Path, options: ScanOptions) -> GridFrames:
    """Open the acquisition behind the grid, with the crop, binning and flip of the series.

    Raises
    ------
    InputError
        If there are no frames, or no open beam behind the same grid.
    """
    found = find_frames(path, options)
    flats = found.flats if found.flats is not None else found.flats_after
    if flats is None:
        raise InputError(
            f"{path}: no flats; expected frames of the cell and open-beam frames (flats) behind one grid"
        )
    view = detector_view(found.projections.shape, options, found.projections.label)
    return GridFrames(found.projections, flats, found.darks, view)


def steady_background(grid: GridFrames, correction: Correction) -> SteadyBackground:
    """Measure the background with what the correction knows of detector and air."""
    measured = BlackBodyFrames(grid, grid.angles).background(correction)
    return SteadyBackground(measured.of_view(0), measured.open_beam)
