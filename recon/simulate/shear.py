"""Small rotations and shifts of a view in the plane of the detector, by two shears with cubic weights."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Float = NDArray[np.float64]

REACH = 3


def shear_columns(image: Array, shift: Float) -> Array:
    """Shift every row by its own number of columns: result[r, c] = image[r, c + shift[r]]; edges repeat."""
    padded = np.pad(image, ((0, 0), (REACH, REACH)), mode="edge")
    width = image.shape[1]
    weights = _weights(shift)
    result = np.zeros_like(image)
    for tap in range(2 * REACH + 1):
        result += weights[tap][:, None] * padded[:, tap : tap + width]
    return result


def shear_rows(image: Array, shift: Float) -> Array:
    """Shift every column by its own number of rows: result[r, c] = image[r + shift[c], c]; edges repeat."""
    padded = np.pad(image, ((REACH, REACH), (0, 0)), mode="edge")
    height = image.shape[0]
    weights = _weights(shift)
    result = np.zeros_like(image)
    for tap in range(2 * REACH + 1):
        result += weights[tap][None, :] * padded[tap : tap + height]
    return result


def _weights(shift: Float) -> Array:
    """Catmull-Rom weights (tap, line) at shifts of less than REACH − 1."""
    if np.abs(shift).max() > REACH - 1:
        raise ValueError(f"shift: found {np.abs(shift).max():.2f}, expected at most {REACH - 1} lines")
    distance = np.abs(np.arange(-REACH, REACH + 1)[:, None] - shift[None, :])
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0)).astype(np.float32)
