"""A state from its raw scan: line integrals, centre of rotation, volume with its noise."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.center import find_center
from deltamu.recon.preprocess.consistency import moment_consistency
from deltamu.recon.preprocess.correction import (
    Correction,
    correct_frames,
    line_integral_variance,
    open_beam_variance,
)
from deltamu.recon.preprocess.stripe_audit import audit_stripes
from deltamu.recon.preprocess.stripes import judge_stripes, remove_stripes, stripe_scores
from deltamu.recon.preprocess.weights import open_beam_noise, ray_weights
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.fbp_gpu import fbp_on_gpus
from deltamu.recon.solvers.methods import reconstruct
from deltamu.recon.solvers.noise import fbp_variance, ring_variance
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.correcting import state_correction
from deltamu.recon.study.hardened_rows import linear_rows
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.plan import FRAMES_PER_BLOCK
from deltamu.recon.study.progress import stop_if_asked
from deltamu.recon.study.run_context import PIECES_VERSION, RunContext, Slabs
from deltamu.recon.study.sources import open_black_body
from deltamu.recon.volumes.blocks import BlockArray, create_stack
from deltamu.recon.volumes.image import finish_image

Array = NDArray[np.float32]
ROWS_PER_FILE = 32
CENTER_ROWS = 48
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
    """

    name: str
    scan: Scan
    correction: Correction
    settings: str
    center: float
    centering: Mapping[str, Any]

    @property
    def pixel_size_mm(self) -> float:
        """Of the detector at the sample."""
        assert self.scan.pixel_size_mm is not None
        return self.scan.pixel_size_mm


def prepare_state(context: RunContext, name: str, scan: Scan) -> ScannedState:
    """Read what every frame is corrected with, and find the centre of rotation."""
    options = context.study.preprocess
    grid = open_black_body(context.study, name)
    correction = state_correction(context.study, name, scan, grid)
    frames = options.model_dump(exclude={"hardening", "stripes", "stripe_method", "level_views"})
    known = None if grid is None else grid.fingerprint
    settings = settings_hash(
        PIECES_VERSION, "line integrals", scan.fingerprint, known, frames, correction.doses
    )
    centering = _centering(context, name, scan, correction, settings)
    for warning in (*correction.notes, *centering["warnings"]):
        context.warn(f"{name}: {warning}")
    return ScannedState(name, scan, correction, settings, float(centering["center"]), centering)


def reconstruct_state(context: RunContext, state: ScannedState) -> str:
    """Write the attenuation of a state and its sigma; return the hash of what they depend on."""
    settings = settings_hash(
        state.settings, state.center, context.study.reconstruction, _settings_of_rows(context)
    )
    _warn_of_unknown_noise(context, state.name)
    group = f"states/{state.name}"
    images = [context.image(state.name, group, name, unit="cm^-1") for name in ("attenuation", "sigma")]
    total = images[0].slabs
    for slab in range(total):

        def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
            first = slab * images[0].slab
            stop = min(first + images[0].slab, images[0].shape[0])
            arrays = _reconstruct_in_blocks(context, state, first, stop)
            return list(zip(images, arrays, strict=True)), {}

        context.piece(PieceKey("reconstruct", state.name, slab), settings, compute)
        context.progress("reconstruct", state.name, slab + 1, total)
    for image in images:
        finish_image(image)
    return settings


def _warn_of_unknown_noise(context: RunContext, name: str) -> None:
    method = context.study.reconstruction.method
    if context.study.reconstruction.as_method().is_iterative:
        context.warn(
            f"{name}: the noise of voxels reconstructed by {method} is not known, so sigma and z scores are not "
            "available; errors of means and profiles are those of filtered back-projection of the same views and "
            f"leave out the bias of {method}"
        )
        if context.plan.device == "gpu":
            context.warn(f"{name}: {method} computes on the CPU")
    if method in ("mlem", "osem"):
        context.warn(f"{name}: {method} takes line integrals below zero for zero, which biases air upwards")


