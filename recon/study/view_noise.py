"""Noise of the line integrals of a state, for the views and the part of the detector that read-outs need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.consistency import moment_consistency
from deltamu.recon.preprocess.correction import line_integral_variance, open_beam_variance
from deltamu.recon.solvers.line_noise import LineNoise
from deltamu.recon.solvers.readout_weights import ReadoutRays
from deltamu.recon.study.frames_to_rows import FRAMES_PER_FILE
from deltamu.recon.study.from_scans import ScannedState, frame_facts
from deltamu.recon.study.hardened_rows import linear_rows
from deltamu.recon.study.line_integral_files import line_integral_files
from deltamu.recon.study.run_context import RunContext

Array = NDArray[np.float32]


def line_noise(
    context: RunContext, state: ScannedState, rays: ReadoutRays, rows: tuple[int, int]
) -> LineNoise:
    """Noise of some rows of a state in the views and columns of `rays`.

    Counting as the frames have it: what filters of spots and stripes, the removal of the tail of the line spread and
    the averaging of starved pixels change of it is not in it.
    """
    seen, kept = _seen_rows(context, state, rays.views, rows), slice(*rows)
    dose = np.asarray(frame_facts(context, state)["dose"])[rays.views]
    variance = line_integral_variance(seen, dose, state.correction, rows=kept, views=rays.views)
    slope = linear_rows(context, state, _stored(context, state), seen, first=rows[0], views=rays.views)[1]

    def by_row(values: Array) -> Array:
        return np.ascontiguousarray(values[:, :, rays.columns].transpose(1, 0, 2), np.float32)

    counts, gain = (
        np.sqrt(open_beam_variance(state.correction, part=part)[kept, rays.columns])
        for part in ("counts", "gain")
    )
    return LineNoise(
        rows[0], rays.first_column, by_row(np.sqrt(variance)), counts, gain, None if slope is None else by_row(slope),
        rays.share, state.correction.noise.autocorrelation,
    )  # fmt: skip


def _seen_rows(
    context: RunContext, state: ScannedState, views: NDArray[np.intp], rows: tuple[int, int]
) -> Array:
    """Line integrals of some rows as they were corrected, in some views; a file of views is read at a time."""
    stored = _stored(context, state)
    found = np.empty((views.size, rows[1] - rows[0], stored.shape[2]), np.float32)
    for first in range(0, stored.shape[0], FRAMES_PER_FILE):
        here = np.flatnonzero((views >= first) & (views < first + FRAMES_PER_FILE))
        if here.size:
            found[here] = stored[first : first + FRAMES_PER_FILE, slice(*rows), :][views[here] - first]
    if context.study.preprocess.level_views:
        excess = moment_consistency(frame_facts(context, state)["mean"]).excess
        found -= excess[views, None, None].astype(np.float32)
    return found


def _stored(context: RunContext, state: ScannedState) -> Any:
    return line_integral_files(context, state.name, state.scan, state.correction, state.settings)
