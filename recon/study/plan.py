"""What a run will need, said before it starts."""

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.study.settings import Study
from deltamu.recon.study.stage_costs import StagePlan, stage_plans
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.study.study_sizes import StudySizes
from deltamu.recon.volumes.image import storage_slab

# what makes every stage smaller
SMALLER_SCANS = "scans that are cropped (crop_rows, crop_columns) or binned (bin = 2)"
UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


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
        return _peak(self.stages)

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
    stages = stage_plans(StudySizes(study, states, rows, slab, threads))
    while compute_rows is None and rows > 1 and _peak(stages) > limit:
        rows //= 2
        stages = stage_plans(StudySizes(study, states, rows, slab, threads))
    plan = Plan(
        states=states, slab=slab, compute_rows=rows, threads=threads, device=device, stages=stages,
        store_bytes=_store_bytes(study, states), work_bytes=_work_bytes(states), memory_limit=limit,
    )  # fmt: skip
    worst = max(stages, key=lambda stage: stage.memory_bytes)
    refuse_beyond(plan, worst.name, worst.memory_bytes, given=memory is not None, way_out=SMALLER_SCANS)
    return plan


def _peak(stages: tuple[StagePlan, ...]) -> int:
    return max(stage.memory_bytes for stage in stages)


def refuse_beyond(plan: Plan, stage: str, needed: int, *, given: bool, way_out: str) -> None:
    """Refuse a stage that needs more memory than the plan may use.

    Raises
    ------
    ResourceError
        With the stage, the bytes needed and allowed, and what to try.
    """
    if needed > plan.memory_limit:
        raise ResourceError(
            f"memory: the stage {stage} needs {_size(needed)}, {_size(plan.memory_limit)} "
            f"{'were given' if given else 'are free'}; try --memory {_size(needed, up=True)} or {way_out}"
        )


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


def plan_line(plan: Plan) -> str:
    """Return in one line what a run will need at most."""
    worst = max(plan.stages, key=lambda stage: stage.memory_bytes)
    return (
        f"plan: memory {_size(plan.memory_bytes)} at most ({worst.name}) of {_size(plan.memory_limit)}, "
        f"{plan.compute_rows} rows at a time; disk {_size(plan.store_bytes)} for results and "
        f"{_size(plan.work_bytes)} while it runs"
    )


def device_text(plan: Plan) -> str:
    """Return the device of a run, and why it is that one where nobody asked for it."""
    return f"{plan.device} ({plan.device_reason})" if plan.device_reason else plan.device


def _store_bytes(study: Study, states: tuple[StatePlan, ...]) -> int:
    """Volumes with their pyramids (a third of an eighth more) and checksums."""
    voxels = max(s.volume[0] * s.volume[1] * s.volume[2] for s in states)
    own = 2 * len(states)
    compared = {state for change in study.changes for state in change.split("-")} - {study.reference}
    images = own + 3 * len(compared) + 3 * len(study.changes)
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
