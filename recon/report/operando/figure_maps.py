"""Figure: whole maps of Tr_t / Tr_0 at some times (Figure 3c of Cao et al., MRS Bulletin, 2023)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.canvas import new_figure, sheet_width
from deltamu.recon.report.operando.colors import RATIO_LABEL, dress_ratio_bar, ratio_colormap, ratio_norm
from deltamu.recon.report.operando.content import SeriesContent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_maps(content: SeriesContent) -> "Figure":
    """Draw the maps under each other in two columns, on one scale."""
    parts, extent = map_parts(content)
    norm = ratio_norm(parts, quantile=0.99)
    lines = -(-len(parts) // 2)
    figure = new_figure(sheet_width(), 1.15 * lines + 0.5)
    axes = figure.subplots(lines, 2, squeeze=False, sharex=True, sharey=True)
    colors = ratio_colormap(content.summary["colors"])
    for panel in axes.ravel()[len(parts) :]:
        panel.set_visible(False)
    for number, (part, panel) in enumerate(zip(parts, axes.ravel(), strict=False)):
        shown = panel.imshow(part, extent=extent, aspect="auto", norm=norm, cmap=colors)
        panel.set_title(_when(content, number), loc="left", fontsize=7.5, fontweight="normal")
        for edge in content.interfaces_mm:
            if extent[3] < edge < extent[2]:
                panel.axhline(edge, color="white", linewidth=0.5, linestyle="--")
    label = RATIO_LABEL.replace("     ", "\n")
    dress_ratio_bar(figure.colorbar(shown, ax=axes, label=label, extend="both", pad=0.01, aspect=30))
    figure.supxlabel("distance from the axis (mm)", fontsize=8)
    figure.supylabel("position (mm)", fontsize=8)
    return figure


def map_parts(content: SeriesContent) -> tuple[list[NDArray[Any]], tuple[float, float, float, float]]:
    """The maps where there is something to see, smoothed, and their extent in mm."""
    top, bottom = content.shown_mm
    rows = slice(int(top / content.pixel_mm), int(np.ceil(bottom / content.pixel_mm)))
    columns = _columns_with_cell(content)
    parts = [
        _smoothed(content.maps[number : number + 1][0][rows, columns])
        for number in range(content.maps.shape[0])
    ]
    left = (columns.start - 0.5 - content.summary["stack"]["axis_column"]) * content.pixel_mm
    right = left + parts[0].shape[1] * content.pixel_mm
    return parts, (left, right, rows.stop * content.pixel_mm, rows.start * content.pixel_mm)


def describe_maps(content: SeriesContent) -> str:
    """Caption of the figure."""
    first, stop = content.summary["maps"][0]["frames"]
    return (
        f"Tr_t / Tr_0, each the mean of {stop - first} frames in the place of the reference (drift taken out), smoothed over "
        "3 × 9 pixels for display; the stored maps are not smoothed. The layers are shown as they lie, tilted and bowed; the "
        "dashed interfaces are those on the axis."
    )


def _columns_with_cell(content: SeriesContent) -> slice:
    axis = content.summary["stack"]["axis_column"]
    reach = 1.02 * float(np.abs(content.arrays["strip_edges_mm"]).max()) / content.pixel_mm
    return slice(max(int(axis - reach), 0), min(int(axis + reach) + 1, content.summary["frames"]["columns"]))


def _smoothed(part: NDArray[Any]) -> NDArray[Any]:
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(np.nan_to_num(part, nan=1.0), (3, 9)))


def _when(content: SeriesContent, number: int) -> str:
    time = content.summary["maps"][number]["time_s"]
    text = f"{time / 3600:.2f} h"
    if content.has_cycler:
        charge = np.interp(time, content.arrays["frame_times_s"], np.nan_to_num(content.arrays["charge_mah"]))
        voltage = np.interp(time, content.arrays["frame_times_s"], np.nan_to_num(content.arrays["voltage_v"]))
        text += f" · {abs(charge):.3g} mAh · {voltage:.2f} V"
    return text
