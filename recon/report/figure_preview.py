"""One page that shows a scan before it is reconstructed: raw frame, open beam, transmission, sinogram, trial slice."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.canvas import figure_style, image_bytes, new_figure, sheet_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Image = NDArray[np.floating] | NDArray[np.bool_]
# pixels that a panel can show
LARGEST_PANEL_PX = 800


@dataclass(frozen=True)
class PreviewPanel:
    """An image with its title and what its values are.

    Attributes
    ----------
    image : (row, column) array
    title, unit : str
    axes : (vertical, horizontal)
        Names of the directions.
    marked_row, marked_column : float or None
        Where a line is drawn.
    """

    image: Image
    title: str
    unit: str
    axes: tuple[str, str] = ("row", "column")
    marked_row: float | None = None
    marked_column: float | None = None


def draw_preview(panels: tuple[PreviewPanel, ...], *, title: str) -> "Figure":
    """Draw the panels in two columns, each with the range that 99 % of its values have."""
    rows = -(-len(panels) // 2)
    figure = new_figure(sheet_width(), 2.6 * rows + 0.4)
    axes = figure.subplots(rows, 2, squeeze=False)
    for panel, place in zip(panels, axes.flat, strict=False):
        step = max(1, -(-max(panel.image.shape) // LARGEST_PANEL_PX))
        image = np.asarray(panel.image[::step, ::step], np.float32)
        low, high = (0.0, 1.0) if panel.image.dtype == bool else np.nanpercentile(image, [0.5, 99.5])
        rows_, columns = panel.image.shape
        shown = place.imshow(
            image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect="auto",
            extent=(-0.5, columns - 0.5, rows_ - 0.5, -0.5),
        )  # fmt: skip
        place.set(title=panel.title, ylabel=panel.axes[0], xlabel=panel.axes[1])
        if panel.marked_row is not None:
            place.axhline(panel.marked_row, color="#D55E00", linewidth=0.8)
        if panel.marked_column is not None:
            place.axvline(panel.marked_column, color="#D55E00", linewidth=0.8)
        figure.colorbar(shown, ax=place, label=panel.unit)
    for spare in axes.flat[len(panels) :]:
        spare.set_axis_off()
    figure.suptitle(title)
    return figure


def write_preview(path: Path, panels: tuple[PreviewPanel, ...], *, title: str) -> Path:
    """Write the page as a PNG."""
    from deltamu.recon.atomic import write_bytes

    with figure_style():
        write_bytes(path, image_bytes(draw_preview(panels, title=title)))
    return path
