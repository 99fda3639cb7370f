"""What the preprocessing did to a state, in numbers for summary.json, and the mask of its bad pixels."""

from typing import Any

import numpy as np

from deltamu.recon.preprocess.consistency import moment_consistency, moment_drift
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.from_scans import ScannedState, frame_facts, has_stripes
from deltamu.recon.study.hardened_rows import hardening_facts
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.storage import Done, write_piece
from deltamu.recon.volumes.open import write_map

STRIPE_KEYS = ("variance_ratio", "strong_fraction", "removed_rms", "object_share")


def preprocess_facts(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """Return the effect of every step on a state, with the keys of summary.json."""
    frames, correction = frame_facts(context, state), state.correction
    drift = correction.flat_drift
    return {
        "dose_rms": float(np.std(frames["dose"])),
        "spots_fraction": frames["spots_fraction"],
        "bad_pixels_fraction": float(correction.bad_pixels.mean()),
        "starved_fraction": float(np.mean(frames["starved_fraction"])),
        "noise_origin": correction.noise.origin,
        "moment_spread_percent": _moment_spread(frames["mean"]),
        **_moment_drift(frames["mean"]),
        **({} if drift is None else {"flat_drift_percent": 100 * drift.rms}),
        **_background_facts(state),
        **hardening_facts(context, state.name),
        "stripes": stripe_facts(context, state),
    }


def stripe_facts(context: RunContext, state: ScannedState) -> dict[str, Any]:
    """How strong the rings are, where they were judged, and what was removed, where it is one pattern for all views."""
    options = context.study.preprocess
    removed = has_stripes(context, state)
    stages = {"stripes": options.stripes == "auto", "gains": removed and options.stripe_method == "gains"}
    payloads = [
        context.journal.payload(PieceKey(stage, state.name)) for stage, used in stages.items() if used
    ]
    return {"removed": removed} | {
        key: value for payload in payloads for key, value in payload.items() if key in STRIPE_KEYS
    }


def keep_bad_pixels(context: RunContext, state: ScannedState) -> None:
    """Write the mask of the pixels that are interpolated in every view into the store."""
    path = context.store / "states" / state.name / "bad_pixels"
    mask = state.correction.bad_pixels.astype(np.uint8)
    key, settings = PieceKey("bad pixels", state.name), settings_hash(state.settings, "bad pixels")
    if not context.is_current(key, settings):
        write_piece(
            context.journal, key, settings,
            lambda: Done(write_map(path, mask, pixel_size_mm=state.pixel_size_mm, unit="1"), {}),
        )  # fmt: skip


def _moment_spread(means: list[float]) -> float | None:
    """How much the mean line integral varies over the views; unknown with fewer than three."""
    return moment_consistency(np.asarray(means)).spread_percent if len(means) > 2 else None


def _moment_drift(means: list[float]) -> dict[str, float]:
    """From the first to the last views; not stated with fewer than three."""
    if len(means) < 3:
        return {}
    drift, error = moment_drift(np.asarray(means))
    return {"moment_drift_percent": drift, "moment_drift_standard_error_percent": error}


def _background_facts(state: ScannedState) -> dict[str, Any]:
    """Share of the open beam that was subtracted as background, with and without the sample."""
    background = state.correction.background
    if background is None:
        return {}
    views = np.linspace(0, state.scan.shape[0] - 1, 8).round().astype(int)
    behind = float(np.mean([background.of_view(int(view)).mean() for view in views]))
    return {
        "background_percent": 100 * behind,
        "background_open_beam_percent": 100 * float(background.open_beam.mean()),
    }
