"""The long part of a run: every frame becomes profiles, in journalled blocks; some become maps."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.operando.frame_chain import CorrectedFrame, stream
from deltamu.recon.operando.reference import SeriesReference
from deltamu.recon.operando.series import Series
from deltamu.recon.operando.strip_profiles import FrameRecord, frame_in_place, measure_frame
from deltamu.recon.preprocess.correction import Correction
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.journal import Journal
from deltamu.recon.study.operando.settings import SeriesStudy
from deltamu.recon.study.progress import Cancel, Progress, stop_if_asked
from deltamu.recon.study.storage import write_slabs_piece
from deltamu.recon.volumes.blocks import BlockArray, create_stack

Float = NDArray[np.float64]
# frames per piece: a few seconds of work, one file of profiles
PIECE_FRAMES = 64


@dataclass(frozen=True)
class SeriesRun:
    """A run under way."""

    study: SeriesStudy
    output: Path
    series: Series
    correction: Correction
    reference: SeriesReference
    journal: Journal
    settings: str
    progress: Progress
    cancel: Cancel
    timing: dict[str, float] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """Root of the arrays."""
        return self.output / "series.zarr"


@dataclass(frozen=True)
class FrameFacts:
    """What is known of every frame beside its profiles."""

    drift_px: Float
    dose: Float
    spots_fraction: Float
    by_neighbours: NDArray[np.bool_]


def measure_frames(run: SeriesRun) -> tuple[BlockArray, FrameFacts]:
    """Measure all frames, or those that an earlier start did not finish."""
    frames = run.series.shape[0]
    rows, strips = run.series.shape[1], run.reference.strips.count
    profiles = create_stack(
        run.store / "profiles", shape=(frames, strips, rows), chunks=(PIECE_FRAMES, strips, rows)
    )  # fmt: skip
    payloads: list[Mapping[str, Any]] = []
    for piece in range(profiles.slabs):
        key = PieceKey("frames", "", piece)
        if not run.journal.piece_is_current(key, run.settings):
            stop_if_asked(run.cancel)
            _measure_piece(run, profiles, key)
        payloads.append(run.journal.payload(key))
        run.progress("frames", "", piece + 1, profiles.slabs)
    return profiles, FrameFacts(
        _joined(payloads, "drift_px"), _joined(payloads, "dose"), _joined(payloads, "spots_fraction"),
        _joined(payloads, "by_neighbours").astype(bool),
    )  # fmt: skip


def _joined(payloads: Sequence[Mapping[str, Any]], name: str) -> Float:
    return np.concatenate([np.asarray(payload[name], np.float64) for payload in payloads])


def _measure_piece(run: SeriesRun, profiles: BlockArray, key: PieceKey) -> None:
    begun = time.monotonic()
    first = key.slab * PIECE_FRAMES
    stop = min(first + PIECE_FRAMES, run.series.shape[0])
    drift = run.study.preprocess.drift

    def work(frame: CorrectedFrame) -> FrameRecord:
        return measure_frame(frame, run.reference, drift=drift)

    records: list[FrameRecord] = []
    for block in stream(run.series, run.correction, work, start=first, stop=stop):
        stop_if_asked(run.cancel)
        records += block
    payload = {
        "drift_px": [list(record.drift_px) for record in records],
        "dose": [record.dose for record in records],
        "spots_fraction": [record.spots_fraction for record in records],
        "by_neighbours": [record.by_neighbours for record in records],
        "seconds": round(time.monotonic() - begun, 4),
    }
    stacked = np.stack([record.profiles for record in records])
    write_slabs_piece(run.journal, key, run.settings, [(profiles, stacked)], payload=payload)


def map_times(run: SeriesRun) -> list[tuple[int, int]]:
    """First and stop of the frames of each map, evenly over the time after the reference."""
    frames, width = run.series.shape[0], run.study.report.frames_per_map
    first = run.study.reference_frames[1]
    ends = np.linspace(first, frames, run.study.report.maps + 1)[1:]
    return [(max(int(end) - width, 0), int(end)) for end in ends]


def measure_maps(run: SeriesRun, facts: FrameFacts) -> list[tuple[int, int]]:
    """Average Tr_t / Tr_0 over a few frames at some times, as whole maps; return the first and stop of the frames."""
    bounds = map_times(run)
    shape = (len(bounds), *run.series.shape[1:])
    ratios = create_stack(run.store / "maps" / "ratio", shape=shape, chunks=(1, *shape[1:]))
    sigmas = create_stack(run.store / "maps" / "sigma", shape=shape, chunks=(1, *shape[1:]))
    for number, (first, stop) in enumerate(bounds):
        key = PieceKey("maps", "", number)
        if not run.journal.piece_is_current(key, run.settings):
            stop_if_asked(run.cancel)
            begun = time.monotonic()
            ratio, sigma = _map(run, facts, first, stop)
            payload = {"frames": [first, stop], "seconds": round(time.monotonic() - begun, 4)}
            write_slabs_piece(
                run.journal,
                key,
                run.settings,
                [(ratios, ratio[None]), (sigmas, sigma[None])],
                payload=payload,
            )
        run.progress("maps", "", number + 1, len(bounds))
    return bounds


def _map(
    run: SeriesRun, facts: FrameFacts, first: int, stop: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ratio and its σ: counting noise of one pixel in the frames of the map and of the reference."""
    total = np.zeros(run.series.shape[1:], np.float64)

    def work(frame: CorrectedFrame) -> NDArray[np.float32]:
        return frame_in_place(
            frame, (float(facts.drift_px[frame.number, 0]), float(facts.drift_px[frame.number, 1]))
        )

    for block in stream(run.series, run.correction, work, start=first, stop=stop):
        for moved in block:
            total += moved
    mean, before = total / (stop - first), np.maximum(run.reference.transmission.astype(np.float64), 1e-6)
    reference = run.reference.frames[1] - run.reference.frames[0]
    (now, growth), (then, reference_growth) = (run.reference.linear_frame(level) for level in (mean, before))
    ratio = now / then
    relative = growth**2 * _relative_variance(run, mean, stop - first)
    relative = relative + reference_growth**2 * _relative_variance(run, before, reference)
    return ratio.astype(np.float32), (np.abs(ratio) * np.sqrt(relative)).astype(np.float32)


def _relative_variance(run: SeriesRun, transmission: Float, frames: int) -> Float:
    """Of one pixel of a mean of frames, over the square of its transmission; the background is counted too."""
    noise, behind = run.correction.noise, run.reference.noise
    counts = run.correction.flat / noise.adu_per_count / noise.pixel_fraction * frames
    lit = 1 - behind.open_background
    seen = np.maximum(transmission, 1e-3)
    return np.asarray((seen * lit + behind.background) / lit**2 / seen**2 / counts)
