"""Gain and offset of every registered state against the reference, on the parts without change."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.depth import LabelMaps, label_maps
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.scales import (
    ScaleComparison,
    compare_part_sums,
    no_part_sums,
    part_sums,
)
from deltamu.recon.errors import InputError
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.pyramid import CHUNK_ROWS

Parts = NDArray[np.intp]
SECTORS, RINGS = 4, 3
# rows that are compared: enough for any layer
MOST_ROWS = 48
FACE_VOXELS, RIM_VOXELS = 3, 4


def measure_scales(
    context: RunContext, stack: LayerStack, registered: Registered
) -> dict[str, ScaleComparison | None]:
    """Compare every registered state with the reference; None where the parts do not suffice."""
    found: dict[str, ScaleComparison | None] = {}
    for state in registered.transforms:
        settings = settings_hash(
            registered.hashes[context.study.reference], registered.hashes[state], stack.axis_mm,
            [surface.coefficients for surface in stack.surfaces], context.study.registration.housing_radius_mm,
        )  # fmt: skip

        def compare(state: str = state) -> tuple[Slabs, Mapping[str, Any]]:
            return [], {"scale": _compare(context, stack, state)}

        facts = context.piece(PieceKey("scale", state), settings, compare)["scale"]
        found[state] = None if facts is None else ScaleComparison(**facts)
        _warn(context, state, found[state])
    return found


def _warn(context: RunContext, state: str, found: ScaleComparison | None) -> None:
    if found is None:
        context.warn(f"{state}: too few parts without change to compare its scale with the reference")
    elif found.differs and not context.study.registration.correct_scale:
        context.warn(
            f"{state}: on the parts without change its attenuation is {found.gain:.4f} ± {found.gain_standard_error:.4f} times "
            f"that of the reference {found.offset:+.4f} ± {found.offset_standard_error:.4f} cm⁻¹; not corrected "
            "(registration.correct_scale)"
        )


def _compare(context: RunContext, stack: LayerStack, state: str) -> dict[str, Any] | None:
    images = [state_image(context, name) for name in (context.study.reference, state)]
    sums, maps = no_part_sums(), _part_maps(context, stack)
    for rows in _together(_rows(context, stack)):
        # one reading of a chunk for all its rows
        blocks = [np.asarray(image[rows[0] : rows[-1] + 1]) for image in images]
        for row in rows:
            reference, moving = (block[row - rows[0]] for block in blocks)
            sums = sums + part_sums(reference, moving, maps.parts(row))
    try:
        return asdict(compare_part_sums(sums))
    except InputError:
        return None


def _together(rows: list[int]) -> list[list[int]]:
    """Split ascending rows by the chunks that they lie in."""
    return [list(group) for _, group in groupby(rows, key=lambda row: row // CHUNK_ROWS)]


def _rows(context: RunContext, stack: LayerStack) -> list[int]:
    """Rows spread over the separator and what lies behind the cathode."""
    layers, voxel = layer_settings(context), stack.voxel_size_mm
    last = context.plan.state(context.study.reference).volume[0] - 1
    found: set[int] = set()
    for name in (layers.separator, *layers.behind_cathode):
        ends = sorted(s.mean_height_mm(stack.radius_mm) / voxel for s in (stack[name].near, stack[name].far))
        inside = np.arange(max(int(ends[0]) + FACE_VOXELS, 0), min(int(ends[1]) - FACE_VOXELS, last) + 1)
        found |= {int(row) for row in inside[:: max(1, len(inside) * 3 // MOST_ROWS)]}
    return sorted(found)


@dataclass(frozen=True, eq=False)
class _PartMaps:
    """What the parts of every row follow from: layers by ring and sector, and the housing by sector."""

    labels: LabelMaps
    held: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    ring: Parts
    sector: Parts
    housing: NDArray[np.bool_] | None

    def parts(self, row: int) -> Parts:
        """Parts of one row; 0 for what may change or is near a face."""
        last = self.labels.shape[0] - 1
        around = [min(max(row + step, 0), last) for step in (-FACE_VOXELS, 0, FACE_VOXELS)]
        below, label, above = (self.labels.labels((z, z + 1))[0] for z in around)
        inside = self.held[label] & (below == label) & (above == label) & self.inside
        parts = np.where(inside, 1 + (label.astype(np.intp) * RINGS + self.ring) * SECTORS + self.sector, 0)
        if self.housing is not None:
            parts = np.where(self.housing, 1 + self.sector, parts)
        return np.asarray(parts)


def _part_maps(context: RunContext, stack: LayerStack) -> _PartMaps:
    shape, voxel = context.plan.state(context.study.reference).volume, stack.voxel_size_mm
    layers = layer_settings(context)
    y, x = (np.arange(n) * voxel - a for n, a in zip(shape[1:], stack.axis_mm, strict=True))
    radius = np.hypot(y[:, None], x[None, :])
    sector = np.floor(np.arctan2(y[:, None], x[None, :]) / (2 * np.pi) % 1.0 * SECTORS).astype(np.intp)
    held = np.zeros(len(stack.order) + 1, bool)
    held[[stack[name].label for name in (layers.separator, *layers.behind_cathode)]] = True
    inner, margin = stack.radius_mm - RIM_VOXELS * voxel, RIM_VOXELS * voxel
    ring = np.minimum((radius / inner * RINGS).astype(np.intp), RINGS - 1)
    radii = context.study.registration.housing_radius_mm
    housing = None if radii is None else (radius > radii[0] + margin) & (radius < radii[1] - margin)
    return _PartMaps(label_maps(stack, shape), held, radius < inner, ring, sector, housing)
