"""Launches of `spots.cu`."""

from typing import Any

from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

ACROSS, DOWN, ALONG = 32, 4, 128
LOCAL = {size: f"spots::local_median<{size}>" for size in (3, 5)}
RUNNING = "spots::running_median"
SOURCE = CudaSource("spots", (*LOCAL.values(), RUNNING))


def local_median(frames: Any, *, size: int, out: Any) -> None:
    """Medians of the neighbourhoods of every pixel of frames (n, row, column) on the device."""
    count, rows, columns = frames.shape
    grid = (blocks(columns, ACROSS), blocks(rows, DOWN), min(count, MOST_BLOCKS))
    SOURCE.launch(LOCAL[size], grid, (ACROSS, DOWN), (frames, *frames.shape, out))


def running_median(lines: Any, *, window: int, out: Any) -> None:
    """Medians of `window` neighbours along lines (line, column) on the device."""
    count, columns = lines.shape
    grid = (blocks(columns, ALONG), min(count, MOST_BLOCKS))
    SOURCE.launch(RUNNING, grid, (ALONG,), (lines, *lines.shape, window, out))
