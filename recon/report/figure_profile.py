"""Figure: the changes against depth.

In the manner of Figure 4c of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import change_color, change_marker, new_figure, sheet_width
from deltamu.recon.report.content import ProfileTable, ReportContent, change_title
from deltamu.recon.report.numbers import number
from deltamu.recon.report.sections import CellFrame, cell_frame
from deltamu.recon.report.stack_panel import draw_stack

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN_COLOR = "#ececec"
CHANGE_AXIS = "mean Δµ (cm⁻¹)"
LEAST_WIDTH_FOR_TWO_IN = 5.5


def draw_profile(content: ReportContent) -> "Figure":
    """Draw the changes along the whole stack (left) and inside the profile layer with error bands (right)."""
    frame = cell_frame(content)
    width_in = sheet_width()
    if width_in >= LEAST_WIDTH_FOR_TWO_IN:
        figure = new_figure(width_in, 3.3)
        whole, layer = figure.subplots(1, 2, width_ratios=[1.0, 1.25])
    else:
        figure = new_figure(width_in, 5.8)
        whole, layer = figure.subplots(2, 1)
    thickness = layer_thickness(content, frame)
    draw_stack(whole, content, frame, thickness_mm=thickness)
    whole.set_ylabel(CHANGE_AXIS)
    _draw_layer_profiles(layer, content, thickness)
    columns = 1 if len(content.changes) <= 4 else 2
    layer.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.3)
    return figure


def describe_profile(content: ReportContent) -> str:
    """Caption of the figure."""
    layer = content.profile_layer
    parts = [
        "Change against depth d, from the separator (d₀ = 0) to the current collector (dₘₐₓ), along the "
        f"normal of the {layer}. One panel: the whole stack, mean over the inner 80 % of the radius; a number "
        "at the edge is the height of a spike that leaves the panel.",
        "Hatched: too few neutrons (starved), not quantitative."
        if content.starved_heights_mm is not None
        else "",
        f"The other: the {layer}; bands are ± 2 standard errors of the mean{_typical_band(content)}. Shaded: "
        "margins that the blur of the neighbouring layers reaches, left out of the mean Δµ.",
        "Right axis: the same as lithium per volume, if lithium is all that changed."
        if _lithium_per_attenuation(content) is not None
        else "",
    ]
    return " ".join(part for part in parts if part)


def layer_thickness(content: ReportContent, frame: CellFrame) -> float:
    """Thickness of the profile layer in mm: d at the current collector."""
    stated = content.layers.get(content.profile_layer or "", {}).get("thickness_mm")
    return float(stated) if stated else abs(frame.far_z_mm - frame.near_z_mm)


def _typical_band(content: ReportContent) -> str:
    """Say how wide the bands are, because they are often narrower than the line."""
    errors = np.concatenate([p.standard_error[p.eroded] for p in content.profiles.values()])
    errors = errors[np.isfinite(errors)]
    if errors.size == 0:
        return ""
    return f" (typically ± {number(2 * float(np.median(errors)), digits=2)} cm⁻¹)"


def _draw_layer_profiles(axes: "Axes", content: ReportContent, thickness: float) -> None:
    axes.axhline(0, color="#444444", linewidth=0.6, zorder=1)
    for index, change in enumerate(content.changes):
        _draw_profile(axes, content.profiles[change], change_title(change), index)
    _shade_margins(axes, content.profiles[content.changes[0]], thickness)
    for depth, name, side in ((0.0, "separator", "right"), (thickness, "current collector", "left")):
        axes.axvline(depth, color="#444444", linewidth=0.7)
        axes.annotate(
            name, (depth, 1.0), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            xytext=(-3 if side == "right" else 3, -2), rotation=90, ha=side, va="top", fontsize=6.5,
        )  # fmt: skip
    pad = 0.14 * thickness
    axes.set_xlim(-pad, thickness + pad)
    axes.set_xlabel(f"depth d in the {content.profile_layer} (mm)")
    axes.set_ylabel(CHANGE_AXIS)
    _add_lithium_axis(axes, content)


def _draw_profile(axes: "Axes", profile: ProfileTable, label: str, index: int) -> None:
    drawn = np.isfinite(profile.mean)
    depth, mean = profile.depth_mm[drawn], profile.mean[drawn]
    band = 2 * np.nan_to_num(profile.standard_error[drawn])
    color = change_color(index)
    axes.fill_between(depth, mean - band, mean + band, color=color, alpha=0.25, linewidth=0)
    axes.plot(depth, mean, color=color, marker=change_marker(index), markersize=3, label=label)


def _shade_margins(axes: "Axes", profile: ProfileTable, thickness: float) -> None:
    """Shade the part of the layer that erosion leaves out."""
    first, last = profile.averaged_mm(thickness)
    for low, high in ((0.0, first), (last, thickness)):
        if high > low:
            axes.axvspan(low, high, color=MARGIN_COLOR, linewidth=0, zorder=0)


def _lithium_per_attenuation(content: ReportContent) -> float | None:
    """Lithium in mol/L per cm⁻¹, from the conversion that stands in the profiles."""
    for profile in content.profiles.values():
        known = np.isfinite(profile.lithium_mol_cm3) & (np.abs(profile.mean) > 0)
        if known.any():
            largest = int(np.argmax(np.where(known, np.abs(profile.mean), 0)))
            return float(1000 * profile.lithium_mol_cm3[largest] / profile.mean[largest])
    return None


def _add_lithium_axis(axes: "Axes", content: ReportContent) -> None:
    factor = _lithium_per_attenuation(content)
    if factor is None or factor == 0:
        return

    def to_lithium(value: Any) -> Any:
        return np.asarray(value) * factor

    def to_attenuation(value: Any) -> Any:
        return np.asarray(value) / factor

    right = axes.secondary_yaxis("right", functions=(to_lithium, to_attenuation))
    right.set_ylabel("change of lithium (mol/L)")
    right.spines["right"].set_visible(True)
