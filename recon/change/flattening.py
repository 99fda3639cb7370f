"""A volume laid flat along a layer: (depth, y, x) instead of (z, y, x)."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import Layer
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Array = NDArray[np.float32]
Index = NDArray[np.intp]


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
    voxel = layer.voxel_size_mm
    y, x = (np.arange(size) * voxel for size in slab.shape[1:])
    lines, columns = np.nonzero(
        np.hypot(y[:, None] - layer.axis_mm[0], x[None, :] - layer.axis_mm[1]) < layer.radius_mm
    )
    near, cosine = layer.near.height_mm(y[lines], x[columns]), layer.near.normal_cosine(y[lines], x[columns])
    for plane, depth in zip(found, depths, strict=True):
        place = (near + layer.side * depth / cosine) / voxel - first_row
        plane[lines, columns] = _read(slab, place, lines, columns)
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


def _read(slab: NDArray[np.floating], place: Float, lines: Index, columns: Index) -> Array:
    """Read a volume at one place between its rows in every given column; NaN beyond them."""
    below = np.floor(place).astype(np.int64)
    share = (place - below).astype(np.float32)
    known = (below >= 0) & (below + 1 < len(slab))
    low = np.clip(below, 0, max(len(slab) - 2, 0))
    first, second = (slab[np.minimum(low + k, len(slab) - 1), lines, columns] for k in (0, 1))
    return np.where(known, first + share * (second - first), np.nan).astype(np.float32)
