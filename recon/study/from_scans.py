"""A state from its raw scan: what its frames are corrected with, centre of rotation, rows of line integrals."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import release_freed_memory
from deltamu.recon.preprocess.alignment import shifted_columns
from deltamu.recon.preprocess.center import find_center
from deltamu.recon.preprocess.consistency import moment_consistency
from deltamu.recon.preprocess.correction import (
    Correction,
    line_integral_variance,
    open_beam_variance,
)
from deltamu.recon.preprocess.gain_pattern import gain_pattern
from deltamu.recon.preprocess.repeated_views import compare_repeated, drift_warnings, repeated_pair
from deltamu.recon.preprocess.shared_flats import frame_digests
from deltamu.recon.preprocess.stripe_audit import audit_stripes
from deltamu.recon.preprocess.stripes import judge_stripes, remove_stripes
from deltamu.recon.scans.scan import Scan
from deltamu.recon.study.aligning import (
    Alignment,
    alignment_of,
    alignment_warnings,
    measure_alignment,
    with_given_tilt,
)
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.correcting import dots_of_grid, state_correction
from deltamu.recon.study.frames_to_rows import (
    CENTER_ROWS,
    FRAMES_PER_FILE,
    mean_projection,
    pick_rows,
    stack_stripe_scores,
)
from deltamu.recon.study.hardened_rows import linear_rows
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.line_integral_files import block_keys, line_integral_files
from deltamu.recon.study.run_context import PIECES_VERSION, RunContext, Slabs
from deltamu.recon.study.sources import open_black_body
from deltamu.recon.volumes.blocks import BlockArray, create_stack

Array = NDArray[np.float32]
# a row counts as starved when this part of its pixels was below the floor
STARVED_ROW = 0.05


@dataclass(frozen=True)
class ScannedState:
    """A state that comes from projections.

    Attributes
    ----------
    settings : str
        Hash of everything its line integrals depend on.
    center : float
        Pixels.
    centering : mapping
        The centre with its candidates, as in diagnostics.json.
    alignment : Alignment
        Shifts of single views and tilt of the axis.
    flats : tuple of str
        Digests of the frames of the open beam.
    """

    name: str
    scan: Scan
    correction: Correction
    settings: str
    center: float
    centering: Mapping[str, Any]
    alignment: Alignment
    flats: tuple[str, ...] = ()

    @property
    def pixel_size_mm(self) -> float:
        """Of the detector at the sample."""
        assert self.scan.pixel_size_mm is not None
        return self.scan.pixel_size_mm


def prepare_state(context: RunContext, name: str, scan: Scan) -> ScannedState:
    """Read what every frame is corrected with, and find the centre of rotation."""
    options = context.study.preprocess
    grid = open_black_body(context.study, name)
    with context.stage("prepare"):
        correction = state_correction(context.study, name, scan, grid)
        flats = frame_digests(scan.flats)
        scan.forget_references()
    frames = options.model_dump(exclude={"hardening", "stripes", "stripe_method", "level_views"})
    dots = dots_of_grid(context.study, name)
    known = None if grid is None else grid.fingerprint
    if dots is not None:
        known = f"{known} {zlib.crc32(np.packbits(dots).tobytes())}"
    settings = settings_hash(
        PIECES_VERSION, "line integrals", scan.fingerprint, known, frames, correction.doses
    )
    alignment = _alignment(context, name, scan, correction, settings)
    centering = _centering(context, name, scan, correction, settings, alignment)
    told = [
        *alignment_warnings(alignment.facts),
        *_repetition_warnings(context, name, scan, correction, settings),
    ]
    for warning in (*correction.notes, *told, *centering["warnings"]):
        context.warn(f"{name}: {warning}")
    return ScannedState(
        name, scan, correction, settings, float(centering["center"]), centering, alignment, flats
    )


def frame_facts(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """What the preprocessing did to the frames: dose per frame, spots, starved pixels per row."""
    views, _, columns = state.scan.shape
    keys = block_keys(state.name, views)
    found = [context.journal.payload(key) for key in keys]
    return {
        "dose": np.concatenate([f["dose"] for f in found]).tolist(),
        "mean": np.concatenate([f["mean"] for f in found]).tolist(),
        "spots_fraction": float(np.mean(np.concatenate([f["spots_fraction"] for f in found]))),
        "starved_fraction": (
            np.sum([f["starved_per_row"] for f in found], axis=0) / (views * columns)
        ).tolist(),
    }


def starved_rows(context: RunContext, state: ScannedState) -> NDArray[np.bool_]:
    """Detector rows of which more than `STARVED_ROW` of the pixels had too few counts for a logarithm."""
    return np.asarray(frame_facts(context, state)["starved_fraction"]) > STARVED_ROW


def read_rows(context: RunContext, state: ScannedState, first: int, stop: int) -> tuple[Array, Array]:
    """Line integrals of detector rows and their counting variance, (angle, row, column).

    Stripes are removed and the hardening of the beam is undone.
    """
    rows = _stored_rows(context, state, first, stop)
    dose = np.asarray(frame_facts(context, state)["dose"])
    variance = line_integral_variance(rows, dose, state.correction, rows=slice(first, stop))
    rows = _without_stripes(context, state, rows, first)
    linear, slope = linear_rows(context, state, _stored(context, state), rows, first=first)
    if slope is not None:
        slope *= slope
        variance *= slope
    return linear, variance


def read_line_integrals(context: RunContext, state: ScannedState, first: int, stop: int) -> Array:
    """Line integrals of detector rows as of `read_rows`, where their variance is not asked for."""
    rows = _without_stripes(context, state, _stored_rows(context, state, first, stop), first)
    return linear_rows(context, state, _stored(context, state), rows, first=first)[0]


def _stored_rows(context: RunContext, state: ScannedState, first: int, stop: int) -> Array:
    """Rows as they were corrected, every view at the mean that all views share where the study asks for it."""
    rows = np.ascontiguousarray(_stored(context, state)[:, first:stop, :], np.float32)
    if context.study.preprocess.level_views:
        excess = moment_consistency(frame_facts(context, state)["mean"]).excess
        rows -= excess[:, None, None].astype(np.float32)
    return rows


def _without_stripes(context: RunContext, state: ScannedState, rows: Array, first: int) -> Array:
    if not has_stripes(context, state):
        return rows
    method = context.study.preprocess.stripe_method
    if method == "gains":
        # of the whole detector, whatever rows are read together
        filtered = rows - _gain_pattern(context, state)[first : first + rows.shape[1]]
    else:
        filtered = remove_stripes(rows, mode="on", method=method)
    _audit(context, state, rows, filtered, first)
    return filtered


def _gain_pattern(context: RunContext, state: ScannedState) -> Array:
    """Errors of the pixels' gains (row, column), found once for a state."""
    shape = (1, *state.scan.shape[1:])
    kept = create_stack(context.work / f"{state.name}_gains", shape=shape, chunks=shape)

    def find() -> tuple[Slabs, Mapping[str, Any]]:
        mean = mean_projection(_stored(context, state))
        pattern = gain_pattern(mean)
        found = audit_stripes(mean[None], (mean - pattern)[None])
        return [(kept, pattern[None])], {"removed_rms": found.removed_rms, "object_share": found.object_share}

    context.piece(PieceKey("gains", state.name), settings_hash(state.settings, "gains", "audited"), find)
    return np.asarray(kept[0], np.float32)


