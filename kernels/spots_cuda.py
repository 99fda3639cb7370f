"""Launches of `spots.cu`."""

from typing import Any

from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

ACROSS, DOWN, ALONG = 32, 4, 128
LOCAL = {size: f"spots::local_median<{size}>" for size in (3, 5)}
RUNNING = "spots::running_median"
FIND, FIND_AGAIN, FILL = "spots::find", "spots::find_again", "spots::fill"
SOURCE = CudaSource("spots", (*LOCAL.values(), RUNNING, FIND, FIND_AGAIN, FILL))


def local_median(frames: Any, *, size: int, out: Any) -> None:
    """Medians of the neighbourhoods of every pixel of frames (n, row, column) on the device."""
    SOURCE.launch(LOCAL[size], _grid(frames), (ACROSS, DOWN), (frames, *frames.shape, out))


def running_median(lines: Any, *, window: int, out: Any) -> None:
    """Medians of `window` neighbours along lines (line, column) on the device."""
    count, columns = lines.shape
    grid = (blocks(columns, ALONG), min(count, MOST_BLOCKS))
    SOURCE.launch(RUNNING, grid, (ALONG,), (lines, *lines.shape, window, out))


def find_spots(frames: Any, offset: Any, slope: Any, *, threshold: float, mask: Any) -> None:
    """Flag the spots of frames (n, row, column) on the device in `mask` (uint8, zero)."""
    if not frames.size:
        return
    noise = (offset, slope, threshold**2)
    SOURCE.launch(FIND, _grid(frames), (ACROSS, DOWN), (frames, *frames.shape, *noise, mask))
    first, filled = mask.copy(), frames.copy()
    fill_flagged(filled, first)
    SOURCE.launch(FIND_AGAIN, _grid(frames), (ACROSS, DOWN), (filled, *frames.shape, *noise, first, mask))


def fill_flagged(frames: Any, mask: Any) -> None:
    """Replace flagged pixels of frames (n, row, column) on the device, in place."""
    if frames.size:
        SOURCE.launch(FILL, _grid(frames), (ACROSS, DOWN), (frames, mask, *frames.shape, frames))


def _grid(frames: Any) -> tuple[int, int, int]:
    count, rows, columns = frames.shape
    return blocks(columns, ACROSS), blocks(rows, DOWN), min(count, MOST_BLOCKS)
