"""Ends of the colour scales, from little data."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.canvas import round_up

LARGEST_SAMPLE = 1 << 22


def sample(levels: tuple[Any, ...]) -> NDArray[Any]:
    """Finite values of the coarsest level, or of the middle of it where it is large."""
    coarsest = levels[-1]
    rows = max(1, LARGEST_SAMPLE // max(1, coarsest.size // coarsest.shape[0]))
    first = max(0, (coarsest.shape[0] - rows) // 2)
    values = np.asarray(coarsest[first : first + rows])
    result: NDArray[Any] = values[np.isfinite(values)]
    return result


def grey_limits(levels: tuple[Any, ...]) -> tuple[float, float]:
    """Black at zero, or below it where the values are; white at what all but the brightest reach."""
    values = sample(levels)
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, (0.5, 98)))
    low = 0.0 if 0 < low < 0.5 * high or -0.2 * high < low < 0 else low
    return (low, high) if high > low else (low, low + 1.0)


def white_inside(levels: tuple[Any, ...], inside: NDArray[np.bool_]) -> float:
    """White of a grey scale that shows what lies inside a mask of the coarsest level; 0 where nothing does."""
    values = np.asarray(levels[-1])[inside]
    values = values[np.isfinite(values)]
    return round_up(max(1.1 * float(np.percentile(values, 99)), 1e-6)) if values.size else 0.0


def symmetric_limits(images: Iterable[tuple[Any, ...]], *, least: float = 0.0) -> tuple[float, float]:
    """Limits about zero that hold for several images together.

    Parameters
    ----------
    images : iterable of pyramids
    least : float
        The scale reaches at least this far, so that noise does not look like a change.
    """
    largest = least
    for levels in images:
        values = sample(levels)
        if values.size:
            largest = max(largest, float(np.percentile(np.abs(values), 99.5)))
    limit = round_up(largest) if largest > 0 else 1.0
    return -limit, limit
