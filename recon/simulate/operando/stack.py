"""Line integrals through a pressed stack at one view, exact along the rays, whatever the sample has drifted.

The parts of the cell are cylinders about one axis (z) that the beam crosses at right angles. A ray at height z
and distance s from the axis crosses a part along the chord 2 √(R² − s²); because the layers are tilted and
bowed, its points lie at different depths, and the attenuation is averaged over them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Array = NDArray[np.float32]
Float = NDArray[np.float64]
# ∫ attenuation dz from far above to height z (mm), in cm⁻¹ mm, elementwise
Cumulative = Callable[[Float], Float]

# nodes across the pellet, between which everything is linear, and along the beam
_ACROSS = 41
_ALONG = 7


@dataclass(frozen=True)
class Layer:
    """One layer of the stack.

    Attributes
    ----------
    name : str
    thickness_mm : float
    attenuation : float
        cm⁻¹.
    """

    name: str
    thickness_mm: float
    attenuation: float


@dataclass(frozen=True)
class Part:
    """A hollow cylinder whose attenuation depends on the height only.

    Attributes
    ----------
    inner_mm, outer_mm : float
        Radii.
    cumulative : callable
        Integral of the attenuation over the height.
    """

    inner_mm: float
    outer_mm: float
    cumulative: Cumulative


@dataclass(frozen=True)
class Surfaces:
    """How the layers lie in the bore: displaced along the axis by tilt and bow.

    Attributes
    ----------
    radius_mm : float
        Where the bow ends.
    tilt_across_deg : float
        Seen in the image: a layer moves to larger rows with the column.
    tilt_along_deg : float
        Along the beam; it blurs an interface. The operator of a beam line turns the cell until it is small.
    bow_mm : float
        Sagitta.
    """

    radius_mm: float
    tilt_across_deg: float = 0.0
    tilt_along_deg: float = 0.0
    bow_mm: float = 0.0

    def displacement_mm(self, across_mm: Float, along_mm: Float) -> Float:
        """Height of a layer over that of a flat one, at points (s, y) of the bore."""
        across, along = np.tan(np.radians([self.tilt_across_deg, self.tilt_along_deg]))
        radius2 = (across_mm**2 + along_mm**2) / self.radius_mm**2
        return np.asarray(across * across_mm + along * along_mm + self.bow_mm * (1 - radius2))


@dataclass(frozen=True)
class RayGrid:
    """Rays of one frame, and the points of the pellet that they pass.

    Attributes
    ----------
    heights_mm : (row,) array
        Of the rays, in the frame of the sample.
    across_mm : (column,) array
        Their distances from the axis.
    row_mm : float
        Height over which a ray averages.
    surfaces : Surfaces
    """

    heights_mm: Float
    across_mm: Float
    row_mm: float
    surfaces: Surfaces

    @property
    def nodes_mm(self) -> Float:
        """(node,) distances from the axis at which the depths are worked out."""
        return np.linspace(-1, 1, _ACROSS) * self.surfaces.radius_mm

    def points_mm(self, nodes: Float) -> tuple[Float, Float]:
        """Positions (node, point) along the chords, and the (point,) weights of a mean over them."""
        abscissae, weights = np.polynomial.legendre.leggauss(_ALONG)
        half = np.sqrt(np.maximum(self.surfaces.radius_mm**2 - nodes**2, 0))
        return half[:, None] * abscissae, weights / 2

    def mean_attenuation(self, cumulative: Cumulative, rows: slice = slice(None)) -> Float:
        """Attenuation (row, node), mean over the row's height and along the ray."""
        nodes = self.nodes_mm
        along, weights = self.points_mm(nodes)
        below = self.heights_mm[rows, None, None] - self.surfaces.displacement_mm(nodes[:, None], along)
        half = self.row_mm / 2
        rise = cumulative(below + half) - cumulative(below - half)
        return np.asarray((rise @ weights) / self.row_mm)

    def spread(self, at_nodes: Float) -> Array:
        """Interpolate (row, node) linearly to (row, column)."""
        nodes = self.nodes_mm
        step = nodes[1] - nodes[0]
        hats = np.maximum(0, 1 - np.abs(self.across_mm[None, :] - nodes[:, None]) / step)
        return np.asarray(at_nodes.astype(np.float32) @ hats.astype(np.float32))

    def chord_cm(self, inner_mm: float, outer_mm: float) -> Float:
        """Length of every column's ray inside a hollow cylinder."""
        return (chord_mm(self.across_mm, outer_mm) - chord_mm(self.across_mm, inner_mm)) / 10


def chord_mm(across_mm: Float, radius_mm: float) -> Float:
    """Length of a ray at a distance from the axis inside a cylinder."""
    return np.asarray(2 * np.sqrt(np.maximum(radius_mm**2 - np.asarray(across_mm, float) ** 2, 0)))


def line_integrals(grid: RayGrid, parts: Sequence[Part]) -> Array:
    """Line integrals (row, column) through parts."""
    total = np.zeros((grid.heights_mm.size, grid.across_mm.size), np.float32)
    for part in parts:
        chord = grid.chord_cm(part.inner_mm, part.outer_mm).astype(np.float32)
        total += grid.spread(grid.mean_attenuation(part.cumulative)) * chord
    return total


def layered(start_mm: float, layers: Sequence[Layer]) -> Cumulative:
    """Cumulative attenuation of layers that follow each other from a height on."""
    if not layers or min(layer.thickness_mm for layer in layers) <= 0:
        raise InputError("layers: expected at least one, each with a thickness above 0")
    knots = start_mm + np.cumsum([0.0, *(layer.thickness_mm for layer in layers)])
    integral = np.cumsum([0.0, *(layer.thickness_mm * layer.attenuation for layer in layers)])
    return lambda z: np.interp(z, knots, integral)


def fading(start_mm: float, depth_mm: float, *, decay_mm: float) -> Cumulative:
    """Cumulative of a layer of attenuation exp(−distance / decay) that begins at `start_mm`.

    It ends after |depth|; a negative depth runs towards smaller heights. The integral over it is
    `fading_integral_mm`.
    """
    extent = abs(depth_mm)

    def cumulative(z: Float) -> Float:
        distance = np.clip(np.sign(depth_mm) * (z - start_mm), 0, extent)
        inside = decay_mm * -np.expm1(-distance / decay_mm)
        if depth_mm > 0:
            return np.asarray(inside)
        return np.asarray(fading_integral_mm(depth_mm, decay_mm=decay_mm) - inside)

    return cumulative


def fading_integral_mm(depth_mm: float, *, decay_mm: float) -> float:
    """Integral of exp(−distance / decay) over a depth."""
    return float(decay_mm * -np.expm1(-abs(depth_mm) / decay_mm))


def layer_starts(start_mm: float, layers: Sequence[Layer]) -> dict[str, float]:
    """Heights at which layers begin."""
    heights = start_mm + np.cumsum([0.0, *(layer.thickness_mm for layer in layers)])
    return {layer.name: float(height) for layer, height in zip(layers, heights, strict=False)}
