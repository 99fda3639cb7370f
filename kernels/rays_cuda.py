"""Launches of `rays.cu`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

ACROSS, DOWN = 32, 4
PROJECT, BACKPROJECT = "deltamu::project_rays", "deltamu::backproject_rays"
SOURCE = CudaSource("rays", (PROJECT, BACKPROJECT))


def project_rays(volume: Any, rays: NDArray[np.float64], *, voxel_size: float, out: Any) -> None:
    """Project a volume on the device into `out`."""
    maps = array_module(volume).asarray(rays.view(np.uint8))
    views, rows, columns = out.shape
    SOURCE.launch(
        PROJECT,
        _grid(out.shape),
        (ACROSS, DOWN),
        (volume, *volume.shape, maps, views, float(voxel_size), out, rows, columns),
    )


def backproject_rays(projections: Any, rays: NDArray[np.float64], *, voxel_size: float, out: Any) -> None:
    """Spread projections on the device into `out`, the exact transpose of `project_rays`."""
    maps = array_module(out).asarray(rays.view(np.uint8))
    views, rows, columns = projections.shape
    out.fill(0)
    SOURCE.launch(
        BACKPROJECT,
        _grid(projections.shape),
        (ACROSS, DOWN),
        (projections, rows, columns, maps, views, float(voxel_size), out, *out.shape),
    )


def _grid(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    views, rows, columns = shape
    return blocks(columns, ACROSS), blocks(rows, DOWN), min(views, MOST_BLOCKS)
