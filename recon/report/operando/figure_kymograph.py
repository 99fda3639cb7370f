"""Figure: voltage and kymographs on one axis of time.

In the manner of Figures 2e to 2g and 3d of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import new_figure, sheet_width
from deltamu.recon.report.operando.colors import RATIO_LABEL, dress_ratio_bar, ratio_colormap, ratio_norm
from deltamu.recon.report.operando.content import SeriesContent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_kymographs(content: SeriesContent) -> "Figure":
    """Draw the voltage over one kymograph per region, with layers, events and charge as a second axis."""
    count = len(content.regions)
    figure = new_figure(sheet_width(), 1.3 * content.has_cycler + max(1.9 * count, 2.4) + 0.5)
    fill_with_kymographs(figure, content, content.regions)
    return figure


def fill_with_kymographs(
    figure: "Figure", content: SeriesContent, regions: Sequence[str]
) -> "tuple[Axes, ...]":
    """Draw the voltage, where there is one, over the kymographs of some regions; return their axes."""
    count = len(regions)
    ratios = [0.62] * content.has_cycler + [1.0] * count
    axes = np.atleast_1d(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios))
    panels = axes[-count:]
    if content.has_cycler:
        show_voltage(axes[0], content)
    shown = _show_all(panels, content, regions)
    bar = figure.colorbar(shown, ax=list(panels), label=_bar_label(count), extend="both", pad=0.01, aspect=30)
    dress_ratio_bar(bar)
    panels[-1].set_xlabel("time (h)")
    return tuple(axes)


def _bar_label(panels: int) -> str:
    return RATIO_LABEL if panels > 1 else RATIO_LABEL.replace("     ", "\n")


def describe_kymographs(content: SeriesContent) -> str:
    """Caption of the figure."""
    averaged = content.summary["frames"]["averaged"]
    step = content.summary["frames"]["step_s"] * averaged
    return (
        "Transmission relative to the reference, mean over the columns of each region, against the position along the "
        "stack and time. Above 1 (blue) lithium has left the beam, below 1 (red) it has come, 1 (green) is no change. "
        f"Dashed: interfaces of the layers at the reference; vertical lines: events. One value every {step:g} s"
        + (f", mean of {averaged} frames." if averaged > 1 else ".")
    )


def _show_all(panels: Any, content: SeriesContent, regions: Sequence[str]) -> Any:
    top, bottom = content.shown_mm
    kymographs = {name: content.arrays[f"kymograph/{name}/ratio"] for name in regions}
    rows = slice(int(top / content.pixel_mm), int(np.ceil(bottom / content.pixel_mm)))
    norm = ratio_norm([kymograph[:, rows] for kymograph in kymographs.values()])
    shown = None
    for axes, (name, kymograph) in zip(panels, kymographs.items(), strict=True):
        hours = content.arrays[f"kymograph/{name}/times_s"] / 3600
        half = 0.5 * float(np.median(np.diff(hours)))
        extent = (
            hours[0] - half,
            hours[-1] + half,
            rows.stop * content.pixel_mm,
            rows.start * content.pixel_mm,
        )
        shown = axes.imshow(
            kymograph[:, rows].T, extent=extent, aspect="auto", norm=norm, cmap=ratio_colormap(content.summary["colors"]),
            interpolation="nearest",
        )  # fmt: skip
        axes.set_title(content.label(name), loc="left")
        axes.set_ylabel("position (mm)")
        mark_layers(axes, content)
        mark_events(axes, content, named=False)
    return shown


def show_voltage(axes: "Axes", content: SeriesContent) -> None:
    """Draw the voltage, the charge as an axis above, and the events."""
    arrays = content.arrays
    inside = (arrays["record_times_s"] >= 0) & (arrays["record_times_s"] <= arrays["frame_times_s"][-1])
    axes.plot(
        arrays["record_times_s"][inside] / 3600,
        arrays["record_voltage_v"][inside],
        color="#222222",
        linewidth=1.0,
    )
    axes.set_ylabel("voltage (V)")
    mark_events(axes, content, named=True)
    charge = arrays["charge_mah"]
    known = np.isfinite(charge)
    if known.any() and float(np.ptp(charge[known])) > 0:
        _charge_axis(axes, arrays["frame_times_s"][known] / 3600, charge[known])


def _charge_axis(axes: "Axes", hours: Any, charge: Any) -> None:
    """Mark where the cycler has counted round charges."""
    from deltamu.recon.report.canvas import round_length

    total = float(charge[np.argmax(np.abs(charge))])
    step = round_length(abs(total) / 3) * np.sign(total)
    marks = [number * step for number in range(int(total / step) + 1)]
    sign = np.sign(total)
    at = [float(np.interp(sign * mark, sign * charge, hours)) for mark in marks]
    above = axes.secondary_xaxis("top")
    above.set_xticks(at, [f"{abs(mark):g}" for mark in marks])
    above.set_xlabel("discharged (mAh)" if total < 0 else "charged (mAh)")


def mark_layers(axes: "Axes", content: SeriesContent) -> None:
    """Draw the interfaces and the names of the layers at the right end."""
    top, bottom = content.shown_mm
    edges = [top, *(edge for edge in content.interfaces_mm if top < edge < bottom), bottom]
    for edge in edges[1:-1]:
        axes.axhline(edge, color="white", linewidth=0.7, linestyle="--")
    last = -np.inf
    for zone in content.summary["zones"].values():
        # labels of thin layers step aside
        middle = max((sum(zone["rows"]) / 2 + 0.5) * content.pixel_mm, last + 0.075 * (bottom - top))
        last = middle
        axes.annotate(
            zone["label"], (0.01, middle), xycoords=("axes fraction", "data"), va="center", fontsize=6.5, color="#111111",
            bbox={"facecolor": "white", "alpha": 0.65, "linewidth": 0, "pad": 0.8},
        )  # fmt: skip


def mark_events(axes: "Axes", content: SeriesContent, *, named: bool) -> None:
    """Draw a line at the time of every event."""
    for event in content.summary["events"]:
        hours = event["time_s"] / 3600
        axes.axvline(
            hours, color="#CC79A7" if named else "#111111", linewidth=1.0, linestyle="-." if named else ":"
        )
        if named:
            height, align = (0.96, "top") if _curve_is_low(axes, content, hours) else (0.04, "bottom")
            axes.annotate(
                f"{event['kind']}\n{hours:.2f} h", (hours, height), xycoords=("data", "axes fraction"), xytext=(3, 0),
                textcoords="offset points", fontsize=7, color="#99497a", va=align,
            )  # fmt: skip


def _curve_is_low(axes: "Axes", content: SeriesContent, hours: float) -> bool:
    """Whether the voltage passes where a label at the lower right of a time would stand."""
    times, voltage = content.arrays["record_times_s"] / 3600, content.arrays["record_voltage_v"]
    beside = (times > hours) & (times < hours + 0.12 * times.max()) & np.isfinite(voltage)
    low, high = axes.get_ylim()
    return bool(beside.any() and voltage[beside].min() < low + 0.4 * (high - low))
