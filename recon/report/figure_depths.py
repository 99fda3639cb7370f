"""Figure: slices from d₀ to dₘₐₓ.

In the manner of Figure 4d of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import length_text, new_figure, round_length, sheet_width, show_section
from deltamu.recon.report.content import ReportContent, change_title
from deltamu.recon.report.figure_changes import CHANGE_COLORMAP, change_limit
from deltamu.recon.report.figure_profile import layer_thickness
from deltamu.recon.report.flattened import FlattenedSlices, flattened_slices
from deltamu.recon.report.sections import CellFrame, Section, cell_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SLICES = 6
LARGEST_PANEL_IN = 1.5
LEAST_PANEL_IN = 0.62
LABELS_IN = 1.6


def draw_depths(content: ReportContent) -> "Figure":
    """Draw one row per change and one column per step of depth, all on the scale of the changes."""
    frame = cell_frame(content)
    thickness, limit = layer_thickness(content, frame), change_limit(content)
    count = slice_count(thickness, frame)
    side = min(LARGEST_PANEL_IN, (sheet_width() - LABELS_IN) / count)
    figure = new_figure(count * side + LABELS_IN, len(content.changes) * (side + 0.06) + 0.75)
    axes = figure.subplots(len(content.changes), count, squeeze=False)
    for row, change in enumerate(content.changes):
        slices = flattened_slices(content, change, frame, edges_mm=np.linspace(0, thickness, count + 1))
        for column in range(count):
            section = Section(slices.values[column], slices.horizontal_mm, slices.vertical_mm)
            panel = axes[row, column]
            show_section(panel, section, cmap=CHANGE_COLORMAP, vmin=-limit, vmax=limit)
            _dress_panel(panel, section, slices, row, column)
        axes[row, 0].set_ylabel(_in_two_lines(change_title(change)), fontsize=7.5)
    shown = axes[0, 0].images[0]
    figure.colorbar(shown, ax=axes, label="Δµ (cm⁻¹)", extend="both", shrink=0.9, aspect=32, pad=0.01)
    _add_scale_below(axes[-1, 0], slices)
    figure.supxlabel("separator   ⟶   depth d   ⟶   current collector", fontsize=8)
    return figure


def describe_depths(content: ReportContent) -> str:
    """Caption of the figure."""
    frame = cell_frame(content)
    thickness = layer_thickness(content, frame)
    step = 1000 * thickness / slice_count(thickness, frame)
    return (
        f"Slices of the {content.profile_layer} from d₀ to dₘₐₓ, flattened along its tilted and bowed "
        f"faces; each is the mean over {step:.0f} µm of depth, on the colour scale of the maps. The first and "
        "the last slice contain the margins that the neighbouring layers blur into."
    )


def slice_count(thickness_mm: float, frame: CellFrame) -> int:
    """Slices that are at least one voxel thick and large enough to read, six at most."""
    room = int((sheet_width() - LABELS_IN) / LEAST_PANEL_IN)
    return int(np.clip(thickness_mm / frame.voxel_mm, 1, min(MOST_SLICES, max(1, room))))


def _dress_panel(axes: "Axes", section: Section, slices: FlattenedSlices, row: int, column: int) -> None:
    axes.set_facecolor("white")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    radius = 0.5 * section.width_mm
    angle = np.linspace(0, 2 * np.pi, 181)
    middle = (sum(section.horizontal_mm) / 2, sum(section.vertical_mm) / 2)
    axes.plot(
        middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle), color="#444444", linewidth=0.6
    )
    axes.set_xlim(section.horizontal_mm[0] - 0.02 * radius, section.horizontal_mm[1] + 0.02 * radius)
    axes.set_ylim(section.vertical_mm[1] + 0.02 * radius, section.vertical_mm[0] - 0.02 * radius)
    if row == 0:
        low, high = 1000 * slices.edges_mm[column : column + 2]
        axes.set_title(f"{low:.0f} to {high:.0f} µm", fontweight="normal", fontsize=7.5)


def _add_scale_below(axes: "Axes", slices: FlattenedSlices) -> None:
    """Draw a scale bar of a round length under the first panel of the last row."""
    left, right = slices.horizontal_mm
    length = round_length(0.4 * (right - left))
    bottom = slices.vertical_mm[1] + 0.1 * (right - left)
    middle = 0.5 * (left + right)
    ends = [middle - 0.5 * length, middle + 0.5 * length]
    axes.plot(ends, [bottom, bottom], color="#111111", linewidth=2.2, solid_capstyle="butt", clip_on=False)
    axes.annotate(
        length_text(length), (middle, bottom), xytext=(0, -3), textcoords="offset points",
        ha="center", va="top", fontsize=7, annotation_clip=False,
    )  # fmt: skip


def _in_two_lines(title: str) -> str:
    return title.replace(" − ", "\n− ")
