"""Back-projection by gridding on the device: launches of `gridding.cu` and the transforms between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.kernels import _cpu
from deltamu.kernels.backend import Cost, array_module, common_module
from deltamu.kernels.gridding_window import beatty_beta, correction, grid_points, window_table
from deltamu.kernels.loader import MOST_BLOCKS, CudaSource, blocks

if TYPE_CHECKING:
    from deltamu.kernels.gridding import GriddingPlan

LANES, DOWN, ALONG = 32, 8, 128
# slices of a batch: as many pairs as a warp has threads
BATCH = 2 * LANES
KERNELS = {
    name: f"deltamu::{name}" for name in ("pad_views", "apply_response", "spread", "fold_halo", "crop")
}
SOURCE = CudaSource("gridding", tuple(KERNELS.values()))


@dataclass(frozen=True)
class DeviceTables:
    """Everything of a geometry that stays on one device: samples sorted into tiles, window and its correction."""

    taps: Any
    tile_start: Any
    colours: tuple[int, ...]
    order: Any
    window: Any
    correction: Any
    points: int


def grid_backproject(
    plan: GriddingPlan,
    sinograms: Any,
    response: Any,
    *,
    repeat_edge: bool = False,
    out: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Filter and back-project sinograms (angle, slice, column) that are on the device; see `gridding.py`."""
    xp, slices = array_module(sinograms), sinograms.shape[1]
    result = xp.empty((slices, plan.size, plan.size), np.float32) if out is None else out
    common_module(sinograms=sinograms, out=result)
    tables = _tables(
        xp, xp.cuda.Device().id, plan.angles.tobytes(), plan.order.tobytes(), plan.size, plan.padded,
        plan.phases.shape[1], plan.voxel_step,
    )  # fmt: skip
    multipliers = xp.asarray(np.asarray(response, np.float32)), xp.asarray(plan.phases)
    for first in range(0, slices, BATCH):
        last = min(first + BATCH, slices)
        block = xp.ascontiguousarray(sinograms[:, first:last], np.float32)
        _refuse_unknown(xp, block, first)
        spectra = xp.fft.fft(_padded(xp, plan, tables, block, repeat_edge), axis=-1)
        samples = _filtered(xp, plan, spectra, *multipliers)
        images = xp.fft.ifft2(_folded(xp, tables, _spread(xp, tables, samples)), norm="forward")
        _crop(tables, images, result[first:last])
        if progress is not None:
            progress(last, slices)
    return result


def device_gridding_cost(views: int, columns: int, size: int, padded: int) -> Cost:
    """Device memory of `grid_backproject` with its tables, for up to BATCH slices; more take no more.

    Parameters
    ----------
    views, columns, size, padded : int
        As in a plan.
    """
    points = grid_points(size)
    # of a pair: the padded view, its spectrum, a transform's workspace; the grid, folded, transformed, a workspace
    pair = 8 * (3 * views * padded + (points + 2 * _cpu.GRIDDING_HALO) ** 2 + 3 * points**2)
    # a tap of 12 bytes per sample, a phase of 8 bytes per two samples
    return Cost(pair // 2 + 4 * views * columns, 16 * views * padded)


@lru_cache(maxsize=4)
def _tables(
    xp: ModuleType,
    device: int,
    angles: bytes,
    order: bytes,
    size: int,
    padded: int,
    harmonics: int,
    voxel_step: float,
) -> DeviceTables:
    theta, points = np.frombuffer(angles), grid_points(size)
    taps, tile_start, colours = _cpu.polar_taps(
        np.cos(theta),
        np.sin(theta),
        harmonics=harmonics,
        padded=padded,
        grid_points=points,
        voxel_step=voxel_step,
    )
    beta = beatty_beta(points / size)
    tables = DeviceTables(
        xp.asarray(taps),
        xp.asarray(tile_start),
        tuple(int(start) for start in colours),
        xp.asarray(np.frombuffer(order, np.int64)),
        xp.asarray(window_table(beta)),
        xp.asarray(correction(size, points, beta)),
        points,
    )
    # other streams use them too
    xp.cuda.get_current_stream().synchronize()
    return tables


def _refuse_unknown(xp: ModuleType, block: Any, first: int) -> None:
    finite = xp.isfinite(block).all(axis=(1, 2))
    if not bool(finite.all()):
        raise ValueError(
            f"sinograms: view {int(finite.argmin())} holds values that are not finite "
            f"(slices {first} to {first + block.shape[1] - 1})"
        )


def _padded(xp: ModuleType, plan: GriddingPlan, tables: DeviceTables, block: Any, repeat_edge: bool) -> Any:
    pairs = blocks(block.shape[1], 2)
    views = xp.empty((plan.views, pairs, plan.padded), np.complex64)
    SOURCE.launch(
        KERNELS["pad_views"],
        (blocks(plan.padded, ALONG), min(plan.views * pairs, MOST_BLOCKS)),
        (ALONG,),
        (block, tables.order, *block.shape, plan.padded, repeat_edge, views, pairs),
    )
    return views


def _filtered(xp: ModuleType, plan: GriddingPlan, spectra: Any, response: Any, phases: Any) -> Any:
    """Samples (view, sample, pair): a warp reads one sample of all pairs at once."""
    views, pairs, padded = spectra.shape
    samples = xp.empty((views, padded, pairs), np.complex64)
    SOURCE.launch(
        KERNELS["apply_response"],
        (blocks(padded, LANES), blocks(pairs, LANES), min(views, MOST_BLOCKS)),
        (LANES, DOWN),
        (spectra, phases, response, views, pairs, padded, phases.shape[1], samples),
    )
    return samples


def _spread(xp: ModuleType, tables: DeviceTables, samples: Any) -> Any:
    """Grid (pair, row, column) with its halo; one launch for each colour of tiles."""
    pairs, along = samples.shape[2], tables.points + 2 * _cpu.GRIDDING_HALO
    grid = xp.zeros((pairs, along, along), np.complex64)
    for first, last in pairwise(tables.colours):
        if last > first:
            SOURCE.launch(
                KERNELS["spread"],
                (last - first, blocks(pairs, LANES)),
                (LANES,),
                (samples, pairs, tables.taps, tables.tile_start, first, tables.window, grid, along),
            )
    return grid


def _folded(xp: ModuleType, tables: DeviceTables, grid: Any) -> Any:
    pairs, points = len(grid), tables.points
    out = xp.empty((pairs, points, points), np.complex64)
    SOURCE.launch(KERNELS["fold_halo"], _image_grid(points, pairs), (LANES, DOWN), (grid, pairs, points, out))
    return out


def _crop(tables: DeviceTables, images: Any, out: Any) -> None:
    slices, size, _ = out.shape
    SOURCE.launch(
        KERNELS["crop"],
        _image_grid(size, len(images)),
        (LANES, DOWN),
        (images, len(images), tables.points, tables.correction, out, slices, size),
    )


def _image_grid(size: int, images: int) -> tuple[int, int, int]:
    return blocks(size, LANES), blocks(size, DOWN), min(images, MOST_BLOCKS)
