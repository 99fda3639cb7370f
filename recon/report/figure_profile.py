"""Figure: the changes against depth.

In the manner of Figure 4c of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import CHANGE_COLORS, FULL_WIDTH_IN, new_figure
from deltamu.recon.report.content import ProfileTable, ReportContent, change_title
from deltamu.recon.report.sections import CellFrame, cell_frame, layer_surfaces
from deltamu.recon.report.stack_profile import stack_profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN_COLOR = "#ececec"
CHANGE_AXIS = "mean Δµ (cm⁻¹)"


def draw_profile(content: ReportContent) -> "Figure":
    """Draw the changes along the whole stack (left) and inside the profile layer with error bands (right)."""
    frame = cell_frame(content)
    figure = new_figure(FULL_WIDTH_IN, 3.3)
    whole, layer = figure.subplots(1, 2, width_ratios=[1.0, 1.25])
    _draw_stack(whole, content, frame)
    _draw_layer_profiles(layer, content)
    columns = 1 if len(content.changes) <= 4 else 2
    layer.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, borderaxespad=0.3)
    return figure


def describe_profile(content: ReportContent) -> str:
    """Caption of the figure."""
    lithium = " Right axis: the same as lithium per volume, if lithium is all that changed."
    layer = content.profile_layer
    return (
        "Change against depth d, from the separator (d₀ = 0) to the current collector (dₘₐₓ), along the "
        f"normal of the {layer}. Left: the whole stack, mean over the inner 80 % of the radius. Right: the "
        f"{layer}; bands are ± 2 standard errors of the mean, hidden by the line where they are narrower. "
        "Shaded: margins that the blur of the neighbouring layers reaches, left out of the mean Δµ."
        f"{lithium if _lithium_per_attenuation(content) is not None else ''}"
    )


def layer_thickness(content: ReportContent, frame: CellFrame) -> float:
    """Thickness of the profile layer in mm: d at the current collector."""
    stated = content.layers.get(content.profile_layer or "", {}).get("thickness_mm")
    return float(stated) if stated else abs(frame.far_z_mm - frame.near_z_mm)


def _draw_stack(axes: "Axes", content: ReportContent, frame: CellFrame) -> None:
    _no_change_line(axes)
    peak = 0.0
    for index, change in enumerate(content.changes):
        profile = stack_profile(content, change, frame)
        axes.plot(profile.depth_mm, profile.mean, color=_color(index), linewidth=1.1)
        reached = np.abs(profile.mean[np.isfinite(profile.mean)])
        peak = max(peak, float(reached.max(initial=0.0)))
    thickness = layer_thickness(content, frame)
    axes.axvspan(0, thickness, color="#fff3d1", linewidth=0, zorder=0)
    axes.set_xlabel("distance d along the whole stack (mm)")
    axes.set_ylabel(CHANGE_AXIS)
    axes.set_ylim(-1.15 * peak or -1, 1.15 * peak or 1)
    _name_layers(axes, content, frame)


def _name_layers(axes: "Axes", content: ReportContent, frame: CellFrame) -> None:
    """Write the names of the layers above the panel, over the middle of what is shown of each."""
    toward_collector = 1.0 if frame.far_z_mm >= frame.near_z_mm else -1.0
    first, last = axes.get_xlim()
    for name, (near, far) in layer_surfaces(content).items():
        faces = [
            toward_collector * (float(np.nanmean(np.where(frame.inside, surface, np.nan))) - frame.near_z_mm)
            for surface in (near, far)
        ]
        low, high = max(min(faces), first), min(max(faces), last)
        if high <= low:
            continue
        axes.axvline(faces[0], color="#999999", linewidth=0.5, zorder=0)
        axes.axvline(faces[1], color="#999999", linewidth=0.5, zorder=0)
        axes.text(
            0.5 * (low + high), 1.015, name.replace("_", " "), transform=axes.get_xaxis_transform(),
            ha="left", va="bottom", fontsize=6.5, rotation=35, rotation_mode="anchor", color="#333333",
        )  # fmt: skip
    axes.set_xlim(first, last)


def _draw_layer_profiles(axes: "Axes", content: ReportContent) -> None:
    thickness = layer_thickness(content, cell_frame(content))
    _no_change_line(axes)
    for index, change in enumerate(content.changes):
        _draw_profile(axes, content.profiles[change], change_title(change), _color(index))
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


def _draw_profile(axes: "Axes", profile: ProfileTable, label: str, color: str) -> None:
    drawn = np.isfinite(profile.mean)
    depth, mean = profile.depth_mm[drawn], profile.mean[drawn]
    band = 2 * np.nan_to_num(profile.standard_error[drawn])
    axes.fill_between(depth, mean - band, mean + band, color=color, alpha=0.25, linewidth=0)
    axes.plot(depth, mean, color=color, marker="o", markersize=2.6, label=label)


def _shade_margins(axes: "Axes", profile: ProfileTable, thickness: float) -> None:
    """Shade the part of the layer that erosion leaves out."""
    kept = profile.depth_mm[profile.eroded]
    if kept.size == 0:
        return
    for low, high in ((0.0, kept[0] - 0.5 * profile.bin_mm), (kept[-1] + 0.5 * profile.bin_mm, thickness)):
        if high > low:
            axes.axvspan(low, high, color=MARGIN_COLOR, linewidth=0, zorder=0)


def _no_change_line(axes: "Axes") -> None:
    axes.axhline(0, color="#444444", linewidth=0.6, zorder=1)


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


def _color(index: int) -> str:
    return CHANGE_COLORS[index % len(CHANGE_COLORS)]
