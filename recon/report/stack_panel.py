"""Panel: the changes along the whole stack, with the names of the layers and what could not be measured."""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import change_color
from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.figure_changes import change_limit
from deltamu.recon.report.numbers import fixed
from deltamu.recon.report.sections import CellFrame, layer_surfaces
from deltamu.recon.report.stack_profile import StackProfile, stack_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAYER_COLOR = "#fff3d1"
STARVED_HATCH: dict[str, Any] = {
    "facecolor": "none",
    "edgecolor": "#b5b5b5",
    "hatch": "//////",
    "linewidth": 0,
}
# beyond this multiple of the colour scale a spike is cut, or the profile layer could not be read beside it
LARGEST_OVER_SCALE = 2.5


def draw_stack(axes: "Axes", content: ReportContent, frame: CellFrame, *, thickness_mm: float) -> None:
    """Draw the mean of every change over the core of the pellet against the distance from d₀."""
    axes.axhline(0, color="#444444", linewidth=0.6, zorder=1)
    profiles = [stack_profile(content, change, frame) for change in content.changes]
    for index, profile in enumerate(profiles):
        axes.plot(profile.depth_mm, profile.mean, color=change_color(index), linewidth=1.1)
    largest = max((abs(_extreme(profile)[1]) for profile in profiles), default=0.0)
    limit = min(1.15 * largest, LARGEST_OVER_SCALE * change_limit(content)) or 1.0
    axes.set_ylim(-limit, limit)
    for index, profile in enumerate(profiles):
        _mark_cut_extreme(axes, profile, limit, change_color(index))
    axes.axvspan(0, thickness_mm, color=LAYER_COLOR, linewidth=0, zorder=0)
    axes.set_xlabel("distance d along the stack (mm)")
    _mark_starved(axes, content, frame)
    _name_layers(axes, content, frame)


def _extreme(profile: StackProfile) -> tuple[float, float]:
    """Depth and value of the largest change in either direction; zeros where there is none."""
    if not np.isfinite(profile.mean).any():
        return 0.0, 0.0
    index = int(np.nanargmax(np.abs(profile.mean)))
    return float(profile.depth_mm[index]), float(profile.mean[index])


def _mark_cut_extreme(axes: "Axes", profile: StackProfile, limit: float, color: str) -> None:
    """Write the value of a spike that leaves the panel beside the place where it does."""
    depth, value = _extreme(profile)
    if abs(value) > limit:
        axes.annotate(
            fixed(value, 1, signed=True), (depth, np.sign(value) * limit), xytext=(-4, -5 * np.sign(value)),
            textcoords="offset points", ha="right", va="center", fontsize=6.5, color=color,
        )  # fmt: skip


def _mark_starved(axes: "Axes", content: ReportContent, frame: CellFrame) -> None:
    """Hatch where some state was starved of neutrons: numbers there are not quantitative."""
    heights = content.starved_heights_mm
    if heights is None:
        return
    low, high = sorted(frame.depth_of_z(z) for z in heights)
    first, last = axes.get_xlim()
    axes.axvspan(low, high, zorder=0, **STARVED_HATCH)
    axes.annotate(
        "starved", (0.5 * (low + high), 0.28), xycoords=axes.get_xaxis_transform(), rotation=90,
        ha="center", va="center", fontsize=6.5, color="#333333",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip
    axes.set_xlim(first, last)


def _name_layers(axes: "Axes", content: ReportContent, frame: CellFrame) -> None:
    """Write the names of the layers above the panel, over the middle of what is shown of each."""
    first, last = axes.get_xlim()
    for name, (near, far) in layer_surfaces(content).items():
        faces = [frame.depth_of_z(float(np.nanmean(np.where(frame.inside, surface, np.nan))))
                 for surface in (near, far)]  # fmt: skip
        low, high = max(min(faces), first), min(max(faces), last)
        if high <= low:
            continue
        for face in faces:
            axes.axvline(face, color="#999999", linewidth=0.5, zorder=0)
        axes.text(
            0.5 * (low + high), 1.015, name.replace("_", " "), transform=axes.get_xaxis_transform(),
            ha="left", va="bottom", fontsize=6.5, rotation=35, rotation_mode="anchor", color="#333333",
        )  # fmt: skip
    axes.set_xlim(first, last)
