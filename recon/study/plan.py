"""What a run will need, said before it starts."""

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.solvers.methods import method_cost, projections_taken
from deltamu.recon.study.settings import Study
from deltamu.recon.volumes.image import storage_slab

# interpreter, numpy, scipy, zarr and matplotlib, measured after their import
BASE_BYTES = 300_000_000
# rows beyond a slab that views shifted by some pixels show of it
ALIGNMENT_REACH = 8
FRAMES_PER_BLOCK = 32
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True)
class StatePlan:
    """Size of one state: its projections (None for a volume made elsewhere) and its volume."""

    name: str
    projections: tuple[int, int, int] | None
    volume: tuple[int, int, int]
    voxel_size_mm: float


@dataclass(frozen=True)
class StagePlan:
    """Memory and time of a stage."""

    name: str
    memory_bytes: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that is chosen once for a run and kept for its resumptions."""

    states: tuple[StatePlan, ...]
    slab: int
    compute_rows: int
    threads: int
    device: str
    stages: tuple[StagePlan, ...]
    store_bytes: int
    work_bytes: int
    memory_limit: int
    device_reason: str = ""

    def state(self, name: str) -> StatePlan:
        """Size of one state."""
        return next(state for state in self.states if state.name == name)

    @property
    def memory_bytes(self) -> int:
        """Peak of the whole run."""
        return max(stage.memory_bytes for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Estimated time of the whole run."""
        return sum(stage.seconds for stage in self.stages)

    def fixed(self) -> dict[str, Any]:
        """Return the choices that a resumed run must share, for plan.json."""
        kept = ("slab", "compute_rows", "threads", "device")
        return {key: value for key, value in asdict(self).items() if key in kept}


def parse_memory(text: str | None) -> int | None:
    """Read '4G', '512M' or a number of bytes.

    Raises
    ------
    InputError
        If it is neither.
    """
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", text.lower())
    if not match or float(match[1]) <= 0:
        raise InputError(f"memory: found '{text}', expected a size such as 4G or 512M")
    return int(float(match[1]) * UNITS[match[2]])


def make_plan(
    study: Study,
    states: tuple[StatePlan, ...],
    *,
    memory: int | None,
    threads: int,
    device: str,
    compute_rows: int | None = None,
) -> Plan:
    """Choose slabs for the memory that is given or free, and say what the run needs.

    Parameters
    ----------
    study : Study
    states : tuple of StatePlan
    memory : int or None
        Limit in bytes; by default 90 % of what is free.
    threads : int
    device : str
    compute_rows : int, optional
        Rows at a time as an earlier start of the run chose them.

    Raises
    ------
    ResourceError
        With the number needed, when not even the smallest slab fits.
    """
    limit = memory or int(0.9 * psutil.virtual_memory().available)
    slab = storage_slab(max(state.volume[0] for state in states))
    rows = compute_rows or slab
    while (
        compute_rows is None
        and rows > 1
        and max(stage.memory_bytes for stage in _stages(study, states, rows, slab, threads)) > limit
    ):
        rows //= 2
    stages = _stages(study, states, rows, slab, threads)
    plan = Plan(
        states=states, slab=slab, compute_rows=rows, threads=threads, device=device, stages=stages,
        store_bytes=_store_bytes(study, states), work_bytes=_work_bytes(states), memory_limit=limit,
    )  # fmt: skip
    if plan.memory_bytes > limit:
        worst = max(stages, key=lambda stage: stage.memory_bytes)
        raise ResourceError(
            f"memory: {worst.name} needs {_size(worst.memory_bytes)}, {_size(limit)} "
            f"{'were given' if memory else 'are free'}; try --memory {_size(worst.memory_bytes, up=True)} or crop the scans"
        )
    return plan


