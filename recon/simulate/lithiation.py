"""The lithium of the cathode in three dimensions, with a depth profile that is exactly the stated one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.simulate.cell import Cell, CellState
from deltamu.recon.simulate.textures import RandomField

Array = NDArray[np.float32]
Float = NDArray[np.float64]

_LEVELS = 21
_TABLE = 1025


@dataclass(frozen=True)
class Lithiation:
    """u(x, y, x_lateral) = min(1, table(x) · (1 + texture) · (1 + gradient)).

    Attributes
    ----------
    x : (sample,) array
        Normalised depth.
    table : (sample,) array
        The profile divided by the mean of texture and gradient at that depth.
    """

    x: Float
    table: Float

    def __call__(self, x: Array, modulation: Array) -> Array:
        """Lithiation at normalised depths, given texture × gradient there."""
        u = np.interp(x, self.x, self.table).astype(np.float32)
        u *= modulation
        return np.minimum(u, np.float32(1.0), out=u)


def make_lithiation(cell: Cell, state: CellState, texture: RandomField) -> Lithiation:
    """Normalise every depth: the mean over the disc is the profile in spite of texture and clipping."""
    x, levels = np.linspace(0, 1, _TABLE), np.linspace(0, 1, _LEVELS)
    if not np.any(state.profile(x)):
        return Lithiation(x, np.zeros_like(x))
    lateral = _disc(cell)
    correction = np.array([_correction(cell, state, texture, lateral, level) for level in levels])
    return Lithiation(x, state.profile(x) * np.interp(x, levels, correction))


def modulation(cell: Cell, texture: Array, lateral_x: Array) -> Array:
    """Texture times the pressure gradient along x."""
    return np.asarray((1 + texture) * (1 + lateral_x * np.float32(cell.pressure_gradient / cell.radius_mm)))


def _disc(cell: Cell) -> Float:
    """Points (y, x) that fill the cross section evenly."""
    n = 120
    grid = (np.arange(n) + 0.5) / n * 2 - 1
    y, x = np.meshgrid(grid, grid, indexing="ij")
    inside = y**2 + x**2 <= 1
    return np.stack([y[inside], x[inside]]) * cell.radius_mm


def _correction(cell: Cell, state: CellState, texture: RandomField, lateral: Float, level: float) -> float:
    """Return the factor that makes the mean over the bowed, tilted surface at one depth right."""
    wanted = float(state.profile(np.array(level)))
    field = modulation(cell, _on_surface(cell, texture, lateral, level), lateral[1].astype(np.float32))
    factor = 1.0 / float(field.mean())
    for _ in range(5):
        mean = float(np.minimum(wanted * factor * field, 1.0).mean())
        factor *= wanted / mean if mean > 0 else 1.0
    return factor


def _on_surface(cell: Cell, texture: RandomField, lateral: Float, level: float) -> Array:
    from scipy.ndimage import map_coordinates

    height = cell.cathode_start_mm + level * cell.cathode_mm
    bow = cell.bow_mm * (lateral**2).sum(axis=0) / cell.radius_mm**2
    normal = cell.normal
    z = (height + bow - normal[1] * lateral[0] - normal[2] * lateral[1]) / normal[0]
    points = np.stack([z, lateral[0], lateral[1]])
    index = (points - np.asarray(texture.origin_mm)[:, None]) / texture.spacing_mm
    return np.asarray(map_coordinates(texture.values, index, order=1), np.float32)