def shared_variance(context: RunContext, state: ScannedState, rows: slice = slice(None)) -> Array:
    """Variance (row, column) of a line integral that is the same in every view, hardening undone.

    The sample is round enough that the first views tell how it grows.
    """
    shared = open_beam_variance(state.correction)[rows]
    if context.study.preprocess.hardening.method == "none":
        # without reading line integrals, which are gone after a run
        return shared
    stored = _stored(context, state)
    views = np.ascontiguousarray(stored[:FRAMES_PER_FILE, rows], np.float32)
    slope = linear_rows(context, state, stored, views, first=rows.start or 0)[1]
    return shared if slope is None else shared * np.mean(slope**2, axis=0)


def _stored(context: RunContext, state: ScannedState) -> BlockArray:
    return line_integral_files(context, state.name, state.scan, state.correction, state.settings)


def _audit(context: RunContext, state: ScannedState, before: Array, after: Array, first: int) -> None:
    """Warn where a stripe filter took part of the object along."""
    found = audit_stripes(before, after)
    if found.warning:
        context.warn(f"{state.name}: rows {first} to {first + before.shape[1] - 1}: {found.warning}")


def has_stripes(context: RunContext, state: ScannedState) -> bool:
    """Whether stripes are to be removed: as the settings say, or where the whole scan shows them."""
    mode = context.study.preprocess.stripes
    if mode != "auto":
        return mode == "on"

    def judge() -> tuple[Slabs, Mapping[str, Any]]:
        whole, step = slice(0, state.scan.shape[1]), context.plan.compute_rows
        scores = stack_stripe_scores(_stored(context, state), state.correction, rows=whole, step=step)
        return [], as_json(asdict(judge_stripes(scores)))

    key, settings = PieceKey("stripes", state.name), settings_hash(state.settings, "stripes")
    if not context.is_current(key, settings):
        with context.stage("stripes"):
            context.piece(key, settings, judge)
    return bool(context.journal.payload(key)["detected"])


