"""Figure: the states side by side in two orthogonal sections on one grey scale."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import round_up
from deltamu.recon.report.content import ReportContent, state_title
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.section_grid import SectionPair, draw_section_grid
from deltamu.recon.report.sections import CellFrame, axial_section, cell_frame, cross_section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PELLET_MARGIN = 1.35
# no grey of the scale: a voxel without a value is not a voxel with one
MISSING_BLUE = "#33506e"


def draw_states(content: ReportContent) -> "Figure":
    """Draw every state on the grid of the reference, through the profile layer and through the axis."""
    frame = cell_frame(content)
    pairs = [_pair(content, state, frame) for state in content.states]
    heights = (frame.near_z_mm, frame.far_z_mm)

    def mark_planes(cross: "Axes", axial: "Axes", index: int) -> None:
        axial.axhline(0.5 * sum(heights), color="#ffd24d", linewidth=0.7, linestyle=(0, (4, 3)))
        cross.axhline(0.0, color="#ffd24d", linewidth=0.7, linestyle=(0, (4, 3)))

    return draw_section_grid(
        pairs, color_label="attenuation coefficient µ (cm⁻¹)", decorate=mark_planes,
        missing=MISSING_BLUE, cmap="gray", vmin=0.0, vmax=grey_limit(pairs, frame),
    )  # fmt: skip


def describe_states(content: ReportContent) -> str:
    """Caption of the figure."""
    frame = cell_frame(content)
    layer = (
        f"the middle of the {content.profile_layer}" if content.profile_layer else "the middle of the field"
    )
    return (
        f"The states on one grey scale, on the grid of the {state_title(content.reference)} state. Top: "
        "perpendicular "
        f"to the axis through {layer} (z = {frame.middle_z_mm:.2f} mm). Bottom: through the axis, cropped "
        "to the pellet; dashed lines mark where the planes meet. "
        f"{slab_sentence(frame)} Values above the scale are white, values below 0 black; blue: no value."
    )


def _pair(content: ReportContent, state: str, frame: CellFrame) -> SectionPair:
    registered = f"registered/{state}/attenuation"
    image = open_study_image(
        content, registered if content.has_image(registered) else f"states/{state}/attenuation"
    )
    return SectionPair(
        state_title(state),
        cross_section(image, frame, frame.middle_z_mm, thickness_mm=slab_mm(frame)),
        axial_section(image, frame, half_width_mm=pellet_half_width(frame), thickness_mm=slab_mm(frame)),
    )


def slab_voxels(frame: CellFrame) -> int:
    """Voxels averaged across a plane: three, less where the layer is thin."""
    if frame.near_mm is None:
        return 3
    inside = abs(frame.far_z_mm - frame.near_z_mm) / frame.voxel_mm
    return 3 if inside >= 6 else 1


def slab_sentence(frame: CellFrame) -> str:
    """Say how much a plane averages."""
    count = slab_voxels(frame)
    return "Planes are one voxel thick." if count == 1 else f"Mean of {count} voxels across each plane."


def slab_mm(frame: CellFrame) -> float:
    """Thickness that is averaged across a plane."""
    return (slab_voxels(frame) - 0.5) * frame.voxel_mm


def pellet_half_width(frame: CellFrame, *, margin: float = PELLET_MARGIN) -> float | None:
    """Half the width of the views that show the pellet only; None for the whole field."""
    return None if frame.radius_mm is None else margin * frame.radius_mm


def grey_limit(pairs: list[SectionPair], frame: CellFrame) -> float:
    """White of the grey scale: what the pellet reaches in the plane of the layer, not a metal elsewhere."""
    values = []
    for pair in pairs:
        chosen = pair.cross.inside(frame.radius_mm)
        values.append(np.percentile(chosen, 99) if chosen.size else np.nan)
    limit = 1.05 * float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    return round_up(limit) if limit > 0 else 1.0
