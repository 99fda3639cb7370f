"""Dose of a frame, from regions beside the object where only air is in the beam."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float32 = NDArray[np.float32]
Columns = tuple[tuple[int, int], ...]

ROW_BLOCKS = 8
SEED_FRACTION = 64
# five false alarms in a million, over about 1e5 tested values
SIGMAS = 4.5
# the thinnest object worth seeing: 0.4 % of the beam
SMALLEST_STEP = 0.004
MARGIN_COLUMNS = 4
MARGIN_FRACTION = 0.25
SMALLEST_REGION = 3
# columns as bright as this have about the noise of air; fewer values do not tell it
LEAST_BRIGHT, FEWEST_VALUES = 0.5, 200
# a beam may dip or drift, but air is not darker than this against the flats
AIR_LEVELS = (0.6, 1.5)


def find_air_columns(transmission: Float32) -> Columns:
    """Find the columns at either side that the object covers in no view.

    Going inwards from the edge, a column is air while its mean over each block of rows, in every view, equals
    the level at the edge; the region then keeps a margin from the object for blur and for the views between
    these.

    Parameters
    ----------
    transmission : (view, row, column) array
        A few views spread over the scan, before the dose is known.

    Returns
    -------
    tuple of (first, stop)
        None, one or two ranges of columns.
    """
    profiles = _block_profiles(transmission)
    columns = profiles.shape[2]
    seed = max(columns // SEED_FRACTION, SMALLEST_REGION)
    if columns < 4 * seed:
        return ()
    edges = np.stack([profiles[:, :, :seed].mean(axis=(1, 2)), profiles[:, :, -seed:].mean(axis=(1, 2))])
    level = edges.max(axis=0)
    if not (AIR_LEVELS[0] < np.median(level) < AIR_LEVELS[1]):
        return ()
    profiles = profiles / level[:, None, None]
    # the whole height is tested too: it sees weaker objects than a block does
    is_air = _flat_columns(profiles) & _flat_columns(profiles.mean(axis=1, keepdims=True))
    return _edge_regions(is_air)


def check_air_columns(regions: Sequence[Sequence[int]], columns: int) -> Columns:
    """Check regions given by the user.

    Raises
    ------
    InputError
        If a region is empty or leaves the detector.
    """
    checked = []
    for region in regions:
        first, stop = (int(v) for v in region)
        if not 0 <= first < stop <= columns:
            raise InputError(f"air_columns: found [{first}, {stop}], expected 0 <= first < stop <= {columns}")
        checked.append((first, stop))
    if not checked:
        raise InputError('air_columns: empty; expected at least one [first, stop], or dose = "none"')
    return tuple(checked)


def air_dose(frame: Float32, weight: Float32, regions: Columns) -> float:
    """Beam in one frame over the beam in the flats, from its air regions.

    Parameters
    ----------
    frame, weight : (row, column) arrays
        Transmission; and the flat, zero where a pixel does not count (sums of counts are the best estimate).
    """
    signal = sum(float(np.sum(frame[:, a:b] * weight[:, a:b], dtype=np.float64)) for a, b in regions)
    return signal / sum(float(np.sum(weight[:, a:b], dtype=np.float64)) for a, b in regions)


def _block_profiles(transmission: Float32) -> NDArray[np.float64]:
    """Mean over blocks of rows, (view, block, column)."""
    bounds = np.unique(np.linspace(0, transmission.shape[1], ROW_BLOCKS + 1).astype(int))
    blocks = [transmission[:, a:b].mean(axis=1, dtype=np.float64) for a, b in pairwise(bounds)]
    return np.stack(blocks, axis=1)


def _flat_columns(profiles: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Columns that stay at 1 in every view and block, within the noise of a mean of three columns."""
    sigma = _noise_of_bright_columns(profiles)
    padded = np.pad(profiles, ((0, 0), (0, 0), (1, 1)), mode="edge")
    smooth = (padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]) / 3
    # neighbours may correlate fully, so three columns are not taken to be better than one
    deviation = np.abs(smooth - 1)
    return np.asarray(np.all(deviation < max(SMALLEST_STEP, SIGMAS * sigma), axis=(0, 1)))


def _noise_of_bright_columns(profiles: NDArray[np.float64]) -> float:
    """Standard deviation of air, from columns about as bright: behind a dark object there is less noise."""
    bright = profiles.mean(axis=(0, 1)) > LEAST_BRIGHT
    if bright.sum() * profiles[:, :, 0].size < FEWEST_VALUES:
        bright = np.ones_like(bright)
    # an object is curved over columns or changes over views; what both see is noise
    curvature = profiles[:, :, 3:-3] - 0.5 * (profiles[:, :, :-6] + profiles[:, :, 6:])
    inner = bright[3:-3] if bright[3:-3].any() else np.ones(bright.size - 6, bool)
    sigma: float = 1.4826 * float(np.median(np.abs(curvature[:, :, inner]))) / np.sqrt(1.5)
    if len(profiles) > 1:
        change = np.diff(profiles, axis=0)[:, :, bright]
        sigma = min(sigma, 1.4826 * float(np.median(np.abs(change))) / np.sqrt(2))
    return sigma


def _edge_regions(is_air: NDArray[np.bool_]) -> Columns:
    regions = []
    for mirrored, run in ((False, is_air), (True, is_air[::-1])):
        width = int(np.argmin(run)) if not run.all() else len(run)
        if width == len(run):
            # an empty field: everything is air
            return ((0, len(run)),)
        width -= max(MARGIN_COLUMNS, int(np.ceil(MARGIN_FRACTION * width)))
        if width >= SMALLEST_REGION:
            regions.append((len(run) - width, len(run)) if mirrored else (0, width))
    return tuple(regions)
