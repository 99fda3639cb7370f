"""From raw frames to transmission, frame after frame: memory does not depend on how many there are."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import thread_count
from deltamu.kernels.spots import fill_flagged, find_spots
from deltamu.recon.operando.series import Series
from deltamu.recon.operando.temporal_spots import SpotNoise, find_temporal_spots
from deltamu.recon.preprocess.correction import (
    Correction,
    clean_transmission,
    dose_of_frame,
    true_transmission,
)

Float32 = NDArray[np.float32]
Result = TypeVar("Result")
Held = dict[int, Float32]

_BLOCK_BYTES = 40 << 20
# more flagged pixels than this and the neighbours in time are no guide: the sample has jumped
_MOST_SPOTS = 0.02
# pixels of air that tell the beam well enough to compare two frames; below that of the flats there is none
_LEVEL_PIXELS, _DARKEST_BEAM = 20_000, 1e-3


@dataclass(frozen=True)
class CorrectedFrame:
    """One frame as it is handed on.

    Attributes
    ----------
    number : int
        In the series.
    transmission : (row, column) float32 array
        Dark, open beam, bad pixels, spots and dose corrected.
    dose : float
        Beam over that of the flats.
    spots_fraction : float
    by_neighbours : bool
        Whether the spots were found by the neighbours in time; otherwise by those in space.
    """

    number: int
    transmission: Float32
    dose: float
    spots_fraction: float
    by_neighbours: bool


def stream(
    series: Series,
    correction: Correction,
    work: Callable[[CorrectedFrame], Result],
    *,
    start: int = 0,
    stop: int | None = None,
    block: int | None = None,
) -> Iterator[list[Result]]:
    """Correct frames, give each to `work` on one of several threads, and yield the results block by block.

    The result for a frame depends on that frame and its two neighbours only, not on blocks or threads.

    Parameters
    ----------
    series : Series
    correction : Correction
    work : callable
        Called with every corrected frame; must be safe to call from several threads.
    start, stop : int
        Frames of the series.
    block : int, optional
        Frames that are held at a time; by default what fits 40 MB.
    """
    stop = series.shape[0] if stop is None else stop
    size = block or frames_per_block(series.shape[1:])
    noise = _spot_noise(correction)
    starts = list(range(start, stop, size))
    wanted = tuple(_with_neighbours(first, min(first + size, stop), series) for first in starts)
    loader = _Loader(series, replace(correction, spot_noise=None), wanted)
    weight = correction.dose_weight
    held: Held = {}
    doses: dict[int, float] = {}
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(max(1, thread_count())) as pool:
        coming = reader.submit(loader, 0) if starts else None
        for index, first in enumerate(starts):
            assert coming is not None
            loaded = coming.result()
            coming = reader.submit(loader, index + 1) if index + 1 < len(starts) else None
            held = {n: frame for n, frame in held.items() if n >= loader.wanted[index][0]} | loaded
            levels = pool.map(lambda frame: _levelled(frame, correction), loaded.values())
            doses |= zip(loaded, levels, strict=True)
            finish = _Finisher(held, doses, noise, correction, weight)
            numbers = range(first, min(first + size, stop))
            yield list(pool.map(lambda number, finish=finish: work(finish(number)), numbers))


def _with_neighbours(first: int, stop: int, series: Series) -> tuple[int, int]:
    """First and stop of a block with the frames before and after it.

    At the ends of the series the two nearest frames stand in for the missing neighbour.
    """
    frames = series.shape[0]
    return max(min(first - 1, frames - 3), 0), min(max(stop + 1, 3), frames)


def frames_per_block(shape: tuple[int, int] | tuple[int, ...]) -> int:
    """Frames that are held at a time."""
    return int(np.clip(_BLOCK_BYTES // (4 * shape[0] * shape[1]), 4, 64))


@dataclass(frozen=True)
class _Loader:
    """Reads the frames that a block needs and the one before it did not, without dark and open beam."""

    series: Series
    without_spots: Correction
    wanted: tuple[tuple[int, int], ...]

    def __call__(self, index: int) -> Held:
        low, high = self.wanted[index]
        low = max(low, self.wanted[index - 1][1]) if index else low
        if low >= high:
            return {}
        return dict(enumerate(clean_transmission(self.series.read(low, high), self.without_spots)[0], low))


@dataclass(frozen=True)
class _Finisher:
    """Removes spots and corrects the dose of single frames that are held, each scaled to about dose 1."""

    held: Held
    doses: Mapping[int, float]
    noise: SpotNoise | None
    correction: Correction
    dose_weight: Float32

    def __call__(self, number: int) -> CorrectedFrame:
        frame = self.held[number].copy()
        fraction, by_neighbours = 0.0, True
        if self.noise is not None:
            fraction, by_neighbours = self._remove_spots(frame, number, self.noise)
        correction = self.correction
        background = correction.background_of(number)
        fine = dose_of_frame(frame, self.dose_weight, background, correction, view=number)
        true = true_transmission(frame, fine, background, correction)
        return CorrectedFrame(number, true, self.doses[number] * fine, fraction, by_neighbours)

    def _remove_spots(self, frame: Float32, number: int, noise: SpotNoise) -> tuple[float, bool]:
        """Replace spots in place."""
        beside = sorted((step for step in (-1, 1, -2, 2) if number + step in self.held), key=abs)[:2]
        if len(beside) == 2:
            before, after = (self.held[number + step] for step in beside)
            spots, values = find_temporal_spots(frame, before, after, noise)
            if spots.size <= _MOST_SPOTS * frame.size:
                frame.ravel()[spots] = values
                return spots.size / frame.size, True
        mask = find_spots(frame[None], (noise.offset, noise.slope), threshold=noise.threshold)
        fill_flagged(frame[None], mask)
        return float(mask.mean()), False


def _spot_noise(correction: Correction) -> SpotNoise | None:
    if correction.spot_noise is None:
        return None
    offset, slope = correction.spot_noise
    relative = (float(np.median(correction.flat)) * correction.inverse_flat).astype(np.float32)
    return SpotNoise(
        np.full(relative.shape, offset, np.float32), relative * np.float32(slope), correction.spot_threshold
    )


def _levelled(frame: Float32, correction: Correction) -> float:
    """Scale a frame to about dose 1, in place, to compare neighbours in time; single spots cannot change the dose."""
    if not correction.air_columns:
        return 1.0
    step = max(1, frame.shape[0] * sum(b - a for a, b in correction.air_columns) // _LEVEL_PIXELS)
    level = float(np.median(np.concatenate([frame[::step, a:b].ravel() for a, b in correction.air_columns])))
    if level <= _DARKEST_BEAM:
        return 1.0
    frame *= np.float32(1 / level)
    return level
