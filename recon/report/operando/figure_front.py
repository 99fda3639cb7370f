"""Figure: rate of attenuation change and the reaction front (Figure 4b of Cao et al., MRS Bulletin, 2023)."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import new_figure, sheet_width
from deltamu.recon.report.operando.content import SeriesContent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RATE_COLORS = "inferno"


def draw_front(content: SeriesContent) -> "Figure":
    """Draw the rate against depth and time with the front on it, beside profiles of the rate at some times."""
    figure = new_figure(sheet_width(), 3.2)
    image, profiles = figure.subplots(1, 2, width_ratios=(1.55, 1))
    _show_rate(image, content)
    _show_profiles(profiles, content)
    return figure


def describe_front(content: SeriesContent) -> str:
    """Caption of the figure."""
    front = content.summary["front"]
    text = (
        f"Left: rate of change of the line integral in the {front['layer']} ({content.label(front['region'])}), and the front by "
        "its largest rate (white) and by half of the height behind it (blue, dashed). Right: the rate against depth from the "
        f"{front['near']} at some times, with one σ. "
    )
    if front["velocity_um_per_h"] is not None:
        low, high = front["interval_um_per_h"]
        text += f"Velocity {front['velocity_um_per_h']:.2f} µm/h, 95 % between {low:.2f} and {high:.2f}"
        expected = front["expected_um_per_h"]
        text += f"; i/(F Δn U) = {expected:.2f} µm/h." if expected else "."
    return text


def _show_rate(axes: "Axes", content: SeriesContent) -> None:
    arrays, front = content.arrays, content.summary["front"]
    depth, rate = 1e3 * arrays["front/depth_mm"], arrays["front/rate"]
    thickness = 1e3 * front["thickness_mm"]
    inside = (depth > -0.25 * thickness) & (depth < 1.25 * thickness)
    hours = arrays["front/by_rate/times_s"] / 3600
    sign = 1 if np.nansum(rate[:, inside]) >= 0 else -1
    values = sign * rate[:, inside].T
    extent = (hours[0], hours[-1], depth[inside][-1], depth[inside][0])
    shown = axes.imshow(
        values,
        extent=extent,
        aspect="auto",
        cmap=_RATE_COLORS,
        vmin=0,
        vmax=float(np.nanquantile(values, 0.998)),
    )
    axes.figure.colorbar(
        shown, ax=axes, label="rate of ∫Δµ dl (1/h)" if sign > 0 else "− rate of ∫Δµ dl (1/h)", pad=0.01
    )
    axes.plot(
        hours, 1e3 * arrays["front/by_rate/depth_mm"], color="white", linewidth=1.2, label="largest rate"
    )
    axes.plot(
        hours,
        1e3 * arrays["front/by_half/depth_mm"],
        color="#56B4E9",
        linewidth=1.0,
        linestyle="--",
        label="half height",
    )
    for edge in (0.0, thickness):
        axes.axhline(edge, color="#bbbbbb", linewidth=0.7, linestyle="--")
    axes.set_facecolor("#d9d9d9")
    axes.set_xlabel("time (h)")
    axes.set_ylabel(f"depth from the {front['near']} (µm)")
    axes.legend(loc="lower left", labelcolor="white", frameon=False)


def _show_profiles(axes: "Axes", content: SeriesContent) -> None:
    arrays, front = content.arrays, content.summary["front"]
    depth, hours = 1e3 * arrays["front/depth_mm"], arrays["front/by_rate/times_s"] / 3600
    thickness = 1e3 * front["thickness_mm"]
    inside = (depth > -0.2 * thickness) & (depth < 1.2 * thickness)
    for share in (0.15, 0.35, 0.55, 0.75, 0.95):
        index = int(share * (hours.size - 1))
        line = axes.plot(
            depth[inside],
            arrays["front/rate"][index][inside],
            linewidth=1.1,
            label=_when(content, hours[index]),
        )[0]
        sigma = arrays["front/rate_sigma"][index][inside]
        middle = arrays["front/rate"][index][inside]
        axes.fill_between(
            depth[inside], middle - sigma, middle + sigma, color=line.get_color(), alpha=0.25, linewidth=0
        )
    for edge in (0.0, thickness):
        axes.axvline(edge, color="#888888", linewidth=0.7, linestyle="--")
    axes.set_xlabel(f"depth from the {front['near']} (µm)")
    axes.set_ylabel("rate of ∫Δµ dl (1/h)")
    axes.legend(fontsize=6.5)


def _when(content: SeriesContent, hours: float) -> str:
    if not content.has_cycler:
        return f"{hours:.1f} h"
    charge = np.nan_to_num(content.arrays["charge_mah"])
    total = float(np.abs(charge).max()) or 1.0
    share = abs(float(np.interp(3600 * hours, content.arrays["frame_times_s"], charge))) / total
    return f"{hours:.1f} h, {100 * share:.0f} % of the charge"
