"""Rays without weight, where a method cannot leave them out."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, to_host

Array = NDArray[np.float32]


def bridge_silent_rays(line_integrals: Array, weights: Array | None) -> Array:
    """Replace rays without weight by what lies beside them in their row: filtering would spread them.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
    weights : array of the same shape, optional
        Zero for a ray that says nothing; all say something by default.

    Returns
    -------
    (angle, row, column) array
        The same one where every ray has weight. Rows without any such ray stay as they are.
    """
    if weights is None or bool((weights > 0).all()):
        return line_integrals
    filled, heard = to_host(line_integrals).copy(), to_host(weights > 0)
    columns = np.arange(filled.shape[2])
    for view, row in np.argwhere(~heard.all(axis=2) & heard.any(axis=2)):
        told = heard[view, row]
        filled[view, row] = np.interp(columns, columns[told], filled[view, row, told])
    bridged: Array = array_module(line_integrals).asarray(filled)
    return bridged
