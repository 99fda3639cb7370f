"""Line integrals of a scan: corrected by frames, read by detector rows, in memory or on disk."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import thread_count, to_host
from deltamu.recon.preprocess.correction import Correction, correct_frames, open_beam_variance
from deltamu.recon.preprocess.moments import MomentSums
from deltamu.recon.preprocess.stripes import stripe_scores
from deltamu.recon.preprocess.transmission import starved_per_row
from deltamu.recon.scans.scan import Scan
from deltamu.recon.volumes.blocks import BlockArray, write_block

Array = NDArray[np.float32]
Rows = NDArray[np.integer[Any]]
# frames and rows of a file of line integrals
FRAMES_PER_FILE = 32
ROWS_PER_FILE = 32
# rows that are searched for stripes at a time, at least, and those beside them that scores need
LEAST_SCORED = 8
SCORE_NEIGHBOURS = 4
# rows that the centre of rotation is searched in
CENTER_ROWS = 48
# frames that are corrected together: enough for every thread, and small enough to stay in memory that is reused
CORRECTED_BYTES = 1 << 25


class Stack(Protocol):
    """Line integrals (angle, row, column): an array, or one on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(angle, row, column)."""

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part."""


@dataclass(frozen=True)
class CorrectedViews:
    """Consecutive views of a scan.

    Attributes
    ----------
    line_integrals : (n, row, column) float32 array
    dose, spots_fraction : (n,) float64 arrays
    starved_per_row : (row,) int64 array
        Starved pixels, summed over views and columns.
    """

    line_integrals: Array
    dose: NDArray[np.float64]
    spots_fraction: NDArray[np.float64]
    starved_per_row: NDArray[np.int64]


def frames_together(frame_pixels: int, threads: int) -> int:
    """Frames that are corrected together; the result does not depend on it."""
    return min(max(CORRECTED_BYTES // (4 * frame_pixels), threads, 1), FRAMES_PER_FILE)


def correct_views(
    scan: Scan, correction: Correction, first: int, stop: int, *, device: str = "cpu"
) -> CorrectedViews:
    """Correct views first to stop − 1, the next frames being read while the last ones are corrected.

    On the device "cpu" or "gpu"; what it returns is on the host.
    """
    _, rows, columns = scan.shape
    views = CorrectedViews(
        np.empty((stop - first, rows, columns), np.float32), np.empty(stop - first), np.empty(stop - first),
        np.zeros(rows, np.int64),
    )  # fmt: skip
    for begin, raw in _read_ahead(scan, first, stop, frames_together(rows * columns, thread_count())):
        frames = raw if device == "cpu" else import_module("cupy").asarray(raw)
        found = correct_frames(frames, correction, first_view=begin)
        part = slice(begin - first, begin - first + len(raw))
        views.line_integrals[part] = to_host(found.line_integrals)
        views.dose[part], views.spots_fraction[part] = found.dose, found.spots_fraction
        views.starved_per_row[:] += starved_per_row(found)
        # the next frames are not to wait for their memory beside these
        del raw, frames, found
    return views


def _read_ahead(scan: Scan, first: int, stop: int, step: int) -> Iterator[tuple[int, Array]]:
    """Yield (first view, frames), one block being read in a thread of its own while the last one is in use."""
    starts = range(first, stop, step)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(scan.read, first, min(first + step, stop))
        for start in starts:
            frames = [coming.result()]
            if start + step < stop:
                coming = reader.submit(scan.read, start + step, min(start + 2 * step, stop))
            # handed over, so that they go when they are done with
            yield start, frames.pop()


def correct_scan(
    scan: Scan,
    correction: Correction,
    stack: Array | BlockArray | MomentSums,
    *,
    rows: slice,
    picked: Rows,
    dose: NDArray[np.float64] | None = None,
    progress: Callable[[str, str, int, int], None] | None = None,
) -> Array:
    """Correct all views into a stack and return some of the rows.

    Parameters
    ----------
    scan : Scan
    correction : Correction
    stack : (angle, row, column) float32 array or BlockArray of blocks of 32 views
        Receives the line integrals of `rows`; without any row nothing is kept. Or what sums them up.
    rows : slice
        Detector rows to keep.
    picked : (k,) int array
        Detector rows to return.
    dose : (angle,) float64 array, optional
        Receives the dose of every view.

    Returns
    -------
    (angle, k, column) float32 array
    """
    views, _, columns = scan.shape
    chosen = np.empty((views, picked.size, columns), np.float32)
    for block, first in enumerate(range(0, views, FRAMES_PER_FILE)):
        stop = min(first + FRAMES_PER_FILE, views)
        corrected = correct_views(scan, correction, first, stop)
        found = corrected.line_integrals
        if dose is not None:
            dose[first:stop] = corrected.dose
        chosen[first:stop] = found[:, picked]
        if isinstance(stack, BlockArray):
            write_block(stack, block, found[:, rows])
        else:
            stack[first:stop] = found[:, rows]
        del found, corrected
        if progress:
            progress("preprocess", "", stop, views)
    return chosen


def mean_projection(stack: Stack) -> NDArray[np.float64]:
    """Mean of the line integrals over the angles, (row, column)."""
    views = stack.shape[0]
    total = np.zeros(stack.shape[1:])
    for first in range(0, views, FRAMES_PER_FILE):
        total += np.asarray(stack[first : first + FRAMES_PER_FILE]).sum(axis=0, dtype=np.float64)
    return total / views


def pick_rows(stack: BlockArray, rows: Rows) -> Array:
    """Read rows in ascending order, each file once; (angle, k, column)."""
    views, _, columns = stack.shape
    picked = np.empty((views, rows.size, columns), np.float32)
    height = stack.file_shape[1]
    for band in np.unique(rows // height):
        (here,) = np.nonzero(rows // height == band)
        first, last = int(rows[here[0]]), int(rows[here[-1]])
        picked[:, here] = stack[:, first : last + 1, :][:, rows[here] - first]
    return picked


def stack_stripe_scores(stack: Stack, correction: Correction, *, rows: slice, step: int) -> Array:
    """Scores of `stripe_scores` for every row of a stack, read some rows at a time with the neighbours they need.

    Parameters
    ----------
    stack : (angle, row, column) array or BlockArray
    correction : Correction
    rows : slice
        Detector rows that the stack holds.
    step : int
        Rows at a time.
    """
    shared = open_beam_variance(correction)[rows]
    total = stack.shape[1]
    parts = []
    reach, together = SCORE_NEIGHBOURS // 2, max(step, LEAST_SCORED)
    for first in range(reach, max(total - reach, reach + 1), together):
        part = slice(first - reach, min(first + together + reach, total))
        parts.append(
            stripe_scores(
                np.ascontiguousarray(stack[:, part, :], np.float32), open_beam_variance=shared[part],
                autocorrelation=correction.noise.autocorrelation,
            )
        )  # fmt: skip
    return np.concatenate(parts)
