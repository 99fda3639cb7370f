"""What the stages that compare states need at most, beside what every stage holds."""

import numpy as np

from deltamu.recon.change.readout_slices import BESIDE_PX
from deltamu.recon.change.registration_cost import register_cost
from deltamu.recon.change.resampling import resample_cost
from deltamu.recon.solvers.fbp import fbp_cost
from deltamu.recon.solvers.prior_scans import ITERATIONS, piccs_cost
from deltamu.recon.solvers.readout_weights import ARC_PX, LEAST_VIEWS, TAIL_COLUMNS
from deltamu.recon.study.frames_to_rows import FRAMES_PER_FILE
from deltamu.recon.study.state_plan import StatePlan
from deltamu.recon.study.study_sizes import StudySizes
from deltamu.recon.volumes.image import write_cost
from deltamu.recon.volumes.pyramid import CHUNK_ROWS

# rows that a stage works on together where every row stands for itself, and arrays of that size
ROWS_TOGETHER, ROW_ARRAYS = 8, 6
# planes of float32 that work on single slices holds, in float64 and for indices
SLICE_ARRAYS = 48
# rows beside a layer that its profile reaches with its blur, and those that a spline asks for as well
ROWS_BESIDE, SPLINE_ROWS = 12, 26
# rows of a moved state that a slice reaches over where it is tilted by half a degree, per 100 columns
TILTED_ROWS = 1
# of one processor, for a voxel in a view and for the total variation of a voxel
SECONDS_PER_UPDATE, SECONDS_OF_VARIATION = 5e-9, 4e-7
# bytes of a voxel of the boxes whose spectra are compared, and their rows and columns
SHELL_BYTES, SHELL_ROWS, SHELL_COLUMNS = 124, 48, 256
# rows beside a block that a state with a prior is solved with: those of total variation, and a motion by some
PRIOR_HALO = 12
# of slabs that are solved together
MOST_ROWS, MOST_SLABS = 64, 8
# bytes of a voxel of the pellet while it is summed over bins
SUM_BYTES = 45
# read-outs over many bins whose weights are held, noise maps beside them; slices whose weights are worked out together
READOUT_SUMS, NOISE_ARRAYS, TOGETHER_SLICES, WEIGHT_ARRAYS = 10, 3, 36, 3
# maps (bin, row, radius) of float64 that a change holds for its three plans
RING_MAPS = 6


def comparison_bytes(sizes: StudySizes) -> dict[str, int]:
    """Bytes of every stage, in the order of the run."""
    found = {
        "stack": _single_slices(sizes) + _chunks(sizes, 2),
        "register": _registering(sizes),
        "resample": _resampling(sizes),
        **(
            {"prior": max(_with_prior(sizes, s) for s in _prior_states(sizes))}
            if _prior_states(sizes)
            else {}
        ),
        "layers": _labelling(sizes),
        "scale": _scaling(sizes),
        "change": _subtracting(sizes),
    }
    if sizes.scans:
        found["subsets"] = _subsets(sizes)
        found["errors"] = _exact_errors(sizes)
    found["profile"] = _profiling(sizes)
    return found | {"resolution": _resolving(sizes)}


def comparison_seconds(sizes: StudySizes) -> dict[str, float]:
    """Estimates from rates on one core of a 2023 server."""
    states, changes, voxels = len(sizes.states), len(sizes.study.changes), sizes.reference.voxels
    return {
        "stack": 1e-7 * voxels,
        "register": 1e-7 * voxels * states,
        "resample": 1e-7 * voxels * states,
        "prior": sum(_prior_seconds(sizes, state) for state in _prior_states(sizes)),
        "layers": 1e-7 * voxels,
        "scale": 5e-8 * voxels * states,
        "change": 7e-8 * voxels * changes,
        "subsets": 5e-8 * voxels * len(sizes.scans),
        "errors": 5e-8 * voxels * len(sizes.scans),
        "profile": 5e-8 * voxels * changes,
        "resolution": 2e-8 * voxels * states,
    }


