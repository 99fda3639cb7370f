"""Dead, hot and unstable pixels and line defects: found on flats, darks and views, interpolated in every frame."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.spots import local_median
from deltamu.recon.preprocess.on_device import OnDevice

Float32 = NDArray[np.float32]

# a pixel that sees less than half or more than twice what its neighbours see is not just a gain to divide out
DEAD_FRACTION = 0.5
BRIGHT_FRACTION = 2.0
HOT_FRACTION = 0.02
HOT_SIGMA = 10.0
UNSTABLE_RATIO = 4.0
FRAMES_FOR_STABILITY = 8
NEIGHBOURS = 8
# in the views: so many frames are looked at, a pixel stands out by so much of its level, a column in so many rows
VIEWS_LOOKED_AT, FEWEST_VIEWS = 8, 3
STANDS_OUT_SIGMA, STANDS_OUT_FRACTION = 4.0, 0.05
BAD_COLUMN = 0.5


@dataclass(frozen=True)
class PixelRepair(OnDevice):
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

    maps: ClassVar = ("pixels", "sources", "weights")

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


def bad_in_views(frames: Float32, variance: tuple[Float32, Float32]) -> NDArray[np.bool_]:
    """Find pixels and whole columns that fail in the views, whatever flats and darks say of them.

    A pixel is bad that lies beyond seven of its eight neighbours, by four standard deviations and 5 % of their level,
    in most views: the blur of the detector lets no part of a sample do that, and hits come and go. A column is
    bad whose pixels lie beyond those at both sides in most rows. Smaller errors of gains are left to `gain_pattern`.

    Parameters
    ----------
    frames : (n, row, column) array
        Transmission of views spread over the scan; with fewer than three nothing is bad.
    variance : (offset, slope), each (row, column)
        As for `find_spots`.

    Returns
    -------
    (row, column) bool array
    """
    if len(frames) < FEWEST_VIEWS or min(frames.shape[1:]) < 3:
        return np.zeros(frames.shape[1:], bool)
    chosen = np.unique(np.linspace(0, len(frames) - 1, VIEWS_LOOKED_AT).round().astype(int))
    pixels, columns = (
        np.median([beyond(frames[k], variance) for k in chosen], axis=0) > 1
        for beyond in (_beyond_neighbours, _beyond_sides)
    )
    return np.asarray(pixels | (columns.mean(axis=0) > BAD_COLUMN))


def _beyond_neighbours(frame: Float32, variance: tuple[Float32, Float32]) -> Float32:
    """How far each pixel lies beyond all but one of its eight neighbours, in units of what is allowed."""
    padded = np.pad(frame, 1, mode="reflect")
    rows, columns = frame.shape
    around = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    ordered = np.partition(np.stack(around), (1, 3, 6), axis=0)
    return _excess(frame, ordered[1], ordered[6], ordered[3], variance)


def _beyond_sides(frame: Float32, variance: tuple[Float32, Float32]) -> Float32:
    """How far each pixel lies beyond those to its left and right, in the same units."""
    padded = np.pad(frame, ((0, 0), (1, 1)), mode="reflect")
    left, right = padded[:, :-2], padded[:, 2:]
    low, high = np.minimum(left, right), np.maximum(left, right)
    return _excess(frame, low, high, np.asarray(0.5 * (low + high), np.float32), variance)


def _excess(
    frame: Float32, low: Float32, high: Float32, level: Float32, variance: tuple[Float32, Float32]
) -> Float32:
    usual = np.maximum(level, 0)
    allowed = np.maximum(
        STANDS_OUT_SIGMA * np.sqrt(variance[0] + variance[1] * usual), STANDS_OUT_FRACTION * usual
    )
    return np.asarray(np.maximum(frame - high, low - frame) / np.maximum(allowed, 1e-9), np.float32)


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
