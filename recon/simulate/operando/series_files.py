"""A simulated series on disk: frames with time stamps, the cycler's file, and the truth in a folder of its own."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.atomic import replacing, write_json, write_text
from deltamu.recon.errors import Cancelled, InputError
from deltamu.recon.simulate.operando.camera import Drift, SeriesCamera
from deltamu.recon.simulate.operando.designs import SeriesDesign, find_design
from deltamu.recon.simulate.operando.front_cell import FrontCell
from deltamu.recon.simulate.operando.lithium_metal import LithiumMetalCell
from deltamu.recon.simulate.operando.stack import layer_starts
from deltamu.recon.simulate.presets import BEAMS, Beam, Instrument

Float = NDArray[np.float64]
# the detector's clock; the cycler's shows the local time of this zone and is 7 s ahead
START = datetime(2024, 3, 5, 8, 0, tzinfo=UTC)
CYCLER_ZONE, CYCLER_AHEAD_S = "Europe/Berlin", 7.0
_CYCLER_STEP_S = 20.0
_THREADS = 2


class Progress(Protocol):
    """Called after every finished piece of a stage."""

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a stage are finished for a state."""


def make_camera(
    design: SeriesDesign, *, seed: int, drift: Drift | None = None, beam: Beam = BEAMS["ideal"]
) -> SeriesCamera:
    """Put a cell in front of a camera."""
    return SeriesCamera(
        design.cell, design.preset, beam, Instrument(frame_s=design.frame_s), design.times_s,
        Drift() if drift is None else drift, seed,
    )  # fmt: skip


def simulate_series(
    folder: str | Path,
    *,
    kind: str,
    seed: int = 1,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> SeriesDesign:
    """Write raw/ (frames, flats, darks, times.csv), the cycler's file and truth/; frames that are there stay.

    Raises
    ------
    InputError
        If the folder holds another series.
    Cancelled
        If `cancel` said yes; what is written is kept.
    """
    design = find_design(kind, seed=seed)
    folder = Path(folder)
    _claim(folder, {"kind": kind, "seed": seed, "version": 1})
    camera = make_camera(design, seed=seed)
    for name, frames in camera.references().items():
        for number, frame in enumerate(frames):
            _write_frame(folder / "raw" / name / f"{name}_{number:04d}.tif", lambda frame=frame: frame)  # type: ignore[misc]
    _write_frames(folder / "raw" / "projections", camera, progress, cancel)
    write_text(folder / "raw" / "times.csv", _times_table(design))
    _write_cycler(folder, design)
    _write_truth(folder / "truth", design, camera)
    return design


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    path = folder / "truth" / "identity.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != identity:
        raise InputError(f"{folder}: holds another simulated series; choose another folder")
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder}: is not empty and holds no simulated series; choose another folder")
        write_json(path, identity)


def _write_frames(
    folder: Path, camera: SeriesCamera, progress: Progress | None, cancel: Callable[[], bool] | None
) -> None:
    count = camera.times_s.size

    def write(number: int) -> None:
        if cancel is not None and cancel():
            raise Cancelled("stopped as asked; the frames written so far are kept")
        _write_frame(folder / f"frame_{number:04d}.tif", lambda: camera.frame(number))

    with ThreadPoolExecutor(_THREADS) as pool:
        for number, _ in enumerate(pool.map(write, range(count)), 1):
            if progress is not None:
                progress("simulate frames", "", number, count)


def _write_frame(path: Path, draw: Callable[[], NDArray[np.uint16]]) -> None:
    import tifffile

    if not path.exists():
        with replacing(path) as temporary:
            tifffile.imwrite(temporary, draw(), metadata=None)


def _times_table(design: SeriesDesign) -> str:
    """Beginning of every exposure by the detector's clock."""
    begins = design.times_s - design.times_s[0]
    lines = [
        f"frame_{number:04d}.tif,{(START + timedelta(seconds=float(begin))).strftime('%Y-%m-%d %H:%M:%S')}"
        for number, begin in enumerate(begins)
    ]
    return "\n".join(["file,time (UTC)", *lines, ""])


