"""A smooth surface over a detector through values at a few places."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.on_device import OnDevice

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

# nodes of the coarse grid between which the surface is bilinear, along the longer side of the detector
NODES = 48


@dataclass(frozen=True)
class SmoothSurface(OnDevice):
    """Thin plate through values at fixed places, ready to be evaluated for many sets of values.

    Attributes
    ----------
    shape : (rows, columns)
    weights : (node, place) array
        Value at every node of a coarse grid, per value at a place.
    nodes : (rows, columns)
        Of the coarse grid.
    rows, columns : arrays
        Bilinear interpolation from the nodes to the pixels along either direction.
    """

    maps: ClassVar = ("rows", "columns")

    shape: tuple[int, int]
    weights: Float
    nodes: tuple[int, int]
    rows: Float
    columns: Float

    def __call__(self, values: NDArray[np.floating]) -> Float32:
        """Surface (row, column) through `values` at the places; never below zero."""
        coarse = (self.weights @ np.asarray(values, np.float64)).reshape(self.nodes)
        xp = array_module(self.rows)
        fine: Float32 = xp.asarray(self.rows @ xp.asarray(np.maximum(coarse, 0)) @ self.columns.T, np.float32)
        return fine


def smooth_surface(places: NDArray[np.floating], shape: tuple[int, int]) -> SmoothSurface:
    """Prepare a thin plate (a plane at least) through values at places.

    Where all places lie on a line or there are fewer than three, the surface is one of least slope.

    Parameters
    ----------
    places : (place, 2) array
        Row and column.
    shape : (rows, columns)

    Raises
    ------
    InputError
        If there is no place.

    References
    ----------
    J. Duchon, in Constructive Theory of Functions of Several Variables, Lecture Notes in Mathematics 571
    (1977) 85.
    """
    points = np.asarray(places, np.float64).reshape(-1, 2)
    if not len(points):
        raise InputError("places: none; expected at least one")
    step = max(max(shape) / NODES, 1.0)
    rows, columns = (_bilinear(n, step) for n in shape)
    grid = np.stack(np.meshgrid(_nodes(shape[0], step), _nodes(shape[1], step), indexing="ij"), axis=-1)
    return SmoothSurface(
        shape, _weights(points, grid.reshape(-1, 2)), (rows.shape[1], columns.shape[1]), rows, columns
    )


def _weights(points: Float, grid: Float) -> Float:
    scale = max(float(np.ptp(points, axis=0).max()), 1.0)
    planar = len(points) > 2 and np.linalg.matrix_rank(points - points.mean(axis=0), tol=0.05 * scale) == 2
    kind = {"kernel": "thin_plate_spline", "degree": 1} if planar else {"kernel": "linear", "degree": 0}
    if len(points) == 1:
        return np.ones((len(grid), 1))
    return np.asarray(RBFInterpolator(points / scale, np.eye(len(points)), **kind)(grid / scale))


def _nodes(pixels: int, step: float) -> Float:
    return np.linspace(0, pixels - 1, max(int(np.ceil(pixels / step)) + 1, 2))


def _bilinear(pixels: int, step: float) -> Float:
    """Matrix (pixel, node) of linear interpolation."""
    nodes = _nodes(pixels, step)
    return np.stack([np.interp(np.arange(pixels), nodes, row) for row in np.eye(len(nodes))], axis=1)