def frame_facts(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """What the preprocessing did to the frames: dose per frame, spots, starved pixels per row."""
    views, _, columns = state.scan.shape
    keys = _block_keys(state.name, views)
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
    stored = _line_integrals(context, state.name, state.scan, state.correction, state.settings)
    rows = np.ascontiguousarray(stored[:, first:stop, :], np.float32)
    facts = frame_facts(context, state)
    if context.study.preprocess.level_views:
        rows -= moment_consistency(facts["mean"]).excess[:, None, None].astype(np.float32)
    dose = np.asarray(facts["dose"])
    variance = line_integral_variance(rows, dose, state.correction, rows=slice(first, stop))
    if has_stripes(context, state):
        filtered = remove_stripes(rows, mode="on", method=context.study.preprocess.stripe_method)
        _audit(context, state, rows, filtered, first)
        rows = filtered
    linear, slope = linear_rows(context, state, stored, rows, first=first)
    if slope is not None:
        slope *= slope
        variance *= slope
    return linear, variance


def shared_variance(context: RunContext, state: ScannedState) -> Array:
    """Variance (row, column) of a line integral that is the same in every view, hardening undone.

    The sample is round enough that the first views tell how it grows.
    """
    shared = open_beam_variance(state.correction)
    if context.study.preprocess.hardening.method == "none":
        # without reading line integrals, which are gone after a run
        return shared
    stored = _line_integrals(context, state.name, state.scan, state.correction, state.settings)
    rows = np.ascontiguousarray(stored[:FRAMES_PER_BLOCK], np.float32)
    slope = linear_rows(context, state, stored, rows, first=0)[1]
    return shared if slope is None else shared * np.mean(slope**2, axis=0)


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
        return [], as_json(asdict(judge_stripes(_stripe_scores(context, state))))

    key, settings = PieceKey("stripes", state.name), settings_hash(state.settings, "stripes")
    return bool(context.piece(key, settings, judge)["detected"])


def _stripe_scores(context: RunContext, state: ScannedState) -> Array:
    """Scores of every row of a scan, read some rows at a time with the neighbours that a score needs."""
    stored = _line_integrals(context, state.name, state.scan, state.correction, state.settings)
    shared = open_beam_variance(state.correction)
    total, step = state.scan.shape[1], max(context.plan.compute_rows, 8)
    parts = []
    for first in range(2, max(total - 2, 3), step):
        rows = slice(first - 2, min(first + step + 2, total))
        parts.append(
            stripe_scores(
                np.ascontiguousarray(stored[:, rows, :], np.float32),
                open_beam_variance=shared[rows],
                autocorrelation=state.correction.noise.autocorrelation,
            )
        )
    return np.concatenate(parts)


def fbp_options(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """Return what every analytic reconstruction of a state is told."""
    options = context.study.reconstruction
    return {
        "center": state.center,
        "pixel_size_mm": state.pixel_size_mm,
        "filter": options.filter,
        "cutoff": options.cutoff,
    }


def _reconstruct_in_blocks(
    context: RunContext, state: ScannedState, first: int, stop: int
) -> tuple[Array, Array]:
    """Reconstruct the rows of a slab, as many at a time as the plan allows."""
    side = state.scan.shape[2]
    attenuation = np.empty((stop - first, side, side), np.float32)
    sigma = np.empty_like(attenuation)
    for begin in range(first, stop, context.plan.compute_rows):
        end = min(begin + context.plan.compute_rows, stop)
        part = slice(begin - first, end - first)
        attenuation[part], sigma[part] = _reconstruct_rows(context, state, begin, end)
    return attenuation, sigma


def _reconstruct_rows(context: RunContext, state: ScannedState, first: int, stop: int) -> tuple[Array, Array]:
    """Attenuation of some rows and its sigma; NaN for a method whose noise is not known voxel by voxel."""
    method = context.study.reconstruction.as_method()
    low, high = max(first - method.halo, 0), min(stop + method.halo, state.scan.shape[1])
    rows, counted = read_rows(context, state, low, high)
    own = slice(first - low, stop - low)
    if context.plan.device == "gpu" and not method.is_iterative:
        attenuation = fbp_on_gpus(
            rows, state.scan.angles, padding=method.padding, **fbp_options(context, state)
        )
    else:
        attenuation = reconstruct(
            rows, state.scan.angles, method, center=state.center, pixel_size_mm=state.pixel_size_mm,
            weights=ray_weights(counted, state.correction), noise=open_beam_noise(state.correction),
            progress=lambda done, most: stop_if_asked(context.cancel),
        )  # fmt: skip
    if method.is_iterative:
        return attenuation[own], np.full(attenuation[own].shape, np.nan, np.float32)
    return attenuation, _sigma(context, state, counted, first)


def _sigma(context: RunContext, state: ScannedState, counted: Array, first: int) -> Array:
    """Noise of filtered back-projection: of the counts, of the open beam and of drifting gains."""
    options = fbp_options(context, state)
    autocorrelation = state.correction.noise.autocorrelation
    variance = fbp_variance(counted, state.scan.angles, autocorrelation=autocorrelation, **options)
    shared = shared_variance(context, state)[first : first + counted.shape[1]]
    variance += ring_variance(shared, autocorrelation=autocorrelation, **options)
    return np.asarray(np.sqrt(variance), np.float32)


def _settings_of_rows(context: RunContext) -> list[Any]:
    """What happens to the line integrals of a state when they are read."""
    options = context.study.preprocess
    if options.hardening.method == "none":
        return [options.stripes, options.stripe_method, options.level_views]
    layers, wavelength = context.study.layers, context.study.lithium.wavelength_angstrom
    return [
        options.stripes,
        options.stripe_method,
        options.level_views,
        options.hardening,
        wavelength,
        None if layers is None else layers.radius_mm,
    ]


def _line_integrals(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str
) -> BlockArray:
    """Return the line integrals on disk, correcting the blocks of frames that are not there yet."""
    views, _, columns = scan.shape
    stored = create_stack(
        context.work / name, shape=scan.shape, chunks=(FRAMES_PER_BLOCK, ROWS_PER_FILE, columns)
    )
    if name in context.ready:
        return stored
    keys = _block_keys(name, views)
    for block, key in enumerate(keys):

        def correct(first: int = block * FRAMES_PER_BLOCK) -> tuple[Slabs, Mapping[str, Any]]:
            raw = scan.read(first, min(first + FRAMES_PER_BLOCK, views))
            frames = correct_frames(raw, correction, first_view=first)
            return [(stored, frames.line_integrals)], _facts_of_block(frames)

        context.piece(key, settings, correct)
        context.progress("preprocess", name, block + 1, len(keys))
    context.ready.add(name)
    return stored


def _block_keys(name: str, views: int) -> list[PieceKey]:
    return [PieceKey("preprocess", name, block) for block in range(-(-views // FRAMES_PER_BLOCK))]


def _facts_of_block(frames: Any) -> dict[str, Any]:
    return {
        "dose": [float(v) for v in frames.dose],
        "mean": [float(v) for v in frames.line_integrals.mean(axis=(1, 2), dtype=np.float64)],
        "spots_fraction": [float(v) for v in frames.spots_fraction],
        "starved_per_row": [int(v) for v in np.count_nonzero(frames.starved, axis=(0, 2))],
    }


def _centering(
    context: RunContext, name: str, scan: Scan, correction: Correction, settings: str
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
        stored = _line_integrals(context, name, scan, correction, settings)
        rows = np.unique(np.linspace(0, scan.shape[1] - 1, CENTER_ROWS).round().astype(int))
        picked = np.stack([stored[:, row, :] for row in rows], axis=1).astype(np.float32, copy=False)
        return [], centering_facts(find_center(picked, scan.angles, search=search), rows)

    payload = context.piece(PieceKey("center", name), settings_hash(settings, search), find)
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
