"""Launches of `warp.cu`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

ACROSS, DOWN, LINES = 32, 4, 128
LINEAR, CUBIC, SPLINE = "deltamu::warp<1>", "deltamu::warp<3>", "deltamu::spline_lines"
SOURCE = CudaSource("warp", (LINEAR, CUBIC, SPLINE))


def warp(source: Any, affine: NDArray[np.float64], *, order: int, fill: float, out: Any) -> None:
    """Interpolate voxels (order 1) or spline coefficients (order 3) on the device into `out`."""
    depth, height, width = out.shape
    SOURCE.launch(
        LINEAR if order == 1 else CUBIC,
        (blocks(width, ACROSS), blocks(height, DOWN), min(depth, MOST_BLOCKS)),
        (ACROSS, DOWN),
        (source, *source.shape, array_module(out).asarray(affine), float(fill), out, *out.shape),
    )


def filter_splines(volume: Any) -> None:
    """Replace voxels on the device by the coefficients of the cubic B-spline through them."""
    depth, height, width = volume.shape
    for outer, count, inner in (
        (depth * height, width, 1),
        (depth, height, width),
        (1, depth, height * width),
    ):
        if count > 1:
            SOURCE.launch(SPLINE, (blocks(outer * inner, LINES),), (LINES,), (volume, outer, count, inner))
