"""Weights on the reference grid that say which parts of the cell a registration may look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.errors import InputError
from deltamu.recon.volumes.planes import PlanesOnDemand

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class BoxedWeights(PlanesOnDemand):
    """Weights that are 0 outside a box, without the memory of what is outside.

    Attributes
    ----------
    grid : (z, y, x)
    box : tuple of 3 slices
    inside : (z, y, x) float32 array
        Weights in the box.
    """

    grid: tuple[int, int, int]
    box: Box
    inside: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the whole grid."""
        return self.grid

    def planes(self, begin: int, end: int) -> Array:
        """Planes of the whole grid."""
        found = np.zeros((end - begin, *self.grid[1:]), np.float32)
        low, high = max(begin, self.box[0].start), min(end, self.box[0].stop)
        if high > low:
            first = self.box[0].start
            found[low - begin : high - begin, self.box[1], self.box[2]] = self.inside[
                low - first : high - first
            ]
        return found


def layer_mask(
    stack: LayerStack, names: Sequence[str], shape: tuple[int, int, int], **distances: float | None
) -> Array:
    """Weight the voxels of layers that do not change, as an array; see `boxed_layer_mask`.

    Returns
    -------
    (z, y, x) float32 array
        0 to 1.
    """
    return boxed_layer_mask(stack, names, shape, **distances)[:]


def boxed_layer_mask(
    stack: LayerStack,
    names: Sequence[str],
    shape: tuple[int, int, int],
    *,
    margin_mm: float | None = None,
    rim_mm: float | None = None,
    beyond_mm: float | None = None,
    taper_mm: float | None = None,
) -> BoxedWeights:
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
    BoxedWeights
        (z, y, x), 0 to 1.

    Raises
    ------
    InputError
        If a name is not in the stack, or nothing is left.
    """
    voxel = stack.voxel_size_mm
    margin = 2 * voxel if margin_mm is None else margin_mm
    beyond = 6 * voxel if beyond_mm is None else beyond_mm
    taper = voxel if taper_mm is None else taper_mm
    reach = stack.radius_mm + (3 * voxel if rim_mm is None else rim_mm)
    across = _disc_box(stack, reach + taper, shape)
    y, x = (np.arange(part.start, part.stop) * voxel for part in across)
    y, x = y[:, None], x[None, :]
    lateral = _ramp(reach - np.hypot(y - stack.axis_mm[0], x - stack.axis_mm[1]), taper)
    runs = []
    for first, last in _runs(stack, names):
        low = stack.surfaces[first].height_mm(y, x) * stack.direction
        high = stack.surfaces[last].height_mm(y, x) * stack.direction
        low += -beyond if first == 0 else margin
        high -= -beyond if last == len(stack.order) else margin
        runs.append(_Run(low, high, lateral, taper))
    found = _boxed(runs, stack, shape, across)
    if not found.inside.any():
        raise InputError(
            f"mask: nothing left of {', '.join(names)} after a margin of {margin:.3f} mm; try a smaller one"
        )
    return found


@dataclass(frozen=True, eq=False)
class _Run:
    """Neighbouring layers between two faces, heights along the stack's direction."""

    low: Float
    high: Float
    lateral: Float
    taper: float

    @property
    def ends(self) -> tuple[float, float]:
        """Heights beyond which all weights are 0."""
        return float(self.low.min() - self.taper), float(self.high.max() + self.taper)

    def plane(self, along: float) -> Array:
        """Weights (y, x) of the plane at a height."""
        inside = np.minimum(_ramp(along - self.low, self.taper), _ramp(self.high - along, self.taper))
        return (inside * self.lateral).astype(np.float32)


def _boxed(
    runs: Sequence[_Run], stack: LayerStack, shape: tuple[int, int, int], across: tuple[slice, slice]
) -> BoxedWeights:
    """Fill the rows that any of the runs reaches."""
    along = np.arange(shape[0]) * stack.voxel_size_mm * stack.direction
    reached = np.zeros(shape[0], bool)
    for run in runs:
        reached |= (along >= run.ends[0]) & (along <= run.ends[1])
    rows = np.flatnonzero(reached)
    box = (slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0), *across)
    inside = np.zeros(tuple(part.stop - part.start for part in box), np.float32)
    for row in rows:
        plane = inside[row - box[0].start]
        for run in runs:
            np.maximum(plane, run.plane(along[row]), out=plane)
    return BoxedWeights(shape, box, inside)


def _disc_box(stack: LayerStack, reach_mm: float, shape: tuple[int, int, int]) -> tuple[slice, slice]:
    """Rows and columns (y, x) of a slice that hold a disc about the axis."""
    y, x = (
        slice(
            *np.clip(
                [
                    int((axis - reach_mm) / stack.voxel_size_mm),
                    int((axis + reach_mm) / stack.voxel_size_mm) + 2,
                ],
                0,
                size,
            ).tolist()
        )
        for axis, size in zip(stack.axis_mm, shape[1:], strict=True)
    )
    return y, x


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
