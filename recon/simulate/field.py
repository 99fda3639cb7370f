"""What fills the bore of the cell, as a function of position: sampled on any grid in any pose.

A voxel that an interface crosses gets a mixture by the signed distance of its centre from the interface,
which conserves volume to second order in the voxel size.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.simulate.cell import Cell, CellMaterials, CellState
from deltamu.recon.simulate.lithiation import Lithiation, modulation
from deltamu.recon.simulate.textures import RandomField, Textures
from deltamu.recon.simulate.voids import Void, cell_voids

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Occupancy = Array | float

_CHUNK_VOXELS = 1_000_000


@dataclass(frozen=True)
class Interface:
    """A face between two layers: its height along the layer normal, and its roughness."""

    height_mm: float
    roughness: RandomField | None


@dataclass(frozen=True)
class PelletField:
    """The contents of the bore in one state of charge.

    Attributes
    ----------
    cell, state, materials, textures, lithiation
        What it is made of.
    sleeve : bool
        Whether the sleeve belongs to the field; line integrals take it from geometry instead.
    """

    cell: Cell
    state: CellState
    materials: CellMaterials
    textures: Textures
    lithiation: Lithiation
    sleeve: bool = False

    def interfaces(self) -> tuple[Interface, ...]:
        """Faces from below: plunger, collector A, void, anode, separator, cathode, collector C, plunger."""
        cell, rough = self.cell, self.textures.roughness
        collector_end = cell.separator_start_mm - cell.anode_mm
        separator = cell.separator_start_mm - self.state.shift_mm
        cathode = separator + cell.separator_mm
        collector_c = cathode + cell.cathode_mm
        # without marks the collectors reach through the field
        outside = 1e3 if cell.featureless else cell.collector_mm
        return (
            Interface(collector_end - outside, None),
            Interface(collector_end, rough[0]),
            Interface(separator - self.state.anode_mm, rough[0]),
            Interface(separator, rough[1]),
            Interface(cathode, rough[2]),
            Interface(collector_c, rough[3]),
            Interface(collector_c + outside, None),
        )

    def voids(self) -> tuple[Void, ...]:
        """Blind holes and pores, where they are in this state."""
        return cell_voids(self.cell, self.textures, self.state.shift_mm)


# parts between the interfaces, from below; the anode leaves a void at collector A when it shrinks
_PARTS = ("plunger_a", "collector_a", None, "anode", "separator", "cathode", "collector_c", "plunger_c")
_GRAINY = ("separator", "cathode")


@dataclass(frozen=True)
class _Grid:
    """Positions of a block of voxels in the frame of the sample."""

    affine: Float
    shape: tuple[int, int, int]
    voxel_mm: float

    def coordinate(self, direction: Float) -> Array:
        """Distance of every voxel along a direction (z, y, x), mm."""
        step = direction @ self.affine
        z, y, x = (np.arange(n) * s for n, s in zip(self.shape, step[:3], strict=True))
        plane = (z[:, None] + y[None, :]).astype(np.float32)
        return np.asarray(plane[:, :, None] + (x + step[3]).astype(np.float32)[None, None, :])

    def part(self, start: int, stop: int) -> "_Grid":
        """Return the slices from `start` to `stop`."""
        moved = self.affine.copy()
        moved[:, 3] += self.affine[:, 0] * start
        return _Grid(moved, (stop - start, *self.shape[1:]), self.voxel_mm)

    def middle(self) -> "_Grid":
        """Return one slice at the middle of the block."""
        moved = self.affine.copy()
        moved[:, 3] += self.affine[:, 0] * (self.shape[0] - 1) / 2
        return _Grid(moved, (1, *self.shape[1:]), self.voxel_mm)


def sample_field(
    field: PelletField,
    affine: Float,
    shape: tuple[int, int, int],
    *,
    voxel_mm: float,
    pool: ThreadPoolExecutor | None = None,
) -> Array:
    """Attenuation on a grid.

    Parameters
    ----------
    field : PelletField
    affine : (3, 4) array
        Maps a voxel index (z, y, x, 1) to millimetres in the frame of the sample.
    shape : (z, y, x)
    voxel_mm : float
        Size of a voxel, for the partial volumes.
    pool : ThreadPoolExecutor, optional

    Returns
    -------
    (channel, z, y, x) float32 array
    """
    grid = _Grid(np.asarray(affine, float), shape, voxel_mm)
    values = np.empty((field.materials.channels, *shape), np.float32)
    step = max(1, _CHUNK_VOXELS // (shape[1] * shape[2]))
    starts = range(0, shape[0], step)

    def fill(start: int) -> None:
        stop = min(start + step, shape[0])
        _fill(field, grid.part(start, stop), values[:, start:stop])

    for _ in map(fill, starts) if pool is None else pool.map(fill, starts):
        pass
    return values


def _fill(field: PelletField, grid: _Grid, values: Array) -> None:
    y, x = grid.coordinate(np.array([0.0, 1.0, 0.0])), grid.coordinate(np.array([0.0, 0.0, 1.0]))
    radius_squared = y * y + x * x
    height = grid.coordinate(field.cell.normal)
    height -= radius_squared * np.float32(field.cell.bow_mm / field.cell.radius_mm**2)
    _fill_layers(field, grid, values, height, x)
    for void in field.voids():
        void.cut(values, grid.affine, grid.voxel_mm)
    radius = np.sqrt(radius_squared, out=radius_squared)
    values *= _inside(radius, field.cell.radius_mm, grid.voxel_mm)
    if field.sleeve:
        _add_sleeve(field, values, radius, grid.voxel_mm)


def _fill_layers(field: PelletField, grid: _Grid, values: Array, height: Array, x: Array) -> None:
    interfaces = field.interfaces()
    above: list[Occupancy] = [1.0, *(_above(face, grid, height) for face in interfaces), 0.0]
    values[:] = 0
    for index, part in enumerate(_PARTS):
        share = above[index] - above[index + 1]
        if part is None or not np.any(share):
            continue
        if part in _GRAINY:
            share = share * (1 + _grain(field, grid))
        for channel, coefficient in enumerate(field.materials.parts[part]):
            values[channel] += np.float32(coefficient) * share
        if part == "cathode":
            _add_lithium(field, grid, values, height, x, above[index] - above[index + 1])


def _above(face: Interface, grid: _Grid, height: Array) -> Occupancy:
    """Share of every voxel that lies above a face; a plain number where the whole block is on one side."""
    reach = grid.voxel_mm + (0.0 if face.roughness is None else float(np.abs(face.roughness.values).max()))
    if float(height.min()) > face.height_mm + reach:
        return 1.0
    if float(height.max()) < face.height_mm - reach:
        return 0.0
    offset = np.float32(0.5 - face.height_mm / grid.voxel_mm)
    share = height * np.float32(1 / grid.voxel_mm)
    share += offset - _roughness(face, grid) * np.float32(1 / grid.voxel_mm)
    return np.clip(share, 0, 1, out=share)


def _roughness(face: Interface, grid: _Grid) -> Array:
    """Deviation of a face over the lateral positions of a block; a block is thin, one slice serves all."""
    if face.roughness is None:
        return np.zeros((1, 1, 1), np.float32)
    middle = grid.middle()
    flat = middle.affine.copy()
    flat[0] = 0.0
    return face.roughness.sample(flat, middle.shape)


def _body_affine(field: PelletField, grid: _Grid) -> Float:
    """Index → position in the stack as assembled: the body has moved by `shift_mm` towards the anode."""
    moved = grid.affine.copy()
    moved[0, 3] += field.state.shift_mm
    return moved


def _grain(field: PelletField, grid: _Grid) -> Array:
    return field.textures.grain.sample(_body_affine(field, grid), grid.shape)


def _add_lithium(
    field: PelletField, grid: _Grid, values: Array, height: Array, x: Array, share: Occupancy
) -> None:
    """Add the uptake of the cathode; depth runs between the rough faces: each column holds its charge."""
    if not np.any(field.lithiation.table):
        return
    near, far = field.interfaces()[4:6]
    start = near.height_mm + _roughness(near, grid)
    depth = (height - start) / (far.height_mm + _roughness(far, grid) - start)
    texture = field.textures.lithium.sample(_body_affine(field, grid), grid.shape)
    lithium = field.lithiation(depth, modulation(field.cell, texture, x))  # type: ignore[arg-type]
    lithium *= share
    for channel, coefficient in enumerate(field.materials.uptake):
        values[channel] += np.float32(coefficient) * lithium


def _inside(radius: Array, limit_mm: float, voxel_mm: float) -> Array:
    share = (np.float32(limit_mm) - radius) * np.float32(1 / voxel_mm)
    share += np.float32(0.5)
    return np.clip(share, 0, 1, out=share)


def _add_sleeve(field: PelletField, values: Array, radius: Array, voxel_mm: float) -> None:
    share = _inside(radius, field.cell.sleeve_mm, voxel_mm) - _inside(radius, field.cell.radius_mm, voxel_mm)
    coefficients: Sequence[float] = field.materials.parts["sleeve"]  # type: ignore[assignment]
    for channel, coefficient in enumerate(coefficients):
        values[channel] += np.float32(coefficient) * share
