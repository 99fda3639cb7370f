"""What reconstructing one scan will need, and how it is cut to fit the memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from deltamu.kernels.backend import thread_count
from deltamu.recon.atomic import readable_bytes
from deltamu.recon.errors import ResourceError
from deltamu.recon.preprocess import memory
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.method import Method
from deltamu.recon.solvers.methods import method_cost
from deltamu.recon.study.frames_to_rows import (
    FRAMES_PER_FILE,
    LEAST_SCORED,
    SCORE_NEIGHBOURS,
    frames_together,
)
from deltamu.recon.volumes.image import storage_slab, write_cost

FLOAT = 4
# interpreter and libraries after their import, and what threads keep
BASE_BYTES = 130_000_000
# rows of a block of the back-projection: fewer at a time cost as much time
ROWS_AT_A_TIME = 32
FREE_SHARE = 0.9


@dataclass(frozen=True)
class ScanPlan:
    """How one scan is reconstructed.

    Attributes
    ----------
    staged : bool
        The line integrals go to disk, because they do not fit into memory.
    step : int
        Rows that are reconstructed at a time.
    stages : mapping of stage to bytes
    memory_limit : int
    disk_bytes : int
        Volume, and line integrals where they are staged.
    method : Method
    """

    staged: bool
    step: int
    stages: Mapping[str, int]
    memory_limit: int
    disk_bytes: int
    method: Method

    @property
    def memory_bytes(self) -> int:
        """Peak of the whole reconstruction."""
        return max(self.stages.values())

    @property
    def text(self) -> str:
        """One line for a person."""
        where = "on disk" if self.staged else "in memory"
        stages = ", ".join(f"{name} {readable_bytes(held)}" for name, held in self.stages.items())
        return (
            f"plan: {self.method.title}; memory {readable_bytes(self.memory_bytes)} of {readable_bytes(self.memory_limit)} ({stages}); "
            f"disk {readable_bytes(self.disk_bytes)}; line integrals {where}, {self.step} rows at a time"
        )


@dataclass(frozen=True)
class ScanWork:
    """Sizes that memory depends on.

    Attributes
    ----------
    shape : (angle, row, column)
    rows : int
        Rows that are reconstructed.
    references : int
        Flats and darks.
    picked : int
        Rows that the centre is searched in; 0 where it is given.
    stripes : str
        "auto", "on" or "off".
    method : Method
    """

    shape: tuple[int, int, int]
    rows: int
    references: int
    picked: int
    stripes: str
    method: Method


def plan_scan(
    scan: Scan, *, rows: int, picked: int, stripes: str, limit: int | None, method: Method
) -> ScanPlan:
    """Choose whether line integrals stay in memory and how many rows are reconstructed at a time.

    Parameters
    ----------
    scan : Scan
    rows : int
        Rows that are reconstructed.
    picked : int
        Rows that the centre is searched in; 0 where it is given.
    stripes : str
    limit : int or None
        Bytes; by default 90 % of what is free.
    method : Method

    Raises
    ------
    ResourceError
        With the number needed, when not even a single row at a time fits.
    """
    work = ScanWork(scan.shape, rows, scan.reference_frames, picked, stripes, method)
    allowed = limit or int(FREE_SHARE * psutil.virtual_memory().available)
    steps = [ROWS_AT_A_TIME >> k for k in range(6)]
    choices = [(False, ROWS_AT_A_TIME), *((True, step) for step in steps)]
    for staged, step in choices:
        plan = _plan(work, staged, step, allowed)
        if plan.memory_bytes <= allowed:
            return plan
    worst = max(plan.stages, key=lambda name: plan.stages[name])
    raise ResourceError(
        f"memory: {worst} needs {readable_bytes(plan.memory_bytes)}, {readable_bytes(allowed)} "
        f"{'were given' if limit else 'are free'}; give more, crop with --set crop_rows=… or bin with --set bin=2"
    )


def _plan(work: ScanWork, staged: bool, step: int, limit: int) -> ScanPlan:
    views, _, columns = work.shape
    stack = FLOAT * views * work.rows * columns
    volume = FLOAT * work.rows * columns**2
    stages = _stages(work, 0 if staged else stack, step)
    disk = int(1.15 * volume) + (stack if staged else 0)
    return ScanPlan(staged, step, stages, limit, disk, work.method)


def _stages(work: ScanWork, held: int, step: int) -> dict[str, int]:
    """Memory of each stage beside the `held` bytes of line integrals."""
    views, rows, columns = work.shape
    pixels = rows * columns
    references = FLOAT * pixels * work.references
    prepare = memory.prepare_cost(pixels, views=views, flats=work.references)
    known = BASE_BYTES + FLOAT * pixels * memory.CORRECTION_MAPS + held
    picked = FLOAT * views * work.picked * columns
    stages = {
        "prepare": BASE_BYTES + references + prepare,
        "preprocess": known + picked + correcting_bytes(pixels),
    }
    if work.picked:
        stages["center"] = known + picked + memory.center_cost(views, columns)
    if work.stripes == "auto":
        stages["stripes"] = known + scoring_bytes(views, columns, rows=work.rows, step=step)
    return stages | {"reconstruct": known + _reconstruct_bytes(work, step)}


def correcting_bytes(pixels: int) -> int:
    """Bytes that a block of frames of `pixels` pixels needs until it is written."""
    together = frames_together(pixels, thread_count())
    # the frames that are read ahead are there as stored and as numbers
    coming = memory.READ_BYTES * pixels * together
    corrected = memory.correct_cost(pixels, threads=thread_count()).total(together)
    return FLOAT * pixels * FRAMES_PER_FILE + coming + corrected


def scoring_bytes(views: int, columns: int, *, rows: int, step: int) -> int:
    """Bytes that the search for stripes in `rows` rows needs, `step` of them at a time."""
    together = min(max(step, LEAST_SCORED) + SCORE_NEIGHBOURS, rows)
    return FLOAT * views * columns * together + memory.stripe_score_cost(views, columns).total(together)


def _reconstruct_bytes(work: ScanWork, step: int) -> int:
    """A block of sinograms with what reconstructs it, and a slab with what writes it."""
    views, _, columns = work.shape
    together, plane = min(step, work.rows), FLOAT * columns**2
    slab = min(storage_slab(work.rows), work.rows)
    kept = together if slab % step else 0
    method, seen = work.method, min(together + 2 * work.method.halo, work.rows)
    # weights and the variance that they come from; what is beside the rows goes when the result is taken over
    arrays = 3 if method.weighs_rays else 1
    computing = arrays * FLOAT * views * columns * seen + method_cost(method, views, columns).total(seen)
    if not method.noise_is_known:
        computing += plane * seen
    if work.stripes != "off":
        computing += memory.stripe_removal_cost(views, columns, threads=thread_count()).total(together)
    return plane * (slab + kept) + max(computing, write_cost(slab, columns))
