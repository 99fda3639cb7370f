"""Random fields that are fixed to the sample: grains, lithium texture, rough interfaces, pores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.warp import warp
from deltamu.recon.simulate.cell import Cell

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Point = tuple[float, float, float]

# beyond the pellet, so that interpolation at its rim has a neighbour
_MARGIN_MM = 0.15
_PORES = 3


@dataclass(frozen=True)
class RandomField:
    """A Gaussian field of mean 0 on a grid of the sample; between grid points it is the linear interpolant.

    Attributes
    ----------
    values : (z, y, x) array
    origin_mm : (z, y, x)
        Position of the first grid point.
    spacing_mm : float
    """

    values: Array
    origin_mm: Point
    spacing_mm: float

    def sample(self, affine: Float, shape: tuple[int, int, int]) -> Array:
        """Interpolate at the voxels whose index `affine` (3, 4) maps to mm; 0 outside the grid."""
        to_grid = affine.copy()
        to_grid[:, 3] -= self.origin_mm
        to_grid /= self.spacing_mm
        return warp(self.values, to_grid, output_shape=shape, fill=0.0)


@dataclass(frozen=True)
class Textures:
    """All random structure of one sample, the same in every state.

    Attributes
    ----------
    grain : RandomField
        Relative deviation of the density in separator and cathode.
    lithium : RandomField
        Relative deviation of the lithiation.
    roughness : tuple of RandomField
        Deviation of the four inner interfaces, mm, as fields of one slice: collector A, anode|separator,
        separator|cathode, cathode|collector C.
    pores : tuple of (center (z, y, x), radius), mm
    """

    grain: RandomField
    lithium: RandomField
    roughness: tuple[RandomField, ...]
    pores: tuple[tuple[Point, float], ...]


def make_textures(cell: Cell, *, seed: int, voxel_mm: float) -> Textures:
    """Draw the structure of a sample.

    Parameters
    ----------
    cell : Cell
    seed : int
    voxel_mm : float
        Structure finer than this is replaced by what is left of it after averaging.
    """
    grain_rng, lithium_rng, rough_rng, pore_rng = (np.random.default_rng([seed, 1000 + k]) for k in range(4))
    start, end = cell.separator_start_mm, cell.cathode_start_mm + cell.cathode_mm
    grain = random_field(
        grain_rng,
        cell.grain_rms,
        cell.grain_length_mm,
        _box(cell, start, end),
        spacing_mm=max(voxel_mm, cell.grain_length_mm / 2),
    )
    lithium = random_field(
        lithium_rng,
        cell.texture_rms,
        cell.texture_length_mm,
        _box(cell, cell.cathode_start_mm, end),
        spacing_mm=max(voxel_mm, cell.texture_length_mm / 4),
    )
    rough = tuple(_interface(rough_rng, cell, voxel_mm) for _ in range(4))
    return Textures(grain, lithium, rough, () if cell.featureless else _pores(pore_rng, cell))


def random_field(
    rng: np.random.Generator,
    rms: float,
    length_mm: float,
    box: tuple[Point, Point],
    *,
    spacing_mm: float,
) -> RandomField:
    """Draw a Gaussian field with the covariance rms² exp(−r²/length²).

    On a grid too coarse for the length, the length becomes twice the spacing and the variance what averaging
    over the longer length would leave.
    """
    low, high = np.asarray(box[0]), np.asarray(box[1])
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing_mm).astype(int) + 1)
    dimensions = sum(n > 1 for n in shape)
    length = max(length_mm, 2 * spacing_mm)
    left = (length_mm / length) ** (dimensions / 2)
    values = _smooth_noise(rng, shape, length / 2 / spacing_mm)
    values *= np.float32(rms * left / max(float(values.std()), 1e-30))
    origin = (float(low[0]), float(low[1]), float(low[2]))
    return RandomField(values, origin, spacing_mm)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Array:
    """White noise through a Gaussian: exp(−r²/2s²) squared under the correlation gives exp(−r²/4s²)."""
    from scipy.ndimage import gaussian_filter1d

    values = rng.standard_normal(shape, dtype=np.float32)
    for axis, size in enumerate(shape):
        if size > 1:
            values = gaussian_filter1d(values, sigma, axis=axis, mode="wrap", truncate=3.0)
    return np.asarray(values, np.float32)


def _box(cell: Cell, start: float, end: float) -> tuple[Point, Point]:
    """Sample coordinates around part of the pellet, with room for tilt and bow."""
    side = cell.radius_mm + _MARGIN_MM
    return (start - _MARGIN_MM, -side, -side), (end + _MARGIN_MM, side, side)


def _interface(rng: np.random.Generator, cell: Cell, voxel_mm: float) -> RandomField:
    side = cell.radius_mm + _MARGIN_MM
    spacing = max(voxel_mm, cell.roughness_length_mm / 4)
    box = ((0.0, -side, -side), (0.0, side, side))
    return random_field(rng, cell.roughness_mm, cell.roughness_length_mm, box, spacing_mm=spacing)


def _pores(rng: np.random.Generator, cell: Cell) -> tuple[tuple[Point, float], ...]:
    """Voids of 30 to 60 µm in the inner part of the separator."""
    middle = cell.separator_start_mm + cell.separator_mm / 2
    pores = []
    for azimuth in rng.uniform(0, 2 * np.pi, _PORES):
        height = middle + rng.uniform(-0.3, 0.3) * cell.separator_mm
        distance = rng.uniform(0.2, 0.75) * cell.radius_mm
        center = (float(height), float(distance * np.sin(azimuth)), float(distance * np.cos(azimuth)))
        pores.append((center, float(rng.uniform(0.015, 0.030))))
    return tuple(pores)