def check_disk(plan: Plan, output: Path, *, written_bytes: int = 0) -> None:
    """Refuse a run that cannot fit on the disk.

    Raises
    ------
    ResourceError
        With the bytes needed and free.
    """
    folder = next(parent for parent in (output, *output.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    needed = plan.store_bytes + plan.work_bytes - written_bytes
    if needed > free:
        raise ResourceError(
            f"{output}: the run needs {_size(needed)} of disk, {_size(free)} are free there; free some, or set `output` to another disk"
        )


def plan_text(plan: Plan) -> str:
    """Return the plan as lines for a person."""
    lines = []
    for state in plan.states:
        source = (
            "volume made elsewhere"
            if state.projections is None
            else "{} projections of {} rows × {} columns".format(*state.projections)
        )
        lines.append(
            f"{state.name}: {source} → volume {' × '.join(map(str, state.volume))}, voxel {state.voxel_size_mm * 1e3:g} µm"
        )
    lines.append(
        f"slabs of {plan.slab} rows, {plan.compute_rows} computed at a time, {plan.threads} threads, {device_text(plan)}"
    )
    for stage in plan.stages:
        lines.append(f"  {stage.name:16} memory {_size(stage.memory_bytes):>9}   about {stage.seconds:.0f} s")
    lines.append(f"memory: {_size(plan.memory_bytes)} of {_size(plan.memory_limit)} allowed")
    lines.append(f"disk: {_size(plan.store_bytes)} results, {_size(plan.work_bytes)} while it runs")
    lines.append(f"time: about {plan.seconds:.0f} s")
    return "\n".join(lines)


def device_text(plan: Plan) -> str:
    """Return the device of a run, and why it is that one where nobody asked for it."""
    return f"{plan.device} ({plan.device_reason})" if plan.device_reason else plan.device


def _stages(
    study: Study, states: tuple[StatePlan, ...], rows: int, slab: int, threads: int
) -> tuple[StagePlan, ...]:
    """Memory from the arrays a stage holds, time from rates measured on one core of a 2023 server."""
    scans = [state for state in states if state.projections]
    frame = max((s.projections[1] * s.projections[2] for s in scans if s.projections), default=0)
    pixels = sum(s.projections[0] * s.projections[1] * s.projections[2] for s in scans if s.projections)
    plane = max(s.volume[1] * s.volume[2] for s in states)
    voxels = sum(s.volume[0] * s.volume[1] * s.volume[2] for s in states)
    sinogram = max((s.projections[0] * s.projections[2] for s in scans if s.projections), default=0)
    method = study.reconstruction.as_method()
    # shifted views show a slice in rows beside it
    held = rows + 2 * (method.halo + (ALIGNMENT_REACH if study.alignment.is_asked_for else 0))
    cost = max(
        (method_cost(method, s.projections[0], s.projections[2]).total(held) for s in scans if s.projections),
        default=0,
    )
    # the inverse of the hardening is interpolated in float64, and the casing is held beside it
    arrays = 4 if study.preprocess.hardening.method == "none" else 11
    # voxels times views, for every projection that an iterative method takes
    rays = sum(s.projections[0] * s.volume[0] * s.volume[1] * s.volume[2] for s in scans if s.projections)
    imported = [s for s in states if not s.projections]
    stages = []
    if imported:
        read = sum(s.volume[0] * s.volume[1] * s.volume[2] for s in imported)
        slices = BASE_BYTES + 4 * plane * 6 * (slab + 2)
        stages.append(StagePlan("import", slices, 3e-8 * read))
    if scans:
        stages += [
            StagePlan(
                "preprocess", BASE_BYTES + 4 * frame * (8 * FRAMES_PER_BLOCK + 120), 1.3e-7 * pixels / threads
            ),
            StagePlan(
                "reconstruct",
                BASE_BYTES + 4 * (arrays * held * sinogram + 2 * (slab + held) * plane) + cost,
                (1.6e-7 * voxels + 3e-10 * projections_taken(method) * rays) / threads,
            ),
        ]
    if study.changes:
        level = 8 if voxels / len(states) > 4e6 else 1
        aligned = BASE_BYTES + 4 * 6 * max(s.volume[0] for s in states) * plane // level
        stages.append(StagePlan("register", aligned, 1e-7 * voxels))
        stages.append(StagePlan("resample", BASE_BYTES + 4 * plane * (6 * rows + 4 * slab), 1e-7 * voxels))
        stages.append(StagePlan("change", BASE_BYTES + 4 * plane * 10 * slab, 2e-7 * voxels))
    return tuple(stages)


def _store_bytes(study: Study, states: tuple[StatePlan, ...]) -> int:
    """Volumes with their pyramids (a third of an eighth more) and checksums."""
    voxels = max(s.volume[0] * s.volume[1] * s.volume[2] for s in states)
    own = 2 * len(states)
    compared = {state for change in study.changes for state in change.split("-")} - {study.reference}
    images = own + 2 * len(compared) + 3 * len(study.changes)
    labels = (1 + 4) if study.changes else 0
    return int(1.15 * voxels * (4 * images + labels))


def _work_bytes(states: tuple[StatePlan, ...]) -> int:
    sizes = (s.projections for s in states if s.projections)
    return sum(4 * views * rows * columns for views, rows, columns in sizes)


def _size(count: float, *, up: bool = False) -> str:
    """Write bytes for a person; rounded up when the number is meant to be typed."""
    unit, name = (2**30, "G") if count >= 2**30 else (2**20, "M")
    value = count / unit
    if up:
        return f"{int(value) + 1}{name}"
    return f"{value:.1f} {name}iB"
