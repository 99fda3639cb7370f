"""Errors of single pixels' gains: what of the mean over the angles neither the columns nor the rows beside share."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.signal import savgol_filter

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

# columns over which a mean projection is a parabola; narrower leaves less of the rings, wider takes more of an edge
WINDOW = 21
DEGREE = 2
# rows on one side that tell what an edge of the sample has in common with its neighbours
ROWS = 5
# standard errors of their mean from which it is an edge
EDGE_SIGMAS = 3.0


def gain_pattern(mean_projection: NDArray[np.floating], *, window: int = WINDOW) -> Float32:
    """Find the errors of the pixels in the mean of a scan's line integrals over the angles.

    A gain that has drifted since the open beam adds the same to a pixel in every view. The sample's mean projection is
    smooth over the columns (a parabola is fitted around each), except at rims on the axis of rotation, which go on in
    the rows above or below: those are left to the sample.

    Parameters
    ----------
    mean_projection : (row, column) array
        Of all rows of the detector that are to be treated; what is found depends on the rows beside.
    window : int
        Columns, odd.

    Returns
    -------
    (row, column) float32 array
        To be subtracted from every view.

    References
    ----------
    M. Boin, A. Haibel, Optics Express 14 (2006) 12071, for the mean over the angles; here with a local parabola and
    the comparison of rows.
    """
    mean = np.asarray(mean_projection, np.float64)
    width = min(window, mean.shape[1] - 1 + mean.shape[1] % 2)
    if width <= DEGREE + 1:
        return np.zeros(mean.shape, np.float32)
    detail = mean - savgol_filter(mean, width, DEGREE, axis=1, mode="interp")
    return np.asarray(detail - _edges(detail), np.float32)


def _edges(detail: Float) -> Float:
    """What the rows above or below have in common with each row, where it is more than noise."""
    if len(detail) < 2 * ROWS + 1:
        return np.zeros_like(detail)
    limit = EDGE_SIGMAS * 1.4826 * float(np.median(np.abs(detail))) / np.sqrt(ROWS)
    taps = np.zeros(2 * ROWS + 1)
    taps[:ROWS] = 1 / ROWS
    sides = [correlate1d(detail, side, axis=0, mode="reflect") for side in (taps, taps[::-1])]
    above, below = (np.where(np.abs(side) > limit, side, 0.0) for side in sides)
    closer = np.abs(detail - above) < np.abs(detail - below)
    return np.where(closer, above, below)
