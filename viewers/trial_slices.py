"""Trial slices of a scan: what centre, tilt, spots, stripes and filter do, before hours are spent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.preprocess.center import CenterResult, find_center
from deltamu.recon.preprocess.correction import correct_frames
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.preprocess.stripes import remove_stripes
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.fbp import fbp

Array = NDArray[np.float32]
ROWS = 48
FRAMES_PER_BLOCK = 32


@dataclass(frozen=True)
class TrialOptions:
    """How a trial slice is made.

    Attributes
    ----------
    center : float
        Pixels, at the middle row.
    tilt_deg : float
        Roll of the axis in the image, positive when the centre grows with the row.
    spots, stripes : bool
        Whether they are removed.
    filter : str
    """

    center: float
    tilt_deg: float = 0.0
    spots: bool = True
    stripes: bool = False
    filter: str = "hann"


class TrialSlices:
    """Rows of a scan spread over its height, corrected once, reconstructed as often as asked.

    Parameters
    ----------
    scan : Scan
    cancel : callable, optional
        Asked between blocks of frames.

    Raises
    ------
    InputError
        If the scan cannot be corrected.
    """

    def __init__(self, scan: Scan, *, cancel: Callable[[], bool] = lambda: False) -> None:
        self.scan = scan
        self.pixel_size_mm = scan.pixel_size_mm or 1.0
        self.rows = np.unique(np.linspace(0, scan.shape[1] - 1, ROWS).round().astype(int))
        self._cancel = cancel
        self._line_integrals = {True: self._corrected(spots=True)}

    def find_center(self) -> CenterResult:
        """Centre and tilt as the estimators find them, with their spread."""
        return find_center(self._line_integrals[True], self.scan.angles, rows=self.rows)

    def slice(self, index: int, options: TrialOptions) -> Array:
        """Reconstruct one of the rows.

        Parameters
        ----------
        index : int
            Into `rows`.

        Returns
        -------
        (y, x) array
            cm⁻¹; per pixel × 10 where the scan does not state its pixel size.
        """
        if not 0 <= index < self.rows.size:
            raise InputError(f"row: found {index}, expected 0 to {self.rows.size - 1}")
        if options.spots not in self._line_integrals:
            self._line_integrals[options.spots] = self._corrected(spots=options.spots)
        sinogram = np.ascontiguousarray(self._line_integrals[options.spots][:, index : index + 1])
        if options.stripes:
            sinogram = remove_stripes(sinogram, mode="on")
        middle = 0.5 * (self.scan.shape[2] - 1)
        volume: Array = fbp(
            shifted(sinogram, middle - self.center_of_row(index, options)), self.scan.angles, center=middle,
            pixel_size_mm=self.pixel_size_mm, filter=options.filter,
        )  # fmt: skip
        result: Array = volume[0]
        return result

    def center_of_row(self, index: int, options: TrialOptions) -> float:
        """Column of the axis at a row, from the centre at the middle row and the tilt."""
        middle = 0.5 * (self.scan.shape[1] - 1)
        return float(options.center + np.tan(np.radians(options.tilt_deg)) * (self.rows[index] - middle))

    def _corrected(self, *, spots: bool) -> Array:
        """Line integrals of the rows, (angle, row, column), a block of frames at a time."""
        correction = prepare_correction(self.scan, spots=spots)
        views, _, columns = self.scan.shape
        found = np.empty((views, self.rows.size, columns), np.float32)
        for first in range(0, views, FRAMES_PER_BLOCK):
            if self._cancel():
                raise Cancelled("stopped before the scan was read")
            stop = min(first + FRAMES_PER_BLOCK, views)
            frames: Any = correct_frames(self.scan.read(first, stop), correction, first_view=first)
            found[first:stop] = frames.line_integrals[:, self.rows]
        return found


def shifted(sinogram: Array, columns: float) -> Array:
    """Move every line along the columns by a part of a pixel, zero moving in from outside.

    So that all trial centres share one geometry, whose weights are worked out once.
    """
    length = sinogram.shape[2]
    padded = 2 * length
    spectrum = np.fft.rfft(sinogram, padded, axis=2)
    phase = np.exp(-2j * np.pi * columns * np.fft.rfftfreq(padded))
    moved = np.fft.irfft(spectrum * phase, padded, axis=2)[:, :, :length]
    return np.ascontiguousarray(moved, np.float32)
