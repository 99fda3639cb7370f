"""Figure: rate of attenuation change in whole frames at some depths of discharge (Figure 4b of Cao et al., MRS Bulletin, 2023)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.canvas import new_figure, sheet_width
from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.operando.figure_maps import map_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_rate_maps(content: SeriesContent) -> "Figure":
    """Draw what has changed from each map to the next, over the time between them."""
    rates, extent = _rates(content)
    limit = float(np.quantile(rates, 0.997))
    lines = -(-len(rates) // 2)
    figure = new_figure(sheet_width(), 1.05 * lines + 0.5)
    axes = figure.subplots(lines, 2, squeeze=False, sharex=True, sharey=True)
    for panel in axes.ravel()[len(rates) :]:
        panel.set_visible(False)
    for number, (rate, panel) in enumerate(zip(rates, axes.ravel(), strict=False)):
        shown = panel.imshow(rate, extent=extent, aspect="auto", cmap="inferno", vmin=0, vmax=limit)
        panel.set_title(_between(content, number), loc="left", fontsize=7.5, fontweight="normal")
        for edge in content.interfaces_mm:
            if extent[3] < edge < extent[2]:
                panel.axhline(edge, color="white", linewidth=0.5, linestyle="--")
    sign = "" if _sign(content) > 0 else "− "
    figure.colorbar(shown, ax=axes, label=f"{sign}rate of ∫Δµ dl (1/h)", extend="max", pad=0.01, aspect=30)
    figure.supxlabel("distance from the axis (mm)", fontsize=8)
    figure.supylabel("position (mm)", fontsize=8)
    return figure


def describe_rate_maps(content: SeriesContent) -> str:
    """Caption of the figure."""
    front = content.summary["front"]
    return (
        "Rate of change of the line integral, from the map before to the map of that time (the first: from the reference), "
        f"over the time between: bright where the reaction runs, which crosses the {front['layer']} from the "
        f"{front['near']} on. The front moves meanwhile, so the band is wider than at one instant. Smoothed as the maps."
    )


def _rates(content: SeriesContent) -> tuple[NDArray[Any], tuple[float, float, float, float]]:
    parts, extent = map_parts(content)
    depths = -np.log(np.maximum(np.stack([np.ones_like(parts[0]), *parts]), 1e-3))
    hours = np.diff(_times_s(content)) / 3600
    return _sign(content) * np.diff(depths, axis=0) / hours[:, None, None], extent


def _sign(content: SeriesContent) -> int:
    return 1 if np.nansum(content.arrays["front/rate"]) >= 0 else -1


def _times_s(content: SeriesContent) -> NDArray[np.float64]:
    """Middle of the reference, then of every map."""
    first, stop = content.summary["frames"]["reference"]
    begin = float(np.mean(content.arrays["frame_times_s"][first:stop]))
    return np.array([begin, *(entry["time_s"] for entry in content.summary["maps"])])


def _between(content: SeriesContent, number: int) -> str:
    times = _times_s(content)
    text = f"{times[number] / 3600:.1f} to {times[number + 1] / 3600:.1f} h"
    if not content.has_cycler:
        return text
    charge = np.abs(np.nan_to_num(content.arrays["charge_mah"]))
    if not charge.max() > 0:
        return text
    shares = (
        100 * np.interp(times[number : number + 2], content.arrays["frame_times_s"], charge) / charge.max()
    )
    return f"{text} · {shares[0]:.0f} to {shares[1]:.0f} % of the charge"
