"""The forward model of an interface fit: polynomial layers, common surfaces, levels of each state."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial.legendre import leg2poly, legval
from numpy.typing import NDArray

from deltamu.recon.change.blurred_layers import blurred_layer_powers
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
# of the level {1, y, x, r²} and of its slope {1, y, x}; higher powers of depth are common to all columns
LATERAL_TERMS = (4, 3)


@dataclass(frozen=True, eq=False)
class SurfaceModel:
    """Consecutive interfaces that are fitted together.

    Attributes
    ----------
    degrees : tuple of int
        Highest degree in depth of the attenuation in every layer, one more than interfaces. What each state
        uses is chosen from the data: a pristine layer is flat, a discharged one is not, and a needless power
        hides a weak contrast.
    axis_mm, radius_mm : the pellet; lateral coordinates are scaled by the radius
    voxel_size_mm : float
    thickness_mm, thickness_sigma_mm : tuple of float
        Prior of every layer between two of the interfaces.
    likeness_sigma_mm : float
        Prior of the difference of tilt and bow of neighbouring surfaces, at the rim.
    width_mm : float
        Prior of the standard deviation of the blur, voxel included.
    width_sigma : float
        Of its logarithm.
    """

    degrees: tuple[int, ...]
    axis_mm: tuple[float, float]
    radius_mm: float
    voxel_size_mm: float
    thickness_mm: tuple[float, ...]
    thickness_sigma_mm: tuple[float, ...]
    likeness_sigma_mm: float
    width_mm: float
    width_sigma: float

    def __post_init__(self) -> None:
        if len(self.thickness_mm) != self.edges - 1 or len(self.thickness_sigma_mm) != self.edges - 1:
            raise InputError(
                f"surfaces: {self.edges} interfaces need {self.edges - 1} thicknesses, "
                f"found {len(self.thickness_mm)} and {len(self.thickness_sigma_mm)} sigmas"
            )

    @property
    def edges(self) -> int:
        """Number of interfaces."""
        return len(self.degrees) - 1


@dataclass(frozen=True, eq=False)
class StateSamples:
    """Selected samples of one state, flattened."""

    z: Float
    lateral: Float  # (4, sample): 1, v, u, v² + u²
    value: Float
    fraction: Float
    row: NDArray[np.intp]
    cluster: NDArray[np.intp]
    degrees: tuple[int, ...]


def lateral_scale(model: SurfaceModel) -> Float:
    """Turn coefficients into heights at the rim, so that all parameters are millimetres of one size."""
    return np.array([1.0, model.radius_mm, model.radius_mm, model.radius_mm**2])


def edge_heights(theta: Float, lateral: Float, model: SurfaceModel) -> list[Float]:
    """Height of every interface at every sample, mm."""
    return list(theta[:-1].reshape(model.edges, 4) @ lateral)


def _layer_centres(heights: list[Float]) -> list[Float]:
    """Origin of depth in each layer: its middle, or its only edge."""
    middle = [0.5 * (a + b) for a, b in pairwise(heights)]
    return [heights[0], *middle, heights[-1]]


def _layer_scales(model: SurfaceModel) -> list[float]:
    inner = [0.5 * t for t in model.thickness_mm]
    outer = 8 * model.voxel_size_mm
    return [outer, *inner, outer]


def _lateral_count(power: int) -> int:
    return LATERAL_TERMS[power] if power < len(LATERAL_TERMS) else 1


def level_basis(data: StateSamples, heights: list[Float], width: float, model: SurfaceModel) -> Float:
    """(level parameter, sample) matrix: blurred powers of depth in each layer, times lateral terms."""
    columns = []
    bounds = [None, *heights, None]
    centres, scales = _layer_centres(heights), _layer_scales(model)
    for layer, degree in enumerate(data.degrees):
        lower, upper = (
            None if edge is None else (edge - centres[layer]) / scales[layer]
            for edge in bounds[layer : layer + 2]
        )
        z = (data.z - centres[layer]) / scales[layer]
        powers = np.stack(blurred_layer_powers(z, lower, upper, width / scales[layer], degree))
        for power, values in enumerate(_legendre(degree) @ powers):
            columns += [values * data.lateral[k] for k in range(_lateral_count(power))]
    return np.stack(columns)


def _legendre(degree: int) -> Float:
    """Coefficients of the Legendre polynomials, by powers: levels of high degrees stay independent."""
    matrix = np.zeros((degree + 1, degree + 1))
    for n in range(degree + 1):
        matrix[n, : n + 1] = leg2poly(np.eye(n + 1)[n])
    return matrix


def edge_contrasts(
    levels: Float, data: StateSamples, heights: list[Float], model: SurfaceModel
) -> list[Float]:
    """Attenuation below minus above each interface, from the polynomials of the two layers."""
    centres, scales = _layer_centres(heights), _layer_scales(model)
    bounds = [heights[0], *heights, heights[-1]]
    at_lower, at_upper = [], []
    position = 0
    for layer, degree in enumerate(data.degrees):
        value = [np.zeros_like(data.z), np.zeros_like(data.z)]
        for power in range(degree + 1):
            count = _lateral_count(power)
            lateral = levels[position : position + count] @ data.lateral[:count]
            position += count
            for side in (0, 1):
                depth = (bounds[layer + side] - centres[layer]) / scales[layer]
                value[side] += lateral * legval(depth, np.eye(degree + 1)[power])
        at_lower.append(value[0])
        at_upper.append(value[1])
    return [at_upper[edge] - at_lower[edge + 1] for edge in range(model.edges)]
