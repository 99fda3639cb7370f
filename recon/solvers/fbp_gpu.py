"""Filtered back-projection of data on the host by the GPUs of the machine.

Written against CuPy's interface and tested with a stand-in for it; it has not been run on a GPU.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.device import Device, free_memory
from deltamu.kernels.gridding import padded_length
from deltamu.kernels.gridding_cuda import BATCH, device_gridding_cost
from deltamu.recon.errors import ResourceError
from deltamu.recon.solvers.fbp import check_size, check_views, fbp
from deltamu.recon.solvers.slabs import share_slabs

Image = NDArray[np.float32]
# while one thread of a device copies, the other computes
THREADS_PER_GPU = 2
# of the free memory; the rest is left to the Fourier transforms and to others
SHARE_OF_MEMORY = 0.8


def fbp_on_gpus(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    size: int | None = None,
    gpus: int | None = None,
    slab: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Image:
    """Reconstruct as `fbp` does, on all GPUs: slabs of rows are copied there and back while others are computed.

    Parameters
    ----------
    line_integrals : (angle, row, column) numpy array
    angles : (angle,) array
        Radians.
    center, pixel_size_mm, size
        As in `fbp`.
    gpus : int, optional
        How many; all by default.
    slab : int, optional
        Rows at a time; as many as fit into the free memory by default. Where memory runs out all the same,
        slabs are halved.
    progress : callable, optional
        Called with (rows done, rows).
    **options
        Further options of `fbp`.

    Returns
    -------
    (row, size, size) float32 numpy array
        cm⁻¹.

    Raises
    ------
    InputError
        As `fbp`.
    ResourceError
        If not even one row fits into the memory of a GPU.
    """
    cupy = importlib.import_module("cupy")
    views, theta = check_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    rows, side = views.shape[1], check_size(size, views.shape[2])
    count = cupy.cuda.runtime.getDeviceCount() if gpus is None else gpus
    tall = slab or _rows_that_fit(views.shape, side)
    given = {"center": center, "pixel_size_mm": pixel_size_mm, "size": side, **options}
    out, done = np.empty((rows, side, side), np.float32), []

    def reconstruct(worker: int, first: int, stop: int) -> None:
        with (
            cupy.cuda.Device(worker % count),
            cupy.cuda.Stream(non_blocking=True) as stream,
            _memory_errors(),
        ):
            part = fbp(_uploaded(cupy, views[:, first:stop], stream), theta, **given)
            _download(part, out[first:stop], stream)
        done.append(stop - first)
        if progress is not None:
            progress(sum(done), rows)

    try:
        share_slabs(reconstruct, rows, slab=min(tall, rows), workers=count * THREADS_PER_GPU)
    except MemoryError as error:
        raise ResourceError(
            f"device: one row of {views.shape[0]} views × {views.shape[2]} columns does not fit into the memory of the "
            f"GPU ({error}); close what else uses it, crop the scan, or use --device cpu"
        ) from None
    return out


class _memory_errors:
    """Turns what cuFFT raises when it finds no memory into a MemoryError, and gives unused memory back."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or not (isinstance(error, MemoryError) or "ALLOC_FAILED" in str(error)):
            return
        importlib.import_module("cupy").get_default_memory_pool().free_all_blocks()
        raise MemoryError(str(error)) from None


def _rows_that_fit(shape: tuple[int, ...], side: int) -> int:
    """Rows of a slab, whole batches where possible, so that every thread of a device has room for one."""
    views, _, columns = shape
    free = free_memory(Device("gpu")) * SHARE_OF_MEMORY / THREADS_PER_GPU
    cost = device_gridding_cost(views, columns, side, padded_length(columns, side))
    data = 4 * (views * columns + side * side)
    beyond_a_batch = int((free - cost.total(BATCH)) / data)
    if beyond_a_batch >= BATCH:
        return beyond_a_batch // BATCH * BATCH
    return max(min(BATCH, int((free - cost.fixed_bytes) / (data + cost.bytes_per_slice))), 1)


def _uploaded(cupy: Any, values: NDArray[np.float32], stream: Any) -> Any:
    """Copy to the device through pinned memory: only from there does a copy run beside a computation."""
    pinned = importlib.import_module("cupyx").empty_pinned(values.shape, np.float32)
    pinned[...] = values
    on_device = cupy.empty(values.shape, np.float32)
    on_device.set(pinned, stream=stream)
    # the pinned memory must not be given back while it is read
    stream.synchronize()
    return on_device


def _download(values: Any, out: NDArray[np.float32], stream: Any) -> None:
    pinned = importlib.import_module("cupyx").empty_pinned(values.shape, np.float32)
    values.get(stream=stream, out=pinned)
    stream.synchronize()
    out[...] = pinned
