"""Figure: the resolution of every state, by the response of edges and by shell correlation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import change_color, change_marker, new_figure, sheet_width
from deltamu.recon.report.content import ReportContent, state_title
from deltamu.recon.report.numbers import finite, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURES = {
    "edge_in_slice": "edge,\nwithin slices",
    "edge_along_axis": "edge,\nalong the axis",
    "shell_correlation": "shell correlation,\nall directions",
    "shell_correlation_in_slice": "shell correlation,\nwithin slices",
    "shell_correlation_along_axis": "shell correlation,\nalong the axis",
}
WIDEST_IN = 5.2
# markers of the states stand this far apart, in rows
APART = 0.2
# width of an entry of the legend
LEGEND_IN = 1.3


def draw_resolution(content: ReportContent) -> "Figure":
    """Draw one row per measure and one marker per state, with two voxels as the least that a grid can show."""
    figure = new_figure(min(sheet_width(), WIDEST_IN), 2.9)
    axes = figure.subplots()
    states = resolved_states(content)
    for index, state in enumerate(states):
        _draw_state(
            axes, content.summary["states"][state]["resolution"], index, len(states), state_title(state)
        )
    voxel_um = 1e3 * float(content.summary["voxel_size_mm"])
    axes.axvline(2 * voxel_um, color="#444444", linewidth=0.8, linestyle="--", label="two voxels")
    axes.set_yticks(range(len(MEASURES)), list(MEASURES.values()), fontsize=7)
    axes.set_ylim(len(MEASURES) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("edges: FWHM, correlation: period (µm)")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=max(1, int(figure.get_figwidth() / LEGEND_IN)),
        fontsize=7,
        frameon=False,
    )
    return figure


def describe_resolution(content: ReportContent) -> str:
    """Caption of the figure."""
    return (
        "Resolution of the states. Edges: full width at half maximum of what the rim of the pellet (within slices) and "
        "the sharpest step that does not change (along the axis) are blurred by, ± one standard error. Shell correlation: "
        "period at which two halves of the views no longer agree to half a bit per voxel (van Heel and Schatz 2005), set by "
        f"the noise of single voxels. Voxel {number(1e3 * float(content.summary['voxel_size_mm']))} µm."
    )


def resolved_states(content: ReportContent) -> list[str]:
    """States whose resolution is known."""
    return [state for state in content.states if _values(content.summary["states"][state].get("resolution"))]


def _values(found: Mapping[str, Any] | None) -> dict[str, float]:
    """Widths and periods that are known, µm."""
    read = {name: finite((found or {}).get(f"{name}_mm")) for name in MEASURES}
    return {name: 1e3 * value for name, value in read.items() if value is not None}


def _draw_state(axes: "Axes", found: Mapping[str, Any], index: int, states: int, title: str) -> None:
    values = _values(found)
    rows = [list(MEASURES).index(name) + APART * (index - 0.5 * (states - 1)) for name in values]
    errors = [1e3 * (finite(found.get(f"{name}_standard_error_mm")) or np.nan) for name in values]
    axes.errorbar(
        list(values.values()), rows, xerr=errors, fmt=change_marker(index), color=change_color(index), markersize=4,
        capsize=2, linewidth=0.9, label=title,
    )  # fmt: skip
