"""Dead, hot and unstable pixels and line defects: found on flats and darks, interpolated in every frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.spots import local_median

Float32 = NDArray[np.float32]

# a pixel that sees less than half or more than twice what its neighbours see is not just a gain to divide out
DEAD_FRACTION = 0.5
BRIGHT_FRACTION = 2.0
HOT_FRACTION = 0.02
HOT_SIGMA = 10.0
UNSTABLE_RATIO = 4.0
FRAMES_FOR_STABILITY = 8
NEIGHBOURS = 8


@dataclass(frozen=True)
class PixelRepair:
    """Where to take the value of each bad pixel from.

    Attributes
    ----------
    pixels : (b,) int64 array
        Flat indices of the bad pixels.
    sources : (b, 8) int64 array
        Flat indices of the nearest good pixels.
    weights : (b, 8) float32 array
        Inverse squared distances, summing to 1.
    """

    pixels: NDArray[np.int64]
    sources: NDArray[np.int64]
    weights: Float32

    def apply(self, frames: Float32) -> None:
        """Write the interpolated values into (n, row, column) frames, in place."""
        if not self.pixels.size:
            return
        flat = frames.reshape(len(frames), -1)
        flat[:, self.pixels] = np.einsum("nbs,bs->nb", flat[:, self.sources], self.weights)


def find_bad_pixels(flat: Float32, dark: Float32, flats: Float32, darks: Float32) -> NDArray[np.bool_]:
    """Find pixels that no division by the flat can mend.

    Dead or stuck (signal below half of the neighbours' median, or twice it), hot (dark level far above its
    neighbours' and above 2 % of the open beam), or unstable from frame to frame.

    Parameters
    ----------
    flat, dark : (row, column) arrays
        Mean open beam (dark-corrected) and mean dark, ADU.
    flats, darks : (k, row, column) arrays
        The frames behind them.
    """
    around = local_median(flat, size=5)
    level = float(np.median(flat))
    bad = (
        (flat < DEAD_FRACTION * around)
        | (flat > BRIGHT_FRACTION * np.maximum(around, 0))
        | ~np.isfinite(flat)
    )
    bad |= flat <= 1e-3 * level
    excess = np.abs(dark - local_median(dark, size=5))
    sigma = 1.4826 * float(np.median(excess))
    bad |= excess > max(HOT_SIGMA * sigma, HOT_FRACTION * level)
    return bad | _unstable(flats) | _unstable(darks, floor=HOT_FRACTION * level)


def plan_repair(bad: NDArray[np.bool_]) -> PixelRepair:
    """Choose the nearest good pixels around each bad one; a frame without good pixels is left alone."""
    pixels = np.flatnonzero(bad)
    if not pixels.size or bad.all():
        return PixelRepair(
            np.empty(0, np.int64), np.empty((0, NEIGHBOURS), np.int64), np.empty((0, NEIGHBOURS), np.float32)
        )
    found = [_nearest_good(bad, *np.unravel_index(pixel, bad.shape)) for pixel in pixels]  # type: ignore[arg-type]
    sources = np.stack([source for source, _ in found])
    weights = np.stack([weight for _, weight in found]).astype(np.float32)
    return PixelRepair(pixels, sources, weights)


def _unstable(frames: Float32, floor: float = 0.0) -> NDArray[np.bool_]:
    """Pixels that scatter from frame to frame far more than their neighbours do."""
    if len(frames) < FRAMES_FOR_STABILITY:
        return np.zeros(frames.shape[1:], bool)
    scatter = np.asarray(1.4826 * np.median(np.abs(frames - np.median(frames, axis=0)), axis=0), np.float32)
    usual = local_median(scatter, size=5)
    return np.asarray(
        (scatter > UNSTABLE_RATIO * np.maximum(usual, float(np.median(scatter)))) & (scatter > floor)
    )


def _nearest_good(
    bad: NDArray[np.bool_], row: int, column: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    for radius in range(1, max(bad.shape)):
        top, left = max(row - radius, 0), max(column - radius, 0)
        rows, columns = np.nonzero(~bad[top : row + radius + 1, left : column + radius + 1])
        if rows.size >= 2:
            break
    rows, columns = rows + top, columns + left
    distance = (rows - row) ** 2 + (columns - column) ** 2
    order = np.argsort(distance, kind="stable")[:NEIGHBOURS]
    order = np.resize(order, NEIGHBOURS) if order.size else order
    weight = 1.0 / distance[order]
    # repeated entries share the weight of one
    _, inverse, count = np.unique(order, return_inverse=True, return_counts=True)
    weight = weight / count[inverse]
    return rows[order] * bad.shape[1] + columns[order], weight / weight.sum()
