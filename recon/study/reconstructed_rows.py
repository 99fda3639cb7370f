"""A volume that is reconstructed where it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.study.frames_to_rows import Stack
from deltamu.recon.study.progress import Progress
from deltamu.recon.study.row_solver import RowSolver
from deltamu.recon.volumes.planes import PlanesOnDemand

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ReconstructedRows(PlanesOnDemand):
    """Rows of a volume, some reconstructed at a time; what is read does not depend on how it is read.

    Attributes
    ----------
    stack : Stack
        Line integrals (angle, row, column).
    solver : RowSolver
    step : int
        Rows that are reconstructed together.
    gains : (row, column) array or None
        Errors of the pixels' gains, which are taken out of every view.
    progress : Progress
    linear : callable, optional
        Undoes the hardening of rows of which the first is its second argument.
    """

    stack: Stack
    solver: RowSolver
    step: int
    gains: Array | None
    progress: Progress
    linear: Callable[[Array, int], Array] | None = None
    _latest: dict[int, Array] = field(default_factory=dict, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        _, rows, columns = self.stack.shape
        return rows, columns, columns

    def planes(self, begin: int, end: int) -> Array:
        """Reconstruct rows, as many at a time as the step says."""
        found = np.empty((end - begin, *self.shape[1:]), np.float32)
        for first in range(begin // self.step * self.step, end, self.step):
            stop = min(first + self.step, self.shape[0])
            if begin <= first and stop <= end:
                self._reconstruct(first, stop, found[first - begin : stop - begin])
            else:
                low, high = max(begin, first), min(end, stop)
                found[low - begin : high - begin] = self._kept(first, stop)[low - first : high - first]
        return found

    def _kept(self, first: int, stop: int) -> Array:
        """Rows that are read in parts are kept until others are."""
        if first not in self._latest:
            self._latest.clear()
            kept = np.empty((stop - first, *self.shape[1:]), np.float32)
            self._reconstruct(first, stop, kept)
            self._latest[first] = kept
        return self._latest[first]

    def _reconstruct(self, first: int, stop: int, out: Array) -> None:
        total = self.shape[0]
        low, high = max(first - self.solver.halo, 0), min(stop + self.solver.halo, total)
        rows = np.ascontiguousarray(self.stack[:, low:high, :], np.float32)
        if self.gains is not None:
            # what the stack holds stays as it is
            rows = rows - self.gains[low:high]
        if self.linear is not None:
            rows = self.linear(rows, low)

        def tell(done: int, most: int) -> None:
            """Count a row as done in proportion to its steps; the last one when it is written."""
            self.progress("reconstruct", "", min(first + (stop - first) * done // most, stop - 1), total)

        self.solver.solve(rows, low, slice(first - low, stop - low), out, tell)
        self.progress("reconstruct", "", stop, total)
