"""A volume laid flat along a layer: (depth, y, x) instead of (z, y, x)."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import Layer
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Array = NDArray[np.float32]
# lines of y that are computed at a time, to bound the memory
LINES = 128


def flatten(
    slab: NDArray[np.floating], layer: Layer, depth_mm: NDArray[np.floating], *, first_row: int = 0
) -> Array:
    """Read a volume at given depths below the near surface of a layer.

    Parameters
    ----------
    slab : (z, y, x) array
        Rows of a volume from `first_row` on, the full width of its slices.
    layer : Layer
        Depth is measured along the local normal of its near surface, as by `depth_of`.
    depth_mm : (depth,) array

    Returns
    -------
    (depth, y, x) float32 array
        Linear between the rows; NaN outside the pellet and where the slab has no rows.

    Raises
    ------
    InputError
        If the slab is not three-dimensional or a depth is not finite.
    """
    depths = np.asarray(depth_mm, np.float64)
    if slab.ndim != 3 or not np.all(np.isfinite(depths)):
        raise InputError(
            f"flatten: found a slab of {slab.ndim} dimensions; expected (z, y, x) and finite depths"
        )
    found = np.full((depths.size, *slab.shape[1:]), np.nan, np.float32)
    for begin in range(0, slab.shape[1], LINES):
        lines = slice(begin, min(begin + LINES, slab.shape[1]))
        found[:, lines] = _flattened_lines(slab[:, lines], layer, depths, first_row, lines)
    return found


def flattened_rows(layer: Layer, depth_mm: NDArray[np.floating], rows: int) -> tuple[int, int]:
    """First row of a volume that the given depths touch inside the pellet, and the one after the last."""
    angle = np.linspace(0, 2 * np.pi, 64)
    y = layer.axis_mm[0] + layer.radius_mm * np.append(0.0, np.sin(angle))
    x = layer.axis_mm[1] + layer.radius_mm * np.append(0.0, np.cos(angle))
    height = _heights(layer, np.asarray(depth_mm, np.float64), y, x) / layer.voxel_size_mm
    first, stop = int(np.floor(height.min())) - 1, int(np.ceil(height.max())) + 2
    return min(max(first, 0), rows), max(min(stop, rows), 0)


def _heights(layer: Layer, depths: Float, y: Float, x: Float) -> Float:
    """Return z of points at given depths, (depth, …) mm."""
    near, cosine = layer.near.height_mm(y, x), layer.near.normal_cosine(y, x)
    return np.asarray(near + layer.side * depths.reshape(-1, *[1] * near.ndim) / cosine)


def _flattened_lines(
    part: NDArray[np.floating], layer: Layer, depths: Float, first_row: int, lines: slice
) -> Array:
    voxel = layer.voxel_size_mm
    y = np.arange(lines.start, lines.stop)[:, None] * voxel
    x = np.arange(part.shape[2])[None, :] * voxel
    place = _heights(layer, depths, *np.broadcast_arrays(y, x)) / voxel - first_row
    below = np.floor(place).astype(np.int64)
    share = (place - below).astype(np.float32)
    known = (below >= 0) & (below + 1 < len(part))
    known &= np.hypot(y - layer.axis_mm[0], x - layer.axis_mm[1]) < layer.radius_mm
    low = np.clip(below, 0, max(len(part) - 2, 0))
    values = [np.take_along_axis(part, np.minimum(low + k, len(part) - 1), axis=0) for k in (0, 1)]
    return np.where(known, values[0] + share * (values[1] - values[0]), np.nan).astype(np.float32)
