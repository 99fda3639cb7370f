"""Resolution of every state: shell correlation of half sets of the views, and the response to edges."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.edge_response import EdgeResponse, rim_response, surface_response
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.shell_correlation import fourier_shell_correlation
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import AffineTransform, RigidTransform
from deltamu.recon.study.back_projecting import back_project, read_seen_rows
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.from_scans import ScannedState, starved_rows
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs

Array = NDArray[np.float32]
# the box of the shell correlation: it holds rim and interfaces, and fits into memory for any scan
MOST_ROWS, MOST_COLUMNS, LEAST_ROWS = 48, 256, 8
RIM_VOXELS = 4
RIM_MARGIN_VOXELS = 4


def measure_resolution(
    context: RunContext, stack: LayerStack, registered: Registered, scanned: Mapping[str, ScannedState]
) -> dict[str, dict[str, float | None]]:
    """Resolution of every compared state, mm, by the names that summary.json gives them."""
    found = {}
    for state, source in registered.hashes.items():
        settings = settings_hash(source, stack.surfaces[0].coefficients, stack.axis_mm, "resolution")

        def measure(state: str = state) -> tuple[Slabs, Mapping[str, Any]]:
            return [], {"resolution": _resolution(context, state, stack, registered, scanned.get(state))}

        with context.stage("resolution"):
            found[state] = dict(context.piece(PieceKey("resolution", state), settings, measure)["resolution"])
    return found


def _resolution(
    context: RunContext, state: str, stack: LayerStack, registered: Registered, scan: ScannedState | None
) -> dict[str, float | None]:
    slices, axial = _edge_facts(context, state, stack)
    facts = {
        "edge_in_slice_mm": slices.fwhm_mm if slices else None,
        "edge_in_slice_standard_error_mm": slices.fwhm_standard_error_mm if slices else None,
        "edge_along_axis_mm": axial.fwhm_mm if axial else None,
        "edge_along_axis_standard_error_mm": axial.fwhm_standard_error_mm if axial else None,
        "shell_correlation_in_slice_mm": None,
        "shell_correlation_along_axis_mm": None,
        "shell_correlation_mm": None,
    }
    if scan is not None:
        facts |= _shell_facts(context, scan, stack, registered.transforms.get(state, RigidTransform()))
    return facts


def _edge_facts(
    context: RunContext, state: str, stack: LayerStack
) -> tuple[EdgeResponse | None, EdgeResponse | None]:
    """Rim of the pellet in the separator, and the sharpest step along the axis that no state changes."""
    volume, voxel = state_image(context, state), stack.voxel_size_mm
    layer = stack[layer_settings(context).separator]
    ends = sorted(surface.coefficients[0] / voxel for surface in (layer.near, layer.far))
    middle, half = 0.5 * (ends[0] + ends[1]), max(0.5 * (ends[1] - ends[0]) - RIM_MARGIN_VOXELS, 1.0)
    rows = (max(int(middle - half), 0), min(int(middle + half) + 1, volume.shape[0]))
    slices = _or_none(
        lambda: rim_response(
            volume, axis_mm=stack.axis_mm, radius_mm=stack.radius_mm, rows=rows, voxel_size_mm=voxel
        )
    )
    behind = layer_settings(context).behind_cathode
    steps = [_or_none(lambda n=n: surface_response(volume, stack, stack[n].far)) for n in behind]
    known = [edge for edge in steps if edge is not None]
    return slices, max(known, key=lambda edge: abs(edge.contrast), default=None)


def _or_none(measure: Any) -> EdgeResponse | None:
    try:
        found: EdgeResponse = measure()
    except InputError:
        return None
    return found


def _shell_facts(
    context: RunContext, scan: ScannedState, stack: LayerStack, transform: AffineTransform
) -> dict[str, float | None]:
    """Shell correlation of the reconstructions from the even and from the odd views, in a box of the cell."""
    rows, y, x = _box(context, scan, stack, transform)
    if rows.stop - rows.start < LEAST_ROWS:
        return {}
    seen = read_seen_rows(context, scan, rows.start, rows.stop)
    halves = []
    for start in (0, 1):
        part = back_project(context, scan, seen, views=slice(start, None, 2))
        halves.append(np.ascontiguousarray(part[:, y, x]))
    # they would take memory beside the transforms
    del seen, part
    voxel = stack.voxel_size_mm
    found: dict[str, float | None] = {}
    for name, axes in (("_in_slice", "yx"), ("_along_axis", "z"), ("", "zyx")):
        correlation = fourier_shell_correlation(*halves, voxel_size_mm=voxel, axes=axes)
        # nothing beyond two voxels can be seen: correlated up to there, the voxel is the limit
        found[f"shell_correlation{name}_mm"] = correlation.resolution_mm or 2 * voxel
    return found


def _box(
    context: RunContext, scan: ScannedState, stack: LayerStack, transform: AffineTransform
) -> tuple[slice, slice, slice]:
    """Rows about the cathode that are not starved, and columns that hold the rim, on the grid of the state."""
    voxel, cathode = stack.voxel_size_mm, stack[layer_settings(context).cathode]
    middle = 0.5 * (cathode.near.coefficients[0] + cathode.far.coefficients[0])
    centre = transform.apply(np.array([[middle, *stack.axis_mm]]))[0] / voxel
    starved = starved_rows(context, scan)
    row = int(np.clip(round(centre[0]), 0, starved.size - 1))
    blocked = np.flatnonzero(starved)
    # a starved row apart, as its blur reaches further
    low = max([0, row - MOST_ROWS // 2, *(blocked[blocked <= row] + 3)])
    high = min([starved.size, row + MOST_ROWS // 2, *(blocked[blocked > row] - 2)])
    reach = stack.radius_mm / voxel + RIM_VOXELS
    side = min(MOST_COLUMNS, 2 * reach)
    first = [centre[1] - side / 2, centre[2] + reach - side]
    limits = context.plan.state(scan.name).volume[1:]
    y, x = (
        slice(max(int(start), 0), min(int(start + side), size))
        for start, size in zip(first, limits, strict=True)
    )
    return slice(int(low), int(max(high, low))), y, x
