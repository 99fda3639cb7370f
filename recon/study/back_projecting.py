"""Slices of a state from its views, or from some of them: by rows where every row is a slice, else by geometry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.fbp_gpu import fbp_on_gpus
from deltamu.recon.study.aligning import aligned_fbp, part_of
from deltamu.recon.study.from_scans import ScannedState, fbp_options, read_line_integrals
from deltamu.recon.study.progress import stop_if_asked
from deltamu.recon.study.run_context import RunContext

Array = NDArray[np.float32]
ALL_VIEWS = slice(None)


@dataclass
class SeenRows:
    """Line integrals (angle, row, column) of the detector rows that show some slices.

    Attributes
    ----------
    low : int
        Detector row of the first of them.
    first, stop : int
        Slices.
    """

    line_integrals: Array
    low: int
    first: int
    stop: int


def seen_range(state: ScannedState, first: int, stop: int) -> tuple[int, int]:
    """Detector rows, first and one after the last, that show the slices first to stop − 1."""
    reach = 0 if state.alignment.is_trivial else state.alignment.reach(state.scan.shape[2])
    return max(first - reach, 0), min(stop + reach, state.scan.shape[1])


def read_seen_rows(context: RunContext, state: ScannedState, first: int, stop: int) -> SeenRows:
    """Read what shows the slices first to stop − 1."""
    low, high = seen_range(state, first, stop)
    return SeenRows(read_line_integrals(context, state, low, high), low, first, stop)


def back_project(
    context: RunContext, state: ScannedState, seen: SeenRows, *, views: slice = ALL_VIEWS
) -> Array:
    """Reconstruct slices by filtered back-projection of all views or some; (z, y, x) cm⁻¹."""
    rows, angles = np.ascontiguousarray(seen.line_integrals[views]), state.scan.angles[views]
    options = {**fbp_options(context, state), "padding": context.study.reconstruction.padding}
    if not state.alignment.is_trivial:
        return aligned_fbp(
            rows, angles, part_of(state.alignment, views), low=seen.low, first=seen.first, stop=seen.stop,
            center_row=(state.scan.shape[1] - 1) / 2, progress=cancelling(context), **options,
        )  # fmt: skip
    method = fbp_on_gpus if context.plan.device == "gpu" and views == ALL_VIEWS else fbp
    return method(rows, angles, progress=cancelling(context), **options)


def cancelling(context: RunContext) -> Callable[[int, int], None]:
    """Let a solver be stopped between its steps."""
    return lambda done, most: stop_if_asked(context.cancel)
