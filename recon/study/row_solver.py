"""Rows of one scan by any method, with the weights that its counts give to its rays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.correction import Correction, line_integral_variance
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.iterate import Course
from deltamu.recon.solvers.method import Method
from deltamu.recon.solvers.methods import reconstruct, stopped_early

Array = NDArray[np.float32]
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class RowSolver:
    """How rows of a scan become slices.

    Attributes
    ----------
    method : Method
    angles : (angle,) array
        Radians.
    center : float
        Pixels.
    pixel_size_mm : float
    correction : Correction
    dose : (angle,) array
        Of every view, as the correction found it.
    first_row : int
        Row of the detector that row 0 is.
    courses : list of Course
        How the iterations of every block went so far.
    """

    method: Method
    angles: NDArray[np.floating]
    center: float
    pixel_size_mm: float
    correction: Correction
    dose: NDArray[np.float64]
    first_row: int = 0
    courses: list[Course] = field(default_factory=list)

    @property
    def halo(self) -> int:
        """Rows on either side that a slice depends on."""
        return self.method.halo

    def solve(self, rows: Array, first: int, keep: slice, out: Array, tell: Tell) -> None:
        """Reconstruct rows of which the first is `first`, and write those of `keep` to `out`.

        Parameters
        ----------
        rows : (angle, row, column) array
        first : int
        keep : slice
            Of the rows.
        out : (kept row, column, column) array
        tell : callable
            Called with (steps done, at most); it may raise to cancel.
        """
        place: dict[str, Any] = {"center": self.center, "pixel_size_mm": self.pixel_size_mm}
        method = self.method
        if method.noise_is_known:
            fbp(
                rows, self.angles, filter=method.filter, cutoff=method.cutoff, padding=method.padding, out=out, **place
            )  # fmt: skip
            return
        out[:] = reconstruct(
            rows, self.angles, method, weights=self._weights(rows, first), noise=open_beam_noise(self.correction),
            progress=tell, record=self.courses.append, **place,
        )[keep]  # fmt: skip

    @property
    def warning(self) -> str | None:
        """A sentence where iterations ended before they were done; None where none did."""
        told = (stopped_early(self.method, course) for course in self.courses)
        return next((text for text in told if text), None)

    def _weights(self, rows: Array, first: int) -> Array | None:
        if not self.method.weighs_rays:
            return None
        begin = self.first_row + first
        variance = line_integral_variance(
            rows, self.dose, self.correction, rows=slice(begin, begin + rows.shape[1])
        )
        return ray_weights(variance, self.correction)
