"""Empty places in the stack: blind holes drilled into the collectors, pores of the separator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.simulate.cell import Cell
from deltamu.recon.simulate.textures import Point, Textures

Array = NDArray[np.float32]
Float = NDArray[np.float64]

HOLE_DIAMETER_MM = 0.5
HOLE_DEPTH_MM = 1.5
HOLE_AZIMUTHS_DEG = (20.0, 130.0)


@dataclass(frozen=True)
class Void:
    """A sphere, or a straight hole from a point outwards.

    Attributes
    ----------
    center_mm : (z, y, x)
        Middle of the sphere; inner end of a hole.
    radius_mm : float
    outward : (z, y, x) unit vector or None
        Direction of a hole.
    length_mm : float
        Of a hole.
    """

    center_mm: Point
    radius_mm: float
    outward: Point | None = None
    length_mm: float = 0.0

    def cut(self, values: Array, affine: Float, voxel_mm: float) -> None:
        """Empty the voxels (channel, z, y, x) that lie in it, in part where its wall crosses them."""
        box = self._box(affine, values.shape[1:])
        if box is None:
            return
        index = np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij")
        position = np.tensordot(affine[:, :3], np.stack(index), 1) + affine[:, 3, None, None, None]
        distance = self._distance(position - np.asarray(self.center_mm)[:, None, None, None])
        values[(slice(None), *box)] *= np.clip(0.5 + distance / voxel_mm, 0, 1).astype(np.float32)

    def _distance(self, offset: Float) -> Float:
        """Signed distance from the wall, positive outside."""
        if self.outward is None:
            return np.asarray(np.sqrt((offset**2).sum(axis=0)) - self.radius_mm)
        direction = np.asarray(self.outward)
        along = np.tensordot(direction, offset, 1)
        across = np.sqrt(np.maximum((offset**2).sum(axis=0) - along**2, 0))
        return np.asarray(np.maximum(across - self.radius_mm, -along))

    def _box(self, affine: Float, shape: tuple[int, ...]) -> tuple[slice, slice, slice] | None:
        """Part of the grid that can touch it."""
        outward = np.zeros(3) if self.outward is None else np.asarray(self.outward)
        middle = np.asarray(self.center_mm) + outward * self.length_mm / 2
        inverse = np.linalg.inv(affine[:, :3])
        center = inverse @ (middle - affine[:, 3])
        reach = (np.hypot(self.length_mm / 2, self.radius_mm)) * np.abs(inverse).max() + 2
        low = np.maximum(np.floor(center - reach).astype(int), 0)
        high = np.minimum(np.ceil(center + reach).astype(int) + 1, shape)
        if np.any(high <= low):
            return None
        z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return z, y, x


def cell_voids(cell: Cell, textures: Textures, shift_mm: float) -> tuple[Void, ...]:
    """Holes and pores of a cell; those of the upper part have moved down by `shift_mm`."""
    if cell.featureless:
        return ()
    anode_side = cell.separator_start_mm - cell.anode_mm - cell.collector_mm / 2
    cathode_side = cell.cathode_start_mm + cell.cathode_mm + cell.collector_mm / 2 - shift_mm
    heights = (anode_side, cathode_side)
    holes = tuple(
        _hole(cell, height, azimuth) for height, azimuth in zip(heights, HOLE_AZIMUTHS_DEG, strict=True)
    )
    pores = tuple(Void((z - shift_mm, y, x), radius) for (z, y, x), radius in textures.pores)
    return holes + pores


def _hole(cell: Cell, height: float, azimuth_deg: float) -> Void:
    azimuth = np.radians(azimuth_deg)
    outward = (0.0, float(np.sin(azimuth)), float(np.cos(azimuth)))
    bottom = cell.radius_mm - HOLE_DEPTH_MM
    return Void(
        (height, outward[1] * bottom, outward[2] * bottom), HOLE_DIAMETER_MM / 2, outward, HOLE_DEPTH_MM
    )
