"""The parts of the reference that do not change between the states: where registrations look."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.masks import BoxedWeights, boxed_layer_mask
from deltamu.recon.study.comparison import layer_settings
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.volumes.planes import PlanesOnDemand

Array = NDArray[np.float32]
# rows beside the layer that may be starved, in which the housing shows streaks
STREAK_VOXELS = 8
# distance of the mask from layers that change: blur, smoothing and the gradient's neighbours reach this far
MASK_MARGIN_VOXELS = 4


@dataclass(frozen=True)
class HeldParts:
    """The parts of the reference that are held still, made once when the first registration needs them."""

    context: RunContext
    stack: LayerStack

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Layers of the mask: by default the separator, and the collector at the cathode with what lies behind it.

        The far end of the collector is the one sharp step along the axis that no state changes.
        """
        layers = layer_settings(self.context)
        return self.context.study.registration.mask or (layers.separator, *layers.behind_cathode)

    @cached_property
    def fixed(self) -> BoxedWeights:
        """Weights of the mask on the reference grid."""
        margin = MASK_MARGIN_VOXELS * self.stack.voxel_size_mm
        return boxed_layer_mask(self.stack, self.names, self._shape, margin_mm=margin)

    @cached_property
    def pellet(self) -> BoxedWeights:
        """Where displacements are compared."""
        layers = layer_settings(self.context)
        return boxed_layer_mask(self.stack, (layers.separator, layers.cathode), self._shape)

    @cached_property
    def housing(self) -> "Housing | None":
        """Weights of the ring that the settings name and of the collector it holds, away from the anode.

        They move as one body; the stack may slip against it along the axis.
        """
        radii = self.context.study.registration.housing_radius_mm
        if radii is None:
            return None
        nz, ny, nx = self._shape
        y0, x0 = self.stack.axis_mm
        size = self.stack.voxel_size_mm
        radius = np.hypot(np.arange(ny)[:, None] * size - y0, np.arange(nx)[None, :] * size - x0)
        # its edges tell where it is
        rim = 3 * size
        ring = ((radius >= radii[0] - rim) & (radius <= radii[1] + rim)).astype(np.float32)
        held, margin = layer_settings(self.context).behind_anode, STREAK_VOXELS * size
        collector = boxed_layer_mask(self.stack, held, self._shape, margin_mm=margin) if held else None
        return Housing(ring, self._away_from_anode(nz), collector)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.context.plan.state(self.context.study.reference).volume

    def _away_from_anode(self, rows: int) -> Array:
        """1 in the rows that streaks of a starved anode do not reach, (row,)."""
        anode = layer_settings(self.context).anode
        if anode is None:
            return np.ones(rows, np.float32)
        layer, reach = self.stack[anode], STREAK_VOXELS * self.stack.voxel_size_mm
        ends = sorted((layer.near.coefficients[0], layer.far.coefficients[0]))
        z = np.arange(rows) * self.stack.voxel_size_mm
        return ((z < ends[0] - reach) | (z > ends[1] + reach)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Housing(PlanesOnDemand):
    """Weights of a ring in some rows, and of the collector that it holds."""

    ring: Array
    rows: Array
    collector: BoxedWeights | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        ny, nx = self.ring.shape
        return self.rows.size, ny, nx

    def planes(self, begin: int, end: int) -> Array:
        """Weights of some rows."""
        found: Array = self.ring * self.rows[begin:end, None, None]
        if self.collector is not None:
            np.maximum(found, self.collector[begin:end], out=found)
        return found
