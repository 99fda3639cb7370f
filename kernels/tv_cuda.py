"""Launches of `tv.cu`."""

import math
from typing import Any

import numpy as np

from deltamu.kernels.backend import array_module
from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

ACROSS, DOWN, ROW = 32, 8, 128
PRIMAL, DUAL, VALUES = "deltamu::primal", "deltamu::dual_step", "deltamu::row_values"
SOURCE = CudaSource("tv", (PRIMAL, DUAL, VALUES))


def tv_proximal(
    volume: Any,
    strength: float,
    *,
    threshold: float,
    planar: bool,
    bounds: tuple[float, float],
    support: Any,
    dual: Any,
    iterations: int,
) -> Any:
    """Minimise on the device; `dual` is where to start from and receives where it ended."""
    out, point = array_module(volume).empty_like(volume), dual.copy()
    # the squared norm of the differences is at most four per direction
    step = 1 / ((8 if planar else 12) * strength + threshold)
    t = 1.0
    for _ in range(iterations):
        longer = 0.5 * (1 + math.sqrt(1 + 4 * t * t))
        _primal(volume, point, strength, bounds, support, planar, out)
        numbers = (step, 1 - threshold * step, (t - 1) / longer)
        _launch(DUAL, (out, dual, point, *(float(n) for n in numbers), *out.shape, not planar), out.shape)
        t = longer
    _primal(volume, dual, strength, bounds, support, planar, out)
    return out


def tv_value(volume: Any, *, threshold: float, planar: bool) -> Any:
    """Return the value of every slice, (z,) float64 on the device."""
    depth, height, _ = volume.shape
    values = array_module(volume).empty((depth, height), np.float64)
    SOURCE.launch(
        VALUES, (depth * height,), (ROW,), (volume, float(threshold), values, *volume.shape, not planar)
    )
    return values.sum(axis=1)


def _primal(
    volume: Any, dual: Any, strength: float, bounds: tuple[float, float], support: Any, planar: bool, out: Any
) -> None:
    planes = len(support) if support.size else 0
    numbers = (float(strength), float(bounds[0]), float(bounds[1]))
    _launch(PRIMAL, (volume, dual, *numbers, support, planes, out, *out.shape, not planar), out.shape)


def _launch(kernel: str, arguments: tuple[Any, ...], shape: tuple[int, int, int]) -> None:
    depth, height, width = shape
    grid = (blocks(width, ACROSS), blocks(height, DOWN), min(depth, MOST_BLOCKS))
    SOURCE.launch(kernel, grid, (ACROSS, DOWN), arguments)
