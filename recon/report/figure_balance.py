"""Figure: does the lithium that leaves one side of the separator arrive on the other, and as much as was cycled?"""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import change_color, new_figure, sheet_width
from deltamu.recon.report.content import ReportContent, change_title
from deltamu.recon.report.numbers import THIN_SPACE, finite, fixed
from deltamu.recon.report.sections import CellFrame, cell_frame, layer_surfaces
from deltamu.recon.report.stack_profile import stack_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_WIDTH_FOR_TWO_IN = 5.5
BAR = 0.36
_STARVED = (
    "The side that holds rows starved of neutrons is hatched: attenuation is biased there, its lithium is not "
    "determinable, and no sum of the sides is stated."
)
_WHOLE = (
    "The sum of both is 0 when lithium only moved from one side to the other and no edge of the field cuts a "
    "layer that changed."
)


def draw_balance(content: ReportContent) -> "Figure":
    """Draw imaged beside cycled charge (left) and the charge per area on both sides of the separator (right)."""
    width_in = sheet_width()
    beside = width_in >= LEAST_WIDTH_FOR_TWO_IN
    figure = new_figure(width_in, 2.9 if beside else 5.4)
    charge, sides = figure.subplots(*((1, 2) if beside else (2, 1)))
    _draw_charges(charge, content)
    _draw_sides(sides, content)
    for axes in (charge, sides):
        axes.axhline(0, color="#444444", linewidth=0.6)
        axes.set_xticks(range(len(content.changes)), [_in_two_lines(c) for c in content.changes], fontsize=7)
        axes.set_xlim(-0.6, len(content.changes) - 0.4)
        axes.margins(y=0.22)
    return figure


def describe_balance(content: ReportContent) -> str:
    """Caption of the figure."""
    starved = content.starved_heights_mm is not None
    return (
        f"Lithium balance. One panel: charge of the {content.profile_layer} by imaging, ± one standard error, "
        "beside the charge that was cycled where it is known; the percentage is their ratio. The other: change "
        "of attenuation of the core of the pellet, integrated along the stack and expressed as charge per area, "
        f"on either side of the middle of the separator. {_STARVED if starved else _WHOLE}"
    )


def has_balance(content: ReportContent) -> bool:
    """Whether charges exist to be compared."""
    factor = (content.summary.get("lithium") or {}).get("mAh_cm3_per_cm1")
    return bool(content.changes) and content.profile_layer is not None and finite(factor) is not None


def sides_of_separator(content: ReportContent, change: str, frame: CellFrame) -> tuple[float, float]:
    """Charge per area (mAh/cm²) before and behind the middle of the layer in front of the profile layer."""
    factor = float(content.summary["lithium"]["mAh_cm3_per_cm1"])
    profile = stack_profile(content, change, frame)
    step_cm = 0.1 * frame.voxel_mm
    values = np.nan_to_num(profile.mean) * step_cm * factor
    behind = profile.depth_mm > separator_middle_mm(content, frame)
    return float(values[~behind].sum()), float(values[behind].sum())


def separator_middle_mm(content: ReportContent, frame: CellFrame) -> float:
    """Depth (negative) of the middle of the layer that borders the profile layer at d = 0."""
    middles = [
        frame.depth_of_z(float(np.nanmean(np.where(frame.inside, 0.5 * (near + far), np.nan))))
        for near, far in layer_surfaces(content).values()
    ]
    return max((middle for middle in middles if middle < 0), default=0.0)


def _draw_charges(axes: "Axes", content: ReportContent) -> None:
    for index, change in enumerate(content.changes):
        found = content.change(change)
        imaged, error = finite(found.get("charge_mAh")), finite(found.get("charge_standard_error_mAh"))
        cycled, ratio = finite(found.get("charge_cycled_mAh")), finite(found.get("charge_closure"))
        if imaged is None:
            continue
        first = index == 0
        axes.bar(
            index - BAR / 2, imaged, BAR, yerr=error, color=change_color(index), capsize=2,
            error_kw={"linewidth": 0.8}, label="imaged" if first else None,
        )  # fmt: skip
        if cycled is not None:
            axes.bar(
                index + BAR / 2, cycled, BAR, facecolor="white", edgecolor=change_color(index), linewidth=1.2,
                label="cycled" if first else None,
            )  # fmt: skip
        if ratio is not None:
            _write_over_bar(axes, index, imaged, f"{fixed(100 * ratio, 1)}{THIN_SPACE}%")
    axes.set_ylabel(f"charge of the {content.profile_layer} (mAh)")
    axes.set_title("filled: imaged, open: cycled", fontweight="normal", fontsize=7.5)


def _draw_sides(axes: "Axes", content: ReportContent) -> None:
    frame = cell_frame(content)
    hatched = _starved_sides(content, frame)
    for index, change in enumerate(content.changes):
        before, behind = sides_of_separator(content, change, frame)
        color = change_color(index)
        places = (-0.14, 0.14) if any(hatched) else (-0.28, 0.0)
        for place, value, hatch in zip(places, (before, behind), hatched, strict=True):
            axes.bar(
                index + place, value, 0.26, facecolor="white" if hatch else color, edgecolor=color,
                hatch="/////" if hatch else None, linewidth=1.0,
            )  # fmt: skip
            if hatch:
                _write_over_bar(axes, index + place, value, "not\ndeterminable")
        if not any(hatched):
            axes.bar(index + 0.28, before + behind, 0.26, color="#555555")
            _write_over_bar(axes, index + 0.28, before + behind, fixed(before + behind, 1, signed=True))
    axes.set_ylabel("charge per area (mAh cm⁻²)")
    title = "before | behind the middle of the separator"
    axes.set_title(title if any(hatched) else f"{title} | sum (grey)", fontweight="normal", fontsize=7.5)


def _starved_sides(content: ReportContent, frame: CellFrame) -> tuple[bool, bool]:
    heights = content.starved_heights_mm
    if heights is None:
        return False, False
    middle = separator_middle_mm(content, frame)
    low, high = sorted(frame.depth_of_z(height) for height in heights)
    return low < middle, high > middle


def _write_over_bar(axes: "Axes", place: float, value: float, text: str) -> None:
    axes.annotate(
        text, (place, value), xytext=(0, 4 if value >= 0 else -4), textcoords="offset points",
        ha="center", va="bottom" if value >= 0 else "top", fontsize=7,
    )  # fmt: skip


def _in_two_lines(change: str) -> str:
    return change_title(change).replace(" − ", "\n− ")