def _single_slices(sizes: StudySizes) -> int:
    return SLICE_ARRAYS * sizes.reference.plane_bytes


def _scaling(sizes: StudySizes) -> int:
    """Chunks of two states, those before still held while they are read."""
    return _single_slices(sizes) + _chunks(sizes, 4)


def _chunks(sizes: StudySizes, count: int) -> int:
    """All chunks of some rows, so many times."""
    return count * min(CHUNK_ROWS, sizes.reference.volume[0]) * sizes.reference.plane_bytes


def _registering(sizes: StudySizes) -> int:
    """The mask reaches from its first to its last layer; by default from the separator to the end of the stack."""
    layers, reference = sizes.layers, sizes.reference
    names = sizes.study.registration.mask or (layers.separator, *layers.behind_cathode)
    at = sorted(layers.order.index(name) for name in names)
    rows = sum(sizes.layer_rows(name) for name in layers.order[at[0] : at[-1] + 1])
    # the mask as the moving state shows it, for the registration backwards
    turned = reference.plane_bytes * reference.volume[0] if sizes.study.registration.self_check else 0
    mask = (rows, sizes.pellet_columns, sizes.pellet_columns)
    return turned + register_cost(reference.volume, mask_shape=mask) + _housing(sizes)


def _housing(sizes: StudySizes) -> int:
    """The housing, at half resolution, beside the self-check."""
    settings = sizes.study.registration
    if settings.housing_radius_mm is None or not settings.self_check:
        return 0
    nz, ny, nx = (n // 2 for n in sizes.reference.volume)
    return register_cost((nz, ny, nx))


def _resampling(sizes: StudySizes) -> int:
    slab = min(sizes.slab, sizes.reference.volume[0])
    plane = sizes.reference.plane_bytes
    writing = 2 * slab * plane + write_cost(slab, sizes.reference.volume[2])
    return max(resample_cost(sizes.reference.volume).total(slab), writing)


def _prior_states(sizes: StudySizes) -> list[StatePlan]:
    return [state for state in sizes.states if sizes.study.states[state.name].reconstruction is not None]


def _prior_rows(sizes: StudySizes) -> int:
    """Rows that are solved together."""
    return min(solved_rows(sizes.rows, sizes.slab) + 2 * PRIOR_HALO, sizes.reference.volume[0])


def solved_rows(rows: int, slab: int) -> int:
    """Rows that are solved together where `rows` are reconstructed together: few would be mostly halo."""
    return rows if rows < slab else max(slab, min(MOST_ROWS, MOST_SLABS * slab) // slab * slab)


def _with_prior(sizes: StudySizes, state: StatePlan) -> int:
    """Line integrals with their weights and the prior beside what the solver holds, and the slab that is written."""
    rows, slab = _prior_rows(sizes), min(sizes.slab, state.volume[0])
    held = rows * (3 * state.row_bytes + 2 * state.plane_bytes)
    return 2 * slab * state.plane_bytes + held + piccs_cost(state.views, state.columns).total(rows)


def _prior_seconds(sizes: StudySizes, state: StatePlan) -> float:
    """Projections along rays of any direction, and total variation."""
    prior = sizes.study.states[state.name].reconstruction
    assert prior is not None
    blocks = -(-state.volume[0] // solved_rows(sizes.rows, sizes.slab))
    voxels = blocks * _prior_rows(sizes) * state.columns**2
    # finding the largest curvature takes a few more
    steps = (prior.iterations or ITERATIONS) + 5
    return steps * voxels * (2 * SECONDS_PER_UPDATE * state.views + SECONDS_OF_VARIATION) / sizes.threads


def _labelling(sizes: StudySizes) -> int:
    """Depth and labels of a slab, some rows at a time."""
    slab, plane = min(sizes.slab, sizes.reference.volume[0]), sizes.reference.plane_bytes
    held = slab * plane * 3 // 2
    working = (ROWS_TOGETHER * ROW_ARRAYS + SLICE_ARRAYS) * plane
    return held + max(working, write_cost(slab, sizes.reference.volume[2]))


def _subtracting(sizes: StudySizes) -> int:
    """Two states with their sigma; change, sigma and z score of a slab, computed some rows at a time."""
    slab, plane = min(sizes.slab, sizes.reference.volume[0]), sizes.reference.plane_bytes
    reading = 4 * slab * plane + ROWS_TOGETHER * ROW_ARRAYS * plane
    return 3 * slab * plane + max(reading, write_cost(slab, sizes.reference.volume[2]))


def _subsets(sizes: StudySizes) -> int:
    """Line integrals of a layer's rows, their reconstruction from a subset, and that on the reference grid."""
    reference, scan = sizes.reference, max(sizes.scans, key=lambda state: state.row_bytes)
    rows = min(sizes.layer_rows(sizes.layers.cathode) + 2 * ROWS_BESIDE, reference.volume[0])
    source = min(rows + SPLINE_ROWS + TILTED_ROWS * reference.volume[2] // 100, reference.volume[0])
    subsets = sizes.study.profile.subsets
    lines = source * scan.row_bytes * (subsets + 1) // subsets
    computing = fbp_cost(scan.views // subsets + 1, scan.columns).total(source)
    on_grid = (2 * source + rows) * reference.plane_bytes
    sums = rows * reference.plane_bytes + SUM_BYTES * rows * sizes.pellet_columns**2
    return lines + source * reference.plane_bytes + max(computing, on_grid, sums)


def _exact_errors(sizes: StudySizes) -> int:
    """Noise and weights of the line integrals that show the pellet's rows, for views that stand for others.

    Weights of the sums over bins are held together, those of some bins with their voxels while they are worked out.
    """
    reference, scan, across = (
        sizes.reference,
        max(sizes.scans, key=lambda s: s.row_bytes),
        sizes.pellet_columns,
    )
    rows = min(sizes.layer_rows(sizes.layers.cathode) + 2 * ROWS_BESIDE, reference.volume[0])
    source = min(rows + SPLINE_ROWS + TILTED_ROWS * reference.volume[2] // 100, reference.volume[0])
    views = min(scan.views, 2 * max(LEAST_VIEWS, int(np.pi / ARC_PX * across / 2) + 1))
    columns = min(across + 2 * (TAIL_COLUMNS + BESIDE_PX), scan.columns)
    regions = READOUT_SUMS + len(sizes.study.profile.regions)
    held = 4 * source * views * columns * (regions + NOISE_ARRAYS)
    reading = 4 * source * scan.columns * (FRAMES_PER_FILE + NOISE_ARRAYS * views)
    patches = 2 * regions * rows * across**2
    working = TOGETHER_SLICES * (WEIGHT_ARRAYS * 4 * views * columns * (regions + 1) + 16 * across**2)
    return max(reading, held + patches + working)


def _profiling(sizes: StudySizes) -> int:
    """Voxels counted by bin, row and radius; a slab of the pellet while it is summed."""
    bins = sizes.layer_rows(sizes.layers.cathode) + 2 * ROWS_BESIDE
    maps = 8 * RING_MAPS * bins * sizes.reference.volume[0] * 2 * sizes.pellet_columns
    summed = SUM_BYTES * 2 * ROWS_TOGETHER * sizes.pellet_columns**2
    return maps + summed + SLICE_ARRAYS * sizes.reference.plane_bytes


def _resolving(sizes: StudySizes) -> int:
    """Two boxes with their spectra; before that, rows from half of the views."""
    rows = min(SHELL_ROWS, sizes.reference.volume[0])
    box = rows * min(SHELL_COLUMNS, sizes.pellet_columns) ** 2
    halves = [
        rows * (state.row_bytes * 3 // 2 + state.plane_bytes)
        + fbp_cost(state.views // 2 + 1, state.columns).total(rows)
        for state in sizes.scans
    ]
    return max(SHELL_BYTES * box, 8 * box + max(halves, default=0))
