"""Values to colours, without a window system."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
MISSING = (120, 120, 120, 255)


def colored(
    values: NDArray[Any],
    colors: str,
    limits: tuple[float, float],
    *,
    hidden: NDArray[np.bool_] | None = None,
) -> Pixels:
    """Colour a plane.

    Parameters
    ----------
    values : (row, column) array
    colors : str
        A colour map of matplotlib.
    limits : tuple of 2 floats
        Values at its ends.
    hidden : (row, column) bool array, optional
        Shown as the middle of the colour map.

    Returns
    -------
    (row, column, 4) uint8 array
        RGBA; grey where there is no value.
    """
    table = _table(colors)
    low, high = limits
    place = np.nan_to_num((np.asarray(values, np.float32) - low) / (high - low)) * (len(table) - 1)
    index = np.clip(np.rint(place), 0, len(table) - 1).astype(np.intp)
    if hidden is not None:
        index[hidden] = len(table) // 2
    pixels: Pixels = table[index]
    pixels[~np.isfinite(values)] = MISSING
    return pixels


def outlined(
    pixels: Pixels, labels: NDArray[np.integer[Any]], color: tuple[int, int, int] = (0, 0, 0)
) -> Pixels:
    """Draw the boundaries between labels over a picture of the same size."""
    drawn = pixels.copy()
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    drawn[edge, :3] = color
    return drawn


@lru_cache
def _table(colors: str) -> Pixels:
    from matplotlib import colormaps

    table: Pixels = (255 * colormaps[colors](np.linspace(0, 1, 256))).round().astype(np.uint8)
    return table
