"""Weights on the reference grid that say which parts of the cell a registration may look at."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


def layer_mask(
    stack: LayerStack,
    names: Sequence[str],
    shape: tuple[int, int, int],
    *,
    margin_mm: float | None = None,
    rim_mm: float | None = None,
    beyond_mm: float | None = None,
    taper_mm: float | None = None,
) -> NDArray[np.float32]:
    """Weight the voxels of layers that do not change, with their rim and their far ends.

    Parameters
    ----------
    names : sequence of str
        Unchanging layers, such as the separator and the collector at the cathode.
    margin_mm : float, optional
        Distance kept from the surfaces to layers that are not named; two voxels when not given. A surface
        between two named layers is inside the mask.
    rim_mm : float, optional
        How far the mask reaches beyond the pellet's radius; three voxels when not given, so that the rim and
        the blind holes hold the rotation and the lateral position.
    beyond_mm : float, optional
        How far it reaches beyond the outer face of the first or last layer of the stack, when that is
        named; six voxels when not given: that step fixes the position along the axis.
    taper_mm : float, optional
        Width over which weights fall to 0; one voxel when not given.

    Returns
    -------
    (z, y, x) float32 array
        0 to 1.

    Raises
    ------
    InputError
        If a name is not in the stack, or nothing is left.
    """
    voxel = stack.voxel_size_mm
    margin = 2 * voxel if margin_mm is None else margin_mm
    beyond = 6 * voxel if beyond_mm is None else beyond_mm
    taper = voxel if taper_mm is None else taper_mm
    z = (np.arange(shape[0]) * voxel)[:, None, None]
    y, x = np.arange(shape[1])[:, None] * voxel, np.arange(shape[2])[None, :] * voxel
    reach = stack.radius_mm + (3 * voxel if rim_mm is None else rim_mm)
    lateral = _ramp(reach - np.hypot(y - stack.axis_mm[0], x - stack.axis_mm[1]), taper)
    mask = np.zeros(shape, np.float32)
    for first, last in _runs(stack, names):
        low = stack.surfaces[first].height_mm(y, x) * stack.direction
        high = stack.surfaces[last].height_mm(y, x) * stack.direction
        low += -beyond if first == 0 else margin
        high -= -beyond if last == len(stack.order) else margin
        for row in range(shape[0]):
            along = z[row] * stack.direction
            inside = np.minimum(_ramp(along - low, taper), _ramp(high - along, taper))
            mask[row] = np.maximum(mask[row], (inside * lateral).astype(np.float32))
    if not mask.any():
        raise InputError(
            f"mask: nothing left of {', '.join(names)} after a margin of {margin:.3f} mm; try a smaller one"
        )
    return mask


def _ramp(distance: Float, taper: float) -> Float:
    ramp: Float = np.clip(distance / taper + 0.5, 0.0, 1.0)
    return ramp


def _runs(stack: LayerStack, names: Sequence[str]) -> list[tuple[int, int]]:
    """First and last surface of every run of named neighbours."""
    indices = sorted(stack[name].label - 1 for name in names)
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
