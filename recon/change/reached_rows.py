"""Rows of the reference that the blur of starved detector rows reaches: their noise is not known.

In a starved row the logarithm of a few counts is biased and has no Gaussian scatter. The blur mixes such rows
with their neighbours before the logarithm, which depends on direction where layers are tilted: streaks that no
propagation of counting noise foresees.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.resampling import slab_affine
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform

Mask = NDArray[np.bool_]
HALF_ROW = 0.5


def reached_voxels(
    starved: Sequence[tuple[Mask, AffineTransform]],
    shape: tuple[int, int, int],
    *,
    reach_mm: float,
    voxel_size_mm: float,
    z_range: tuple[int, int] | None = None,
) -> Mask:
    """Voxels of the reference within reach of a starved row of any of the states.

    Parameters
    ----------
    starved : sequence of ((row,) bool array, AffineTransform)
        Starved detector rows of every state, and its motion (reference to moving coordinates).
    shape : tuple of 3 ints
        Of the reference.
    reach_mm : float
        How far along the axis from its faces a starved row is felt: two widths (FWHM) of the resolution.
    z_range : (start, stop), optional
        Planes of the reference that are wanted; all when not given.

    Returns
    -------
    (z, y, x) bool array

    Raises
    ------
    InputError
        If the reach is negative or the voxel size is not positive.
    """
    if not (reach_mm >= 0 and voxel_size_mm > 0):
        raise InputError(
            f"reach_mm {reach_mm}, voxel_size_mm {voxel_size_mm}: expected no negative reach, positive voxels"
        )
    start, stop = z_range or (0, shape[0])
    found = np.zeros((stop - start, *shape[1:]), bool)
    for rows, transform in starved:
        if rows.any():
            affine = slab_affine(transform, voxel_size_mm, start)
            reach = reach_mm / voxel_size_mm + HALF_ROW
            for z, plane in enumerate(found):
                if _least_distance(rows, affine, z, plane.shape) <= reach:
                    plane |= _distance_to_rows(rows, affine, z, plane.shape) <= reach
    return found


def _least_distance(rows: Mask, affine: NDArray[np.float64], z: int, shape: tuple[int, ...]) -> float:
    """Lower bound of the distances of a plane, from the heights of its corners."""
    to_z, to_y, to_x, offset = affine[0]
    corners = [offset + to_z * z + to_y * y + to_x * x for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)]
    marked = np.flatnonzero(rows)
    # between two marked rows the distance is read linearly, up to half a row below the true one
    apart = np.maximum(min(corners) - marked, marked - max(corners)) - HALF_ROW - 1e-6
    return float(np.maximum(apart, 0).min())


def _distance_to_rows(
    rows: Mask, affine: NDArray[np.float64], z: int, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Distance of the voxels of a plane to the nearest marked row of the moving state, rows."""
    to_z, to_y, to_x, offset = affine[0]
    position = (offset + to_z * z + to_y * np.arange(shape[0]))[:, None] + to_x * np.arange(shape[1])
    index = np.arange(rows.size)
    distance = np.abs(index[:, None] - np.flatnonzero(rows)).min(axis=1)
    # beyond the detector the distance goes on growing
    beyond = np.maximum(np.maximum(-position, position - index[-1]), 0)
    return np.asarray(np.interp(position, index, distance) + beyond)
