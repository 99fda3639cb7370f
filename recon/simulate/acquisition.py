"""One simulated scan: record every frame of a scene, and name the files when they are complete."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import thread_count
from deltamu.recon.atomic import PARTIAL, disk_errors, write_json
from deltamu.recon.errors import InputError
from deltamu.recon.simulate.detector import (
    Detector,
    ScanGains,
    beam_doses,
    black_body_grid,
    drifting_gains,
    expose,
)
from deltamu.recon.simulate.scan_files import KINDS, WRITERS, Kind, ScanPlan, black_body_path
from deltamu.recon.simulate.transmission import Scene, clean_transmission

Raw = NDArray[np.uint16]
Array = NDArray[np.float32]

# raised when the same settings give other frames than before, so that old scans are not taken for new ones
SIMULATION_VERSION = 2
_FRAMES_PER_BLOCK = 32
_SECOND_ACQUISITION = 1000


@dataclass(frozen=True)
class ScanIdentity:
    """What decides the content of a simulated scan."""

    state: str
    state_index: int
    content: str
    preset: str
    beam: str
    seed: int
    featureless: bool
    stack_shift_um: float
    version: int = SIMULATION_VERSION


def scan_path(folder: Path, state: str) -> Path:
    """Return where the raw scan of a state lies."""
    return folder / WRITERS[state][0]


def is_complete(folder: Path, identity: ScanIdentity) -> bool:
    """Return whether this very scan was simulated to its end.

    Raises
    ------
    InputError
        If something else stands in its place.
    """
    path, stamp = scan_path(folder, identity.state), _stamp_path(folder, identity.state)
    if not path.exists():
        return False
    if not stamp.is_file():
        raise InputError(f"{path}: exists and was not simulated here; choose another folder")
    found = json.loads(stamp.read_text(encoding="utf-8"))
    result: bool = found == {**asdict(identity), "bytes": _size(path) + _size(black_body_path(path))}
    return result


def acquire(
    folder: Path,
    identity: ScanIdentity,
    scene: Callable[[], Scene],
    detector: Detector,
    *,
    progress: Callable[[int, int], None],
) -> None:
    """Simulate a scan and put it in its place; a scan of other settings is replaced.

    Parameters
    ----------
    folder : Path
        Of the study.
    identity : ScanIdentity
    scene : callable
        Builds what stands in the beam.
    detector : Detector
    progress : callable
        Called with the finished and the total number of steps; may raise to stop, which leaves no scan.
    """
    target = scan_path(folder, identity.state)
    partial = target.with_name(f".{target.name}{PARTIAL}")
    _remove(partial)
    with disk_errors(target):
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            _record(partial, identity, scene(), detector, progress)
            _put_in_place(partial, target, folder, identity)
        finally:
            _remove(partial)
            _remove(black_body_path(partial))


def _put_in_place(partial: Path, target: Path, folder: Path, identity: ScanIdentity) -> None:
    """Name the finished files; the scan itself last."""
    pairs = [(black_body_path(partial), black_body_path(target)), (partial, target)]
    total = sum(_size(made) for made, _ in pairs)
    for _, place in pairs:
        _remove(place)
    write_json(_stamp_path(folder, identity.state), {**asdict(identity), "bytes": total})
    for made, place in pairs:
        if made.exists():
            os.replace(made, place)


def _record(
    path: Path,
    identity: ScanIdentity,
    scene: Scene,
    detector: Detector,
    progress: Callable[[int, int], None],
) -> None:
    instrument = detector.instrument
    counts: dict[Kind, int] = {
        "darks": instrument.darks,
        "flats_before": instrument.flats,
        "projections": scene.preset.views,
        "flats_after": instrument.flats,
    }
    plan = ScanPlan(
        counts,
        (scene.preset.rows, scene.preset.columns),
        scene.preset.angles_deg,
        pixel_size_mm=scene.preset.pixel_size_mm,
        frame_s=instrument.frame_s,
    )
    steps = 2 * plan.frames
    with ThreadPoolExecutor(thread_count()) as pool, WRITERS[identity.state][1](path, plan) as writer:
        transmission = clean_transmission(
            scene, pool=pool, after_block=lambda done, total: progress(plan.frames * done // total, steps)
        )
        camera = _Camera(detector, identity, plan, transmission)
        for kind, start, frames in camera.blocks(pool):
            writer.put(kind, start, frames)
            progress(plan.frames + plan.first(kind) + start + len(frames), steps)
        if scene.beam.black_bodies:
            _record_black_bodies(black_body_path(path), identity, scene, detector, transmission, pool)


def _record_black_bodies(
    path: Path,
    identity: ScanIdentity,
    scene: Scene,
    detector: Detector,
    transmission: Array,
    pool: ThreadPoolExecutor,
) -> None:
    """Take some of the views, and the open beam, again behind a grid of black bodies."""
    views = np.linspace(0, scene.preset.views, scene.beam.black_bodies, endpoint=False).astype(int)
    instrument = detector.instrument
    counts: dict[Kind, int] = {
        "darks": instrument.darks,
        "flats_before": instrument.flats // 2,
        "projections": views.size,
        "flats_after": instrument.flats // 2,
    }
    plan = ScanPlan(
        counts,
        (scene.preset.rows, scene.preset.columns),
        scene.preset.angles_deg[views],
        pixel_size_mm=scene.preset.pixel_size_mm,
        frame_s=instrument.frame_s,
    )
    camera = _Camera(detector, identity, plan, transmission[views], grid=black_body_grid(scene.preset))
    with WRITERS[identity.state][1](path, plan) as writer:
        for kind, start, frames in camera.blocks(pool):
            writer.put(kind, start, frames)


class _Camera:
    """Draws the frames of one scan; each has its own random numbers, whatever the blocks and threads."""

    def __init__(
        self,
        detector: Detector,
        identity: ScanIdentity,
        plan: ScanPlan,
        transmission: Array,
        *,
        grid: Array | None = None,
    ) -> None:
        # another acquisition has other random numbers
        seed, index = identity.seed, identity.state_index + (0 if grid is None else _SECOND_ACQUISITION)
        self._seed, self._index, self._grid = seed, index, grid
        self._detector, self._plan = detector, plan
        self._transmission = transmission
        self._gains: ScanGains = drifting_gains(detector, seed=seed, state_index=index)
        self._doses = beam_doses(detector.instrument, plan.frames, seed=seed, state_index=index)

    def blocks(self, pool: ThreadPoolExecutor) -> Iterator[tuple[Kind, int, Raw]]:
        """Yield (kind, number of the first frame, frames), in the order of acquisition."""
        for kind in KINDS:
            for start in range(0, self._plan.counts[kind], _FRAMES_PER_BLOCK):
                stop = min(start + _FRAMES_PER_BLOCK, self._plan.counts[kind])
                yield (
                    kind,
                    start,
                    np.stack(list(pool.map(lambda n, k=kind: self._frame(k, n), range(start, stop)))),
                )

    def _frame(self, kind: Kind, number: int) -> Raw:
        frame = self._plan.first(kind) + number
        rng = np.random.default_rng([self._seed, self._index, frame])
        gains = {"flats_before": self._gains.before, "flats_after": self._gains.after}
        return expose(
            self._detector,
            self._transmission[number] if kind == "projections" else None,
            gains.get(kind, self._gains.scan),
            dose=0.0 if kind == "darks" else float(self._doses[frame]),
            rng=rng,
            grid=self._grid,
        )


def _stamp_path(folder: Path, state: str) -> Path:
    return folder / "truth" / f"scan_{state}.json"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
