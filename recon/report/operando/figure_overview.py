"""Figure: the radiograph with its regions, and the transmission along the stack.

In the manner of Figures 2a, 2b, 2d and 3b, 3c of Cao et al., MRS Bulletin (2023), doi 10.1557/s43577-023-00611-7.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from deltamu.recon.report.canvas import change_color, length_text, new_figure, round_length, sheet_width
from deltamu.recon.report.operando.content import SeriesContent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_overview(content: SeriesContent) -> "Figure":
    """Draw the mean reference frame beside its transmission profile, on one axis of depth."""
    figure = new_figure(sheet_width(), 3.1)
    image, profile = figure.subplots(1, 2, sharey=True, width_ratios=(1.6, 1))
    _show_frame(image, content)
    _show_profile(profile, content)
    return figure


def describe_overview(content: SeriesContent) -> str:
    """Caption of the figure."""
    stack = content.summary["stack"]
    first, stop = content.summary["frames"]["reference"]
    return (
        f"Left: transmission, mean of the reference frames {first} to {stop - 1}, with the regions of interest and the "
        "axis of the cell (heights are stretched). Right: transmission along the stack in the first region, with the interfaces as found "
        f"(dashed). The layers are tilted by {stack['tilt_deg']:+.2f}° in the plane of the image and bowed by "
        f"{stack['bow_um']:.0f} µm; everything that follows is read along them. Blur of the detector "
        f"{stack['blur_fwhm_um']:.0f} µm (FWHM)."
    )


def _show_frame(axes: "Axes", content: SeriesContent) -> None:
    frame, pixel = content.arrays["reference"], content.pixel_mm
    rows, columns = frame.shape
    left = -(content.summary["stack"]["axis_column"] + 0.5) * pixel
    extent = (left, left + columns * pixel, rows * pixel, 0.0)
    shown = axes.imshow(
        frame, extent=extent, cmap="gray", vmin=0, vmax=float(np.quantile(frame, 0.995)), aspect="auto"
    )
    for index, (name, region) in enumerate(content.summary["regions"].items()):
        for number, (first, last) in enumerate(region["columns_mm"]):
            _box(
                axes,
                first,
                last,
                content.shown_mm,
                change_color(index),
                content.label(name) if not number else "",
            )
    axes.axvline(0, color="white", linewidth=0.6, linestyle=":")
    axes.set_xlabel("distance from the axis (mm)")
    axes.set_ylabel("position along the stack (mm)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    axes.figure.colorbar(shown, ax=axes, label="transmission", pad=0.01, aspect=25)
    _scale_bar(axes, extent)


def _scale_bar(axes: "Axes", extent: tuple[float, float, float, float]) -> None:
    width = extent[1] - extent[0]
    length = round_length(0.15 * width)
    left, row = extent[0] + 0.04 * width, 0.94 * extent[2]
    axes.plot([left, left + length], [row, row], color="#E69F00", linewidth=2.2, solid_capstyle="butt")
    axes.annotate(length_text(length), (left + length / 2, row), xytext=(0, 3), textcoords="offset points", ha="center",
                  color="#E69F00", fontsize=7)  # fmt: skip


def _box(axes: "Axes", first: float, last: float, shown: tuple[float, float], color: str, label: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (first, shown[0]),
            last - first,
            shown[1] - shown[0],
            fill=False,
            edgecolor=color,
            linewidth=1.4,
            label=label or None,
        )
    )


def _show_profile(axes: "Axes", content: SeriesContent) -> None:
    profile = content.arrays["reference_profile"]
    position = (np.arange(profile.size) + 0.5) * content.pixel_mm
    axes.plot(profile, position, color="#222222", linewidth=1.2)
    edges = [0.0, *content.interfaces_mm, profile.size * content.pixel_mm]
    for edge in edges[1:-1]:
        axes.axhline(edge, color="#888888", linewidth=0.6, linestyle="--")
    axes.set_xlim(0, 1.65 * float(profile.max()))
    last = -np.inf
    for name, (top, bottom) in zip(content.summary["stack"]["layers"], pairwise(edges), strict=True):
        # labels of thin layers step aside
        middle = max((top + bottom) / 2, last + 0.055 * edges[-1])
        last = middle
        axes.annotate(name.replace("_", " "), (0.99, middle), xycoords=("axes fraction", "data"), ha="right", va="center",
                      fontsize=6.5, color="#444444")  # fmt: skip
    axes.set_xlabel("transmission")