def fbp_options(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """Return what every analytic reconstruction of a state is told."""
    options = context.study.reconstruction
    return {
        "center": state.center,
        "pixel_size_mm": state.pixel_size_mm,
        "filter": options.filter,
        "cutoff": options.cutoff,
    }


def _alignment(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str
) -> Alignment:
    """Shifts of the views and tilt of the axis, as far as the settings ask for them or give it."""
    wanted, given = context.study.alignment, context.study.states[name].tilt_deg
    if not wanted.is_asked_for:
        return alignment_of(with_given_tilt({}, given), scan.shape[0])

    def measure() -> tuple[Slabs, Mapping[str, Any]]:
        stored = line_integral_files(context, name, scan, correction, settings)
        return [], measure_alignment(stored, scan.angles, wanted)

    with context.stage("align"):
        found = context.piece(PieceKey("align", name), settings_hash(settings, wanted), measure)
    context.progress("align", name, 1, 1)
    return alignment_of(with_given_tilt(found, given), scan.shape[0])


def _repetition_warnings(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str
) -> list[str]:
    """Say what two views at one angle differ by, where the scan has such views and they differ by much."""
    pair = repeated_pair(scan.angles)
    if pair is None:
        return []

    def compare() -> tuple[Slabs, Mapping[str, Any]]:
        stored = line_integral_files(context, name, scan, correction, settings)
        found = compare_repeated(pair, *(stored[view : view + 1][0] for view in pair))
        return [], {key: value if np.isfinite(value) else None for key, value in asdict(found).items()}

    return drift_warnings(context.piece(PieceKey("repeat", name), settings_hash(settings, pair), compare))


def _centering(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str, alignment: Alignment
) -> Mapping[str, Any]:
    """Return the centre given in the settings, or the one found on rows spread over the detector."""
    given = context.study.states[name].center
    if given is not None:
        return {
            "center": given,
            "spread": 0.0,
            "candidates": [],
            "search": [given, given],
            "warnings": [],
            "tilt_deg": 0.0,
        }
    search = context.study.center.search_px

    def find() -> tuple[Slabs, Mapping[str, Any]]:
        stored = line_integral_files(context, name, scan, correction, settings)
        rows = np.unique(np.linspace(0, scan.shape[1] - 1, CENTER_ROWS).round().astype(int))
        picked = pick_rows(stored, rows)
        if np.any(alignment.column_px):
            picked = shifted_columns(picked, -alignment.column_px)
        release_freed_memory()
        return [], centering_facts(find_center(picked, scan.angles, search=search), rows)

    with context.stage("center"):
        payload = context.piece(
            PieceKey("center", name), settings_hash(settings, search, alignment.column_px.tolist()), find
        )
    context.progress("center", name, 1, 1)
    return payload


def centering_facts(result: Any, rows: NDArray[np.integer[Any]]) -> dict[str, Any]:
    """Write a centre of rotation as JSON, its candidates with the detector rows they come from."""
    facts: dict[str, Any] = as_json(asdict(result))
    for candidate in facts["candidates"]:
        if candidate.get("row") is not None:
            candidate["row"] = float(np.interp(candidate["row"], np.arange(rows.size), rows))
    return facts


def as_json(value: Any) -> Any:
    """Turn numpy numbers and tuples into what JSON knows."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [as_json(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