def cycler_records(design: SeriesDesign) -> dict[str, Float]:
    """What the cycler writes down from the beginning of the series on: time, voltage, current, charge."""
    first = design.times_s[0] - design.frame_s / 2
    times = np.arange(0.0, design.times_s[-1] - first + 1, _CYCLER_STEP_S)
    since = times + first
    current = design.process.current(since)
    rest = design.process.voltage(np.zeros(1))[0]
    voltage = np.where(since >= 0, design.process.voltage(since), rest + 2e-4 * np.sin(times))
    return {"time": times, "voltage": voltage, "current": current, "charge": _counted(since, current)}


def _counted(since: Float, current: Float) -> Float:
    """MAh since the current was switched on."""
    return np.asarray(np.clip(since, 0, None) * current / 3600)


def _write_cycler(folder: Path, design: SeriesDesign) -> None:
    name, writer = CYCLER_FILES[design.kind]
    ahead = timedelta(seconds=CYCLER_AHEAD_S)
    begin = (START + ahead).astimezone(ZoneInfo(CYCLER_ZONE)).replace(tzinfo=None)
    write_text(folder / "raw" / name, "\n".join([*writer(begin, cycler_records(design)), ""]))


def _as_csv(begin: datetime, records: dict[str, Float]) -> Iterator[str]:
    yield "Date Time,Test Time (s),Voltage (V),Current (mA),Capacity (mAh)"
    for t, v, i, q in zip(*records.values(), strict=True):
        stamp = (begin + timedelta(seconds=float(t))).strftime("%Y-%m-%d %H:%M:%S")
        yield f"{stamp},{t:.1f},{v:.5f},{i:.5f},{abs(q):.6f}"


def _as_mpt(begin: datetime, records: dict[str, Float]) -> Iterator[str]:
    yield from ("EC-Lab ASCII FILE", "Nb header lines : 5")
    yield f"Acquisition started on : {begin.strftime('%m/%d/%Y %H:%M:%S')}"
    yield from ("", "mode\ttime/s\tEwe/V\tI/mA\t(Q-Qo)/mA.h")
    for t, v, i, q in zip(*records.values(), strict=True):
        yield f"1\t{t:.6e}\t{v:.6e}\t{i:.6e}\t{q:.6e}"


def _as_german(begin: datetime, records: dict[str, Float]) -> Iterator[str]:
    yield "Datum;Zeit [h];Spannung [V];Strom [mA]"
    for t, v, i, _ in zip(*records.values(), strict=True):
        stamp = (begin + timedelta(seconds=float(t))).strftime("%d.%m.%Y %H:%M:%S")
        yield f"{stamp};" + f"{t / 3600:.6f};{v:.5f};{i:.5f}".replace(".", ",")


CYCLER_FILES: dict[str, tuple[str, Callable[[datetime, dict[str, Float]], Iterator[str]]]] = {
    "soft-short": ("cycler.csv", _as_csv),
    "healthy": ("cycler.csv", _as_csv),
    "interlayer": ("cycler.mpt", _as_mpt),
    "front": ("cycler.txt", _as_german),
}


def _write_truth(folder: Path, design: SeriesDesign, camera: SeriesCamera) -> None:
    cell, since_start = design.cell, design.times_s - design.times_s[0] + design.frame_s / 2
    zero = since_start[0] - design.times_s[0]
    truth: dict[str, Any] = {
        "kind": design.kind,
        "pixel_size_mm": design.preset.pixel_size_mm,
        "axis_column": camera.axis_px,
        "current_on_s": float(zero),
        "events_s": {name: float(time + zero) for name, time in design.process.events.items()},
        "layer_starts_mm": layer_starts(cell.start_mm, cell.layers),
        "tilt_deg": cell.surfaces.tilt_across_deg,
        "bow_um": 1e3 * cell.surfaces.bow_mm,
        "times_s": since_start.tolist(),
        "drift_px": camera.drift_px.tolist(),
    }
    if isinstance(cell, LithiumMetalCell):
        truth["zone_charge_mAh"] = {
            name: np.asarray(values).tolist() for name, values in cell.charges(design.times_s).items()
        }
    if isinstance(cell, FrontCell):
        truth["front_mm"] = {
            region["name"]: [
                cell.region_front_mm(float(t), tuple(region["columns_mm"][0])) for t in design.times_s
            ]
            for region in design.regions
        }
        charge = np.clip(design.times_s, 0, None) * cell.current_ma / 3600
        truth["zone_charge_mAh"] = {"cathode": charge.tolist()}
    write_json(folder / "truth.json", truth)
