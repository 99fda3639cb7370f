"""Launches of `project.cu`."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

Float = NDArray[np.float64]

ACROSS, DOWN, DEEP = 32, 4, 8
PROJECT, BACKPROJECT = f"deltamu::project<{DEEP}>", f"deltamu::backproject<{DEEP}>"
SOURCE = CudaSource("project", (PROJECT, BACKPROJECT))

# layouts of the structures of the same names in the source; whole numbers have 32 bits behind the point
_MARCHING = np.dtype(
    [("number", "i8"), ("across", "i8"), ("per_column", "i8"), ("per_line", "i8"), ("length", "f8")]
)
_SEEN = np.dtype(
    [("shadow", "i8"), ("per_x", "i8"), ("per_y", "i8"), ("voxels_per_column", "f8"), ("length", "f8")]
)


def project(
    volume: Any, theta: Float, centers: Float, *, pixel_in_voxels: float, voxel_size: float, out: Any
) -> None:
    """Project a volume on the device into `out`; a transposed copy of it is made for rays that march along x."""
    marches_y = abs(np.cos(theta)) >= abs(np.sin(theta))
    for numbers, along_y in ((np.flatnonzero(marches_y), True), (np.flatnonzero(~marches_y), False)):
        if numbers.size == 0:
            continue
        xp = array_module(volume)
        source = volume if along_y else xp.ascontiguousarray(volume.transpose(0, 2, 1))
        lines, across = source.shape[1:]
        views = _marching_views(numbers, theta, centers, pixel_in_voxels, lines, across, along_y)
        SOURCE.launch(
            PROJECT,
            (
                blocks(out.shape[2], ACROSS * DOWN),
                min(len(views), MOST_BLOCKS),
                blocks(volume.shape[0], DEEP),
            ),
            (ACROSS * DOWN,),
            (source, *source.shape, on_device(xp, views), len(views), float(voxel_size), out, out.shape[2]),
        )


def backproject(
    sinograms: Any, theta: Float, centers: Float, *, pixel_in_voxels: float, voxel_size: float, out: Any
) -> None:
    """Spread sinograms on the device into `out`, the exact transpose of `project`."""
    depth, height, width = out.shape
    views = on_device(array_module(out), _seen_views(theta, centers, pixel_in_voxels, height, width))
    SOURCE.launch(
        BACKPROJECT,
        (blocks(width, ACROSS), blocks(height, DOWN), blocks(depth, DEEP)),
        (ACROSS, DOWN),
        (
            sinograms, views, len(theta), sinograms.shape[2], math.ceil(1 / pixel_in_voxels), float(voxel_size),
            out, *out.shape,
        ),
    )  # fmt: skip


def on_device(xp: Any, table: NDArray[Any]) -> Any:
    """Bytes of a structured array on the device, where only plain numbers have a type."""
    return xp.asarray(np.ascontiguousarray(table).view(np.uint8))


def _marching_views(
    numbers: NDArray[np.intp],
    theta: Float,
    centers: Float,
    pitch: float,
    lines: int,
    across: int,
    along_y: bool,
) -> NDArray[Any]:
    """Rays as in `project.h`: a ray at distance s from the axis meets line j at (s - j' march) / across + middle."""
    cosine, sine, center = np.cos(theta[numbers]), np.sin(theta[numbers]), centers[numbers]
    across_weight, march_weight = (cosine, sine) if along_y else (sine, cosine)
    views = np.empty(numbers.size, _MARCHING)
    views["number"] = numbers
    start = (0.5 * (lines - 1) * march_weight - center * pitch) / across_weight + 0.5 * (across - 1)
    views["across"] = _fixed(start)
    views["per_column"] = _fixed(pitch / across_weight)
    views["per_line"] = _fixed(-march_weight / across_weight)
    views["length"] = 1 / abs(across_weight)
    return views


def _seen_views(theta: Float, centers: Float, pitch: float, height: int, width: int) -> NDArray[Any]:
    cosine, sine = np.cos(theta), np.sin(theta)
    views = np.empty(theta.size, _SEEN)
    views["shadow"] = _fixed(centers - (0.5 * (width - 1) * cosine + 0.5 * (height - 1) * sine) / pitch)
    views["per_x"], views["per_y"] = _fixed(cosine / pitch), _fixed(sine / pitch)
    views["length"] = 1 / np.maximum(abs(cosine), abs(sine))
    views["voxels_per_column"] = pitch * views["length"]
    return views


def _fixed(values: Float) -> NDArray[np.int64]:
    return np.rint(values * 2.0**32).astype(np.int64)
