"""The changes between registered states, slab by slab, with the noise of every voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.difference import Change, difference
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.reached_rows import reached_voxels
from deltamu.recon.change.scales import ScaleComparison, same_scale
from deltamu.recon.geometry import AffineTransform, RigidTransform
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, state_image
from deltamu.recon.study.from_scans import ScannedState, starved_rows
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.row_blocks import row_blocks
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings import split_change
from deltamu.recon.volumes.image import finish_image

Array = NDArray[np.float32]
# starved rows of each state and its motion
Starved = Sequence[tuple[NDArray[np.bool_], AffineTransform]]
# blur is felt this many widths (FWHM) away
REACH_FWHM = 2.0


def subtract(
    context: RunContext,
    stack: LayerStack,
    registered: Registered,
    scanned: Mapping[str, ScannedState],
    scales: Mapping[str, ScaleComparison | None],
) -> None:
    """Write Δμ, its sigma and z score for every change, on the scale of the reference where the study asks for it."""
    used = scales if context.study.registration.correct_scale else {}
    for change in context.study.changes:
        starved = _starved_states(context, split_change(change), registered, scanned)
        reach_mm = REACH_FWHM * resolution_mm(context, stack)
        _subtract(context, change, registered, starved, reach_mm, used)


def _subtract(
    context: RunContext,
    change: str,
    registered: Registered,
    starved: Starved,
    reach_mm: float,
    scales: Mapping[str, ScaleComparison | None],
) -> None:
    """Write one change."""
    states, reference = split_change(change), context.study.reference
    names = {"delta_mu": "cm^-1", "sigma": "cm^-1", "z_score": "1"}
    images = [context.image(reference, f"changes/{change}", name, unit=unit) for name, unit in names.items()]
    grid = context.plan.state(reference)
    settings = settings_hash(
        [registered.hashes[state] for state in states],
        [np.flatnonzero(rows).tolist() for rows, _ in starved],
        reach_mm,
        *([{s: asdict(found) for s in states if (found := scales.get(s))}] if scales else []),
    )
    for slab in range(images[0].slabs):
        rows = (slab * images[0].slab, min((slab + 1) * images[0].slab, images[0].shape[0]))

        def compute(rows: tuple[int, int] = rows) -> tuple[Slabs, Mapping[str, Any]]:
            found = {name: np.empty((rows[1] - rows[0], *grid.volume[1:]), np.float32) for name in names}
            # read once: a few rows at a time would have every chunk checked again for each of them
            read = _StateRows.read(context, states, rows)
            for part in row_blocks(*rows):
                unknown = reached_voxels(
                    starved, grid.volume, reach_mm=reach_mm, voxel_size_mm=grid.voxel_size_mm, z_range=part
                )
                own = slice(part[0] - rows[0], part[1] - rows[0])
                change = _change_rows(states, read, own, unknown, scales)
                for name, array in found.items():
                    array[own] = getattr(change, name)
            return list(zip(images, found.values(), strict=True)), {}

        context.piece(PieceKey("change", change, slab), settings, compute)
        context.progress("change", change, slab + 1, images[0].slabs)
    for image in images:
        finish_image(image)


def resolution_mm(context: RunContext, stack: LayerStack) -> float:
    """Blur across the layers, voxel included: as stated, or as the surfaces were fitted, at least a voxel."""
    stated = context.study.profile.blur_fwhm_um
    if stated is not None:
        return stated / 1000
    return max(stack.blur_fwhm_mm or 0.0, stack.voxel_size_mm)


def _starved_states(
    context: RunContext,
    states: Sequence[str],
    registered: Registered,
    scanned: Mapping[str, ScannedState],
) -> Starved:
    """Starved rows of the states of a change, and their motions; nothing for volumes made elsewhere."""
    return [
        (starved_rows(context, scanned[state]), registered.transforms.get(state, RigidTransform()))
        for state in states
        if state in scanned
    ]


@dataclass(frozen=True, eq=False)
class _StateRows:
    """Rows of both states of a change and of their noise, by state, cm⁻¹."""

    attenuation: Mapping[str, Array]
    sigma: Mapping[str, Array]

    @classmethod
    def read(cls, context: RunContext, states: tuple[str, str], rows: tuple[int, int]) -> "_StateRows":
        attenuation, sigma = (
            {state: np.asarray(state_image(context, state, name)[slice(*rows)]) for state in states}
            for name in ("attenuation", "sigma")
        )
        return cls(attenuation, sigma)


def _change_rows(
    states: tuple[str, str],
    read: _StateRows,
    rows: slice,
    unknown: NDArray[np.bool_],
    scales: Mapping[str, ScaleComparison | None],
) -> Change:
    """Subtract some rows; sigma and z score are NaN where the noise is not known."""
    to, origin = states
    sigma_origin = np.array(read.sigma[origin][rows], np.float32)
    sigma_origin[unknown] = np.nan
    volumes = {state: read.attenuation[state][rows] for state in states}
    for state in states:
        if (found := scales.get(state)) is not None:
            volumes[state] = same_scale(volumes[state], found)
    return difference(
        volumes[origin], volumes[to], sigma_reference=sigma_origin, sigma_moving=read.sigma[to][rows]
    )
