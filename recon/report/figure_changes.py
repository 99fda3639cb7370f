"""Figure: the changes in two orthogonal sections, one diverging scale centred on no change."""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import round_up
from deltamu.recon.report.content import Float, ReportContent, change_title
from deltamu.recon.report.figure_states import pellet_half_width, slab_mm, slab_sentence
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.section_grid import SectionPair, draw_section_grid
from deltamu.recon.report.sections import (
    CellFrame,
    axial_section,
    cell_frame,
    cross_section,
    layer_surfaces,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANGE_COLORMAP = "RdBu_r"
CHANGE_LABEL = "change of attenuation Δµ (cm⁻¹)"
OUTLINE: dict[str, Any] = {"color": "#111111", "linewidth": 0.6}
# the scale reaches at least this many times the scatter of the voxels that are shown
NOISE_WITHIN_SCALE = 4
ROBUST_SD = 1.4826


def draw_changes(content: ReportContent) -> "Figure":
    """Draw every change through the profile layer and through the axis, with the outlines of the layers."""
    frame = cell_frame(content)
    surfaces = layer_surfaces(content)
    limit = change_limit(content)

    def outline(cross: "Axes", axial: "Axes", index: int) -> None:
        _draw_circle(cross, frame)
        _mark_starved(axial, content, frame)
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
    starved = content.starved_heights_mm is not None
    return (
        "Change of the attenuation coefficient; red: more attenuation (lithium gained, if nothing else "
        "moved), blue: less. The same limits for every change, set by the depth profiles of the "
        f"{content.profile_layer} and by noise where that is larger. Top: perpendicular to the axis at "
        f"z = {frame.middle_z_mm:.2f} mm. Bottom: through the axis; black lines are the fitted faces of the "
        f"layers{_order_of_layers(content)}, d points from the separator to the current collector. "
        f"{slab_sentence(frame)} Grey: no value."
        f"{' Hatched at the edge: too few neutrons (starved), not quantitative.' if starved else ''}"
    )


def change_limit(content: ReportContent) -> float:
    """Half range of the diverging scale.

    From the depth profiles and not from noisy voxels; but where nothing changed beyond the noise, wide
    enough that the noise does not look like a change.
    """
    largest = max((_largest(p.mean[p.eroded]) for p in content.profiles.values()), default=0.0)
    limit = max(1.1 * largest, NOISE_WITHIN_SCALE * _scatter_of_voxels(content))
    return round_up(limit) if limit > 0 else 1.0


def _scatter_of_voxels(content: ReportContent) -> float:
    """Largest robust SD of the voxels of a change inside the pellet, in the plane that is shown."""
    frame = cell_frame(content)
    scatter = [0.0]
    for change in content.changes:
        values = _pair(content, change, frame).cross.inside(frame.radius_mm)
        if values.size:
            scatter.append(ROBUST_SD * float(np.median(np.abs(values - np.median(values)))))
    return max(scatter)


def _order_of_layers(content: ReportContent) -> str:
    """Name the layers as they lie in the picture, from top to bottom."""
    heights = {name: float(np.nanmean(near + far)) for name, (near, far) in layer_surfaces(content).items()}
    names = [name.replace("_", " ") for name in sorted(heights, key=lambda name: heights[name])]
    return f" (from top to bottom: {', '.join(names)})" if names else ""


def _mark_starved(axes: "Axes", content: ReportContent, frame: CellFrame) -> None:
    """Hatch a strip at the right edge over the rows that some state was starved in."""
    heights = content.starved_heights_mm
    if heights is not None:
        axes.axhspan(
            *heights, xmin=0.96, facecolor="white", edgecolor="#333333", hatch="////////", linewidth=0.5
        )


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
