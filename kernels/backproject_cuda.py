"""Launches of `backproject.cu`."""

from typing import Any

import numpy as np

from deltamu.kernels.backend import array_module
from deltamu.kernels.loader import CudaSource, blocks

ACROSS, DOWN, DEEP = 32, 4, 8
PIXELS = {"float32": "float", "float16": "deltamu::Half"}


def kernel_name(storage: str, cone: bool) -> str:
    """Name of the kernel for views stored as `storage`."""
    return f"deltamu::add_views<{PIXELS[storage]}, {str(cone).lower()}, {DEEP}>"


SOURCE = CudaSource(
    "backproject", tuple(kernel_name(storage, cone) for storage in PIXELS for cone in (False, True))
)


def add_views(
    volume: Any, views: Any, matrices: np.ndarray, *, cone: bool, row_margin: float, scale: float
) -> None:
    """Add `scale` times the back-projection of views to a volume; both on the device, `matrices` on the host."""
    if views.shape[1] * views.shape[2] >= 2**31:
        raise ValueError(f"views: found {views.shape[1:]} pixels in a view, more than 32 bits count")
    depth, height, width = volume.shape
    SOURCE.launch(
        kernel_name(views.dtype.name, cone),
        (blocks(width, ACROSS), blocks(height, DOWN), blocks(depth, DEEP)),
        (ACROSS, DOWN),
        (
            views, array_module(volume).asarray(matrices), *views.shape, float(row_margin), float(scale),
            volume, *volume.shape,
        ),
    )  # fmt: skip
