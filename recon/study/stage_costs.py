"""What each stage of a study needs at most: memory from the arrays that it holds, time from measured rates."""

from collections.abc import Callable
from dataclasses import dataclass

from deltamu.recon.preprocess import memory
from deltamu.recon.solvers.fbp import fbp_cost
from deltamu.recon.solvers.methods import method_cost, projections_taken
from deltamu.recon.solvers.noise import noise_cost
from deltamu.recon.study.comparison_costs import comparison_bytes, comparison_seconds
from deltamu.recon.study.frames_to_rows import CENTER_ROWS, FRAMES_PER_FILE, ROWS_PER_FILE
from deltamu.recon.study.scan_plan import correcting_bytes, scoring_bytes
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.study.study_sizes import StudySizes
from deltamu.recon.volumes.image import write_cost

# interpreter and libraries after their import, what threads keep, and what a run leaves from stage to stage
BASE_BYTES = 240_000_000
# figures with their canvas and fonts: of states, and of changes; and the largest box that a picture of the cell in
# space is drawn from
FIGURE_BYTES, CHANGE_FIGURE_BYTES, PICTURE_VOXELS = 60_000_000, 250_000_000, 40_000_000
# arrays of the size of the line integrals that are held while the hardening is undone
HARDENING_ARRAYS = 7
# slices beside a slab that an imported volume is read with, and arrays of their size
IMPORT_ARRAYS = 6
# rows beside a block that views shifted by some pixels show of it
ALIGNMENT_REACH = 8


@dataclass(frozen=True)
class StagePlan:
    """Memory and time of a stage."""

    name: str
    memory_bytes: int
    seconds: float


def stage_plans(sizes: StudySizes) -> tuple[StagePlan, ...]:
    """State memory and time of every stage that the study has, in the order of the run."""
    needed: dict[str, int] = {}
    if sizes.imported:
        needed["import"] = max(_importing(sizes, state) for state in sizes.imported)
    for name, bytes_of in _SCAN_STAGES.items() if sizes.scans else ():
        needed[name] = max(bytes_of(sizes, state) for state in sizes.scans)
    if not sizes.study.alignment.is_asked_for:
        needed.pop("align", None)
    if sizes.study.changes:
        needed |= comparison_bytes(sizes)
    needed["report"] = _reporting(sizes)
    seconds = _seconds(sizes)
    return tuple(StagePlan(name, BASE_BYTES + held, seconds[name]) for name, held in needed.items())


def _importing(sizes: StudySizes, state: StatePlan) -> int:
    return state.plane_bytes * IMPORT_ARRAYS * (sizes.slab + 2)


def _preparing(sizes: StudySizes, state: StatePlan) -> int:
    """Flats and darks with what they are combined to; with those behind a grid as many again."""
    acquisitions = 2 if sizes.study.preprocess.scatter.method == "black_body" else 1
    learning = memory.prepare_cost(state.frame_pixels, views=state.views, flats=state.references)
    return acquisitions * 4 * state.references * state.frame_pixels + learning


def _correcting(sizes: StudySizes, state: StatePlan) -> int:
    return correcting_bytes(state.frame_pixels) + 4 * memory.CORRECTION_MAPS * state.frame_pixels


def _aligning(sizes: StudySizes, state: StatePlan) -> int:
    """A block of frames with what its moments are computed from."""
    return 16 * FRAMES_PER_FILE * state.frame_pixels


def _centering(sizes: StudySizes, state: StatePlan) -> int:
    """The rows that are looked at, while the last of them are read or while the centre is searched."""
    picked = min(CENTER_ROWS, state.volume[0]) * state.row_bytes
    reading = 2 * min(ROWS_PER_FILE, state.volume[0]) * state.row_bytes
    return picked + max(reading, memory.center_cost(state.views, state.columns))


def _scoring(sizes: StudySizes, state: StatePlan) -> int:
    return scoring_bytes(state.views, state.columns, rows=state.volume[0], step=sizes.rows)


def _reconstructing(sizes: StudySizes, state: StatePlan) -> int:
    """Line integrals with their variance, then attenuation with its noise, then the slabs that are written."""
    method, slab = sizes.study.reconstruction.as_method(), min(sizes.slab, state.volume[0])
    rows = min(sizes.rows, state.volume[0])
    # shifted views show a slice in rows beside it
    beside = method.halo + (ALIGNMENT_REACH if sizes.study.is_aligned else 0)
    held = min(rows + 2 * beside, state.volume[0])
    lines, planes = held * state.row_bytes, rows * state.plane_bytes
    reading = 2 * lines + _undoing(sizes, state, held)
    if method.is_iterative:
        # the weights of the rays, and sigma, which is not known
        computing = (
            3 * lines + held * state.plane_bytes + method_cost(method, state.views, state.columns).total(held)
        )
    else:
        back = 2 * lines + planes + fbp_cost(state.views, state.columns).total(rows)
        noise = lines + 2 * planes + noise_cost(state.views, state.columns).total(rows)
        computing = max(back, noise)
    # slabs of several blocks are gathered
    gathered = 2 * slab * state.plane_bytes if rows < slab else 0
    writing = 2 * slab * state.plane_bytes + write_cost(slab, state.columns)
    return max(gathered + max(reading, computing), writing)


def _undoing(sizes: StudySizes, state: StatePlan, rows: int) -> int:
    """What removing stripes and undoing the hardening of some rows takes beside them."""
    options = sizes.study.preprocess
    filtered = memory.stripe_removal_cost(state.views, state.columns, threads=sizes.threads).total(rows)
    stripes = 0 if options.stripes == "off" else filtered
    return max(
        stripes, 0 if options.hardening.method == "none" else HARDENING_ARRAYS * rows * state.row_bytes
    )


_SCAN_STAGES: dict[str, Callable[[StudySizes, StatePlan], int]] = {
    "prepare": _preparing,
    "preprocess": _correcting,
    "align": _aligning,
    "center": _centering,
    "stripes": _scoring,
    "reconstruct": _reconstructing,
}


def _reporting(sizes: StudySizes) -> int:
    """Figures: slices in float64, and the cell in space."""
    reference = sizes.reference
    slices = FIGURE_BYTES + 20 * reference.plane_bytes
    if not sizes.study.changes:
        return slices
    box = reference.volume[0] * sizes.pellet_columns**2
    return slices + CHANGE_FIGURE_BYTES + 4 * min(box, PICTURE_VOXELS)


def _seconds(sizes: StudySizes) -> dict[str, float]:
    """Estimates from rates on one core of a 2023 server."""
    scans, threads = sizes.scans, sizes.threads
    pixels = sum(s.views * s.frame_pixels for s in scans)
    voxels = sum(s.voxels for s in scans)
    # voxels times views, for every projection that an iterative method takes
    rays = sum(s.views * s.voxels for s in scans)
    taken = projections_taken(sizes.study.reconstruction.as_method())
    return {
        "import": 3e-8 * sum(state.voxels for state in sizes.imported),
        "prepare": 1.0 * len(scans),
        "preprocess": 1.3e-7 * pixels / threads,
        "align": 1e-8 * pixels / threads,
        "center": 6e-6 * sum(s.views * s.columns for s in scans) / threads,
        "stripes": 1e-8 * pixels / threads,
        "reconstruct": (1.6e-7 * voxels + 3e-10 * taken * rays) / threads,
        "report": 7.0,
        **(comparison_seconds(sizes) if sizes.study.changes else {}),
    }
