"""The hardening of the beam in a study: which model, the casing that is left out first, what it changes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.alignment import shifted_columns
from deltamu.recon.preprocess.hardening import Hardening, SpectrumHardening, linearise
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.casing import casing_line_integrals
from deltamu.recon.study.aligning import Alignment
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.frames_to_rows import Stack
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings import Study
from deltamu.recon.volumes.blocks import BlockArray, create_stack

Array = NDArray[np.float32]

# a casing hardly changes along the axis: so many rows are averaged, which takes the noise out
CASING_ROWS = 16
# rays whose hardening is reported
THICK_DEPTH = 0.5
# Li6PS5Cl, and about the sulfur cathode between pristine and discharged: results are stated for both
STATED_RATIOS_ANGSTROM = (0.131, 0.33)


def hardening_model(study: Study) -> Hardening | None:
    """Return the model that the settings name, at the wavelength of the conversion to lithium."""
    return study.preprocess.hardening.as_model(study.lithium.wavelength_angstrom)


def leaves_out_casing(study: Study) -> bool:
    """Whether the casing is taken out before the hardening is undone."""
    return study.preprocess.hardening.leave_out_casing and study.layers is not None


class TurnedState(Protocol):
    """What is used of a state that comes from projections."""

    @property
    def name(self) -> str:
        """Of the state."""

    @property
    def scan(self) -> Scan:
        """Its scan."""

    @property
    def settings(self) -> str:
        """Hash of what its line integrals depend on."""

    @property
    def center(self) -> float:
        """Column of the rotation axis."""

    @property
    def pixel_size_mm(self) -> float:
        """Of the detector at the sample."""

    @property
    def alignment(self) -> Alignment:
        """Shifts of its views."""


def linear_rows(
    context: RunContext,
    state: TurnedState,
    stored: BlockArray,
    rows: Array,
    *,
    first: int,
    views: NDArray[np.integer[Any]] | None = None,
) -> tuple[Array, Array | None]:
    """Undo the hardening of detector rows, and say by what their standard deviations grow (None: by nothing).

    Parameters
    ----------
    stored : BlockArray
        Line integrals of the whole state, from which the casing is found.
    rows : (angle, row, column) array
        Of the first views, or all, or some.
    first : int
        Detector row of the first of them.
    views : (angle,) int array, optional
        Which views they are; the first ones by default.
    """
    model = hardening_model(context.study)
    if model is None:
        return rows, None
    inert = None
    if leaves_out_casing(context.study):
        block = (np.arange(rows.shape[1]) + first) // CASING_ROWS
        casing = _casing(context, state, stored)
        inert = (casing[: len(rows)] if views is None else casing[views])[:, block]
    return linearise(rows, model, inert=inert)


def _casing(context: RunContext, state: TurnedState, stored: BlockArray) -> Array:
    """Line integrals of the casing, (angle, block of rows, column), computed once."""
    views, rows, columns = stored.shape
    shape = (views, -(-rows // CASING_ROWS), columns)
    kept = create_stack(context.work / f"{state.name}_casing", shape=shape, chunks=shape)
    assert context.study.layers is not None
    radius, shifts = context.study.layers.radius_mm, state.alignment.column_px

    def compute() -> tuple[Slabs, Mapping[str, Any]]:
        mean = block_means(stored)
        casing = casing_line_integrals(
            shifted_columns(mean, -shifts) if np.any(shifts) else mean,
            state.scan.angles, center=state.center, pixel_size_mm=state.pixel_size_mm, radius_mm=radius,
        )  # fmt: skip
        if np.any(shifts):
            casing = shifted_columns(casing, shifts)
        return [(kept, casing)], _facts(context.study, mean, casing)

    settings = settings_hash(
        state.settings,
        state.center,
        shifts.tolist(),
        radius,
        CASING_ROWS,
        STATED_RATIOS_ANGSTROM,
        context.study.preprocess,
    )
    context.piece(PieceKey("casing", state.name), settings, compute)
    return np.asarray(kept[:, :, :], np.float32)


def block_means(stored: Stack) -> Array:
    """Mean of every `CASING_ROWS` rows of a stack, (angle, block, column)."""
    rows = stored.shape[1]
    means = [
        stored[:, first : min(first + CASING_ROWS, rows), :].mean(axis=1, dtype=np.float64)
        for first in range(0, rows, CASING_ROWS)
    ]
    return np.ascontiguousarray(np.stack(means, axis=1), np.float32)


def _facts(study: Study, mean: Array, casing: Array) -> dict[str, Any]:
    """How much the correction changes rays through the sample, on the means of rows."""
    model = hardening_model(study)
    assert model is not None
    through = mean - casing
    thick = through > THICK_DEPTH
    if not thick.any():
        return {"uncorrected_percent": None}
    level = _mean_through(mean, casing, thick, model)
    uncorrected = float(np.mean(through[thick], dtype=np.float64)) / level
    return {"uncorrected_percent": 100 * (uncorrected - 1)} | {
        f"ratio_{ratio:g}_percent": 100 * (_mean_through(mean, casing, thick, other) / level - 1)
        for ratio, other in _other_ratios(model).items()
    }


def _mean_through(mean: Array, casing: Array, thick: NDArray[np.bool_], model: Hardening) -> float:
    """Mean line integral of thick rays through the sample once the hardening is undone."""
    linear, _ = linearise(mean, model, inert=casing)
    return float(np.mean((linear - casing)[thick], dtype=np.float64))


def _other_ratios(model: Hardening) -> dict[float, Hardening]:
    """The same spectrum with the other ratios of scattering to absorption that a sulfur cathode may be given."""
    if not isinstance(model, SpectrumHardening):
        return {}
    return {ratio: replace(model, scattering_ratio_angstrom=ratio) for ratio in STATED_RATIOS_ANGSTROM}


def hardening_facts(context: RunContext, name: str) -> dict[str, Any]:
    """Rays through the sample without the correction, and with other ratios, per cent; empty where not determined."""
    if hardening_model(context.study) is None or not leaves_out_casing(context.study):
        return {}
    payload = context.journal.payload(PieceKey("casing", name))
    return {f"hardening_{key}": value for key, value in payload.items() if key.endswith("_percent")}
