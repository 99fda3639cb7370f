"""Figure: the current density across the electrode against time."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import change_color, new_figure, sheet_width
from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.operando.figure_kymograph import mark_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINES = 3


def draw_current(content: SeriesContent) -> "Figure":
    """Draw the local current density of the first zone over time and width, beside profiles at some times."""
    figure = new_figure(sheet_width(), 2.7)
    image, profiles = figure.subplots(1, 2, width_ratios=(1.5, 1))
    _show_image(image, content, content.zones[0])
    _show_profiles(profiles, content, content.zones[0])
    return figure


def describe_current(content: SeriesContent) -> str:
    """Caption of the figure."""
    text = (
        f"Rate at which lithium comes into the {content.label(content.zones[0])} (negative: leaves it), as current per area of "
        "the beam's chord, from straight lines through five windows of "
        f"{content.summary['lithium']['window_min']:g} min. Left: against time and distance from the axis. Right: across the "
        "cell at some times, with one σ of counting noise"
    )
    return text + ("; dotted: the cycler's current over the area of the pellet." if _cycled(content) else ".")


def _cycled(content: SeriesContent) -> bool:
    return content.has_cycler and bool(np.any(np.isfinite(content.arrays["current_ma"])))


def _show_image(axes: "Axes", content: SeriesContent, zone: str) -> None:
    current, hours = content.arrays[f"current/{zone}/ma_cm2"], content.arrays["current/times_s"] / 3600
    edges = content.arrays["current/edges_mm"]
    half = 0.5 * float(np.median(np.diff(hours)))
    limit = float(np.nanquantile(np.abs(current), 0.98))
    shown = axes.pcolormesh(
        np.append(hours - half, hours[-1] + half), np.append(edges[:, 0], edges[-1, 1]), current.T, cmap="PuOr",
        vmin=-limit, vmax=limit,
    )  # fmt: skip
    axes.figure.colorbar(shown, ax=axes, label="current density (mA/cm²)", extend="both", pad=0.01)
    mark_events(axes, content, named=False)
    axes.set_xlabel("time (h)")
    axes.set_ylabel("distance from the axis (mm)")


def _show_profiles(axes: "Axes", content: SeriesContent, zone: str) -> None:
    current, sigma = (content.arrays[f"current/{zone}/{kind}"] for kind in ("ma_cm2", "sigma_ma_cm2"))
    middles = content.arrays["current/edges_mm"].mean(axis=1)
    known = np.flatnonzero(np.all(np.isfinite(current), axis=1))
    for index, window in enumerate(known[np.linspace(0, known.size - 1, _LINES + 2).astype(int)[1:-1]]):
        color, hours = change_color(index), content.arrays["current/times_s"][window] / 3600
        axes.plot(middles, current[window], color=color, linewidth=1.0, label=f"{hours:.1f} h")
        low, high = current[window] - sigma[window], current[window] + sigma[window]
        axes.fill_between(middles, low, high, color=color, alpha=0.2, linewidth=0)
    if _cycled(content):
        flowing = np.abs(np.nan_to_num(content.arrays["current_ma"]))
        radius = float(content.arrays["strip_edges_mm"][-2])
        density = (
            float(np.median(flowing[flowing > 0])) / (0.01 * np.pi * radius**2) if flowing.any() else 0.0
        )
        axes.axhline(np.sign(np.nanmean(current)) * density, color="#444444", linewidth=0.8, linestyle=":")
    axes.axhline(0, color="#444444", linewidth=0.5)
    axes.set_xlabel("distance from the axis (mm)")
    axes.set_ylabel("mA/cm²")
    axes.legend(fontsize=6.5, ncols=_LINES, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=0.8)
