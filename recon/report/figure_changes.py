"""Figure: the changes in two orthogonal sections, one diverging scale centred on no change."""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import round_up
from deltamu.recon.report.content import Float, ReportContent, change_title
from deltamu.recon.report.figure_states import pellet_half_width, slab_mm, slab_voxels
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.section_grid import SectionPair, draw_section_grid
from deltamu.recon.report.sections import CellFrame, axial_section, cell_frame, cross_section, layer_surfaces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE_COLORMAP = "RdBu_r"
CHANGE_LABEL = "change of attenuation Δµ (cm⁻¹)"
OUTLINE: dict[str, Any] = {"color": "#111111", "linewidth": 0.6}


def draw_changes(content: ReportContent) -> "Figure":
    """Draw every change through the profile layer and through the axis, with the outlines of the layers."""
    frame = cell_frame(content)
    surfaces = layer_surfaces(content)
    limit = change_limit(content)

    def outline(cross: "Axes", axial: "Axes", index: int) -> None:
        _draw_circle(cross, frame)
        for name, (near, far) in surfaces.items():
            _draw_layer(axial, frame, near, far)
            if index == 0 and name == content.profile_layer:
                _draw_depth_arrow(axial, frame)

    return draw_section_grid(
        [_pair(content, change, frame) for change in content.changes], decorate=outline,
        color_label=CHANGE_LABEL, bar_color="#111111", cmap=CHANGE_COLORMAP, vmin=-limit, vmax=limit,
    )  # fmt: skip


def describe_changes(content: ReportContent) -> str:
    """Caption of the figure."""
    frame = cell_frame(content)
    return (
        "Change of the attenuation coefficient; red: more attenuation (lithium gained, if nothing else "
        "moved), blue: "
        f"less. The same limits for every change, set by the depth profiles of the "
        f"{content.profile_layer}. Top: "
        f"perpendicular to the axis at z = {frame.middle_z_mm:.2f} mm. Bottom: through the axis; black "
        "lines are the "
        "fitted faces of the layers, d points from the separator to the current collector. Mean of "
        f"{slab_voxels(frame)} voxels across each plane. Grey: no value."
    )


def change_limit(content: ReportContent) -> float:
    """Half range of the diverging scale, from the profiles and not from noisy voxels."""
    largest = max((_largest(p.mean[p.eroded]) for p in content.profiles.values()), default=0.0)
    floor = max((_largest(p.standard_error) for p in content.profiles.values()), default=0.0)
    limit = max(1.1 * largest, 5 * floor)
    return round_up(limit) if limit > 0 else 1.0


def _largest(values: Float) -> float:
    return float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))


def _pair(content: ReportContent, change: str, frame: CellFrame) -> SectionPair:
    image = open_study_image(content, f"changes/{change}/delta_mu")
    half_width = pellet_half_width(frame)
    return SectionPair(
        change_title(change),
        cross_section(image, frame, frame.middle_z_mm, half_width_mm=half_width, thickness_mm=slab_mm(frame)),
        axial_section(image, frame, half_width_mm=half_width, thickness_mm=slab_mm(frame)),
    )


def _draw_circle(axes: "Axes", frame: CellFrame) -> None:
    if frame.radius_mm is not None:
        angle = np.linspace(0, 2 * np.pi, 181)
        axes.plot(frame.radius_mm * np.cos(angle), frame.radius_mm * np.sin(angle), **OUTLINE)


def _draw_layer(axes: "Axes", frame: CellFrame, near: Float, far: Float) -> None:
    """Draw the two faces and the rim of a layer in the section through the axis."""
    row = int(np.clip(round(frame.axis_mm[0] / frame.voxel_mm), 0, frame.shape[1] - 1))
    x = np.arange(frame.shape[2]) * frame.voxel_mm - frame.axis_mm[1]
    shown = np.abs(x) <= (frame.radius_mm or np.inf)
    for surface in (near, far):
        axes.plot(x[shown], surface[row][shown], **OUTLINE)
    for end in np.flatnonzero(shown)[[0, -1]]:
        axes.plot([x[end]] * 2, [near[row, end], far[row, end]], **OUTLINE)


def _draw_depth_arrow(axes: "Axes", frame: CellFrame) -> None:
    """Draw the direction of d beside the layer."""
    x = 1.08 * (frame.radius_mm or 0.4 * frame.shape[2] * frame.voxel_mm)
    axes.annotate(
        "", (x, frame.far_z_mm), xytext=(x, frame.near_z_mm),
        arrowprops={"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip
    axes.annotate(
        "d", (x, frame.middle_z_mm), xytext=(2.5, 0), textcoords="offset points", va="center", style="italic"
    )
