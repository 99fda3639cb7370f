"""Forward differences of a volume and their transpose."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module

Array = NDArray[np.float32]


def gradient(volume: Array, *, planar: bool) -> Array:
    """Differences to the next voxel, zero beyond the last.

    Returns
    -------
    (3, z, y, x) float32 array, or (2, z, y, x) when planar
        Along x, y and z, in this order.
    """
    field: Array = array_module(volume).zeros((2 if planar else 3, *volume.shape), np.float32)
    for direction, axis in enumerate((2, 1, 0)[: len(field)]):
        body = _most(axis, slice(None, -1))
        field[direction][body] = np.diff(volume, axis=axis)
    return field


def divergence_transpose(field: Array) -> Array:
    """Transpose of `gradient`: minus the divergence."""
    total: Array = array_module(field).zeros(field.shape[1:], np.float32)
    for direction, axis in enumerate((2, 1, 0)[: len(field)]):
        inside = field[direction][_most(axis, slice(None, -1))]
        total[_most(axis, slice(None, -1))] -= inside
        total[_most(axis, slice(1, None))] += inside
    return total


def _most(axis: int, part: slice) -> tuple[slice, ...]:
    index = [slice(None)] * 3
    index[axis] = part
    return tuple(index)
