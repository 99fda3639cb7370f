"""Figure: charge of the zones against that of the cycler, and its distribution across the electrode."""

from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.operando.strips import Strips
from deltamu.recon.report.canvas import change_color, change_marker, new_figure, sheet_width
from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.operando.figure_kymograph import mark_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_lithium(content: SeriesContent) -> "Figure":
    """Draw charge against time beside the distribution over the width of the first zone."""
    figure = new_figure(sheet_width(), 3.0)
    charge, across = figure.subplots(1, 2, width_ratios=(1.5, 1))
    _show_charges(charge, content)
    _show_distribution(across, content, content.zones[0])
    return figure


def describe_lithium(content: SeriesContent) -> str:
    """Caption of the figure."""
    lithium = content.summary["lithium"]
    return (
        "Left: lithium that came into each zone since the reference, from the images, as charge; means over "
        f"{lithium['window_min']:g} min with one σ of counting noise, against the charge of the cycler (grey; both signs). "
        f"Right: the change of the {content.label(content.zones[0])} across the cell, per area of the beam's chord, at some "
        "times. "
        f"{lithium['wavelength_angstrom']:g} Å, {100 * lithium['li6_fraction']:.3g} % ⁶Li, one electron per lithium."
    )


def _show_charges(axes: "Axes", content: SeriesContent) -> None:
    hours = content.arrays["window/times_s"] / 3600
    if content.has_cycler:
        charge, frames = content.arrays["charge_mah"], content.arrays["frame_times_s"] / 3600
        for sign in (1, -1):
            axes.plot(
                frames,
                sign * charge,
                color="#aaaaaa",
                linewidth=2.5,
                zorder=0,
                label="cycler, ±" if sign > 0 else None,
            )
    names = [*content.zones, *(["balance"] if len(content.summary["lithium"]["balance"]) > 1 else [])]
    for index, name in enumerate(names):
        axes.errorbar(
            hours, content.arrays[f"window/{name}/mah"], content.arrays[f"window/{name}/sigma_mah"], color=change_color(index),
            marker=change_marker(index), markersize=2.5, linewidth=0.9, label=content.label(name),
            linestyle="--" if name == "balance" else "-",
        )  # fmt: skip
    axes.axhline(0, color="#444444", linewidth=0.5)
    shown = np.concatenate([content.arrays[f"window/{name}/mah"] for name in names])
    reach = 1.12 * float(np.abs(shown).max())
    axes.set_ylim(-reach if shown.min() < -0.05 * reach else -0.1 * reach, reach)
    mark_events(axes, content, named=False)
    axes.set_xlabel("time (h)")
    axes.set_ylabel("lithium gained (mAh)")
    axes.legend(fontsize=6.5, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=0.9)


def _show_distribution(axes: "Axes", content: SeriesContent, zone: str) -> None:
    """mAh/cm² against the distance from the axis, at some times."""
    strips = content.arrays[f"window/{zone}/strips_mah"]
    edges = content.arrays["strip_edges_mm"]
    # the outermost strips hold the blur beyond the pellet
    radius = float(edges[-2])
    middles = (edges[1:] + edges[:-1]) / 2
    inner = np.abs(middles) < 0.95 * radius
    area = Strips(edges, 0.0, content.pixel_mm).chord_areas_cm2(radius)
    for index, window in enumerate(np.linspace(0, len(strips) - 1, 5).astype(int)[1:]):
        hours = content.arrays["window/times_s"][window] / 3600
        axes.plot(
            middles[inner],
            strips[window][inner] / area[inner],
            color=change_color(index),
            label=f"{hours:.1f} h",
            linewidth=1.0,
        )
    axes.axhline(0, color="#444444", linewidth=0.5)
    axes.set_xlabel("distance from the axis (mm)")
    axes.set_ylabel(f"{content.label(zone)} (mAh/cm²)")
    axes.legend(
        fontsize=6.5,
        ncols=4,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        columnspacing=0.8,
        handlelength=1.2,
    )
