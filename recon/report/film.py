"""A film through the depth of the profile layer: the changes at d beside their profiles, as an animated GIF."""

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.canvas import (
    change_color,
    change_marker,
    figure_style,
    length_text,
    new_figure,
    round_length,
)
from deltamu.recon.report.content import Float, ReportContent, change_title
from deltamu.recon.report.figure_changes import CHANGE_COLORMAP, change_limit
from deltamu.recon.report.figure_profile import layer_thickness
from deltamu.recon.report.flattened import FlattenedSlices, flattened_slices
from deltamu.recon.report.sections import cell_frame, mean_without_nan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAMES = 36
FRAME_MS = 120
DPI = 110
MOST_CHANGES = 4
# each frame averages this many voxels of depth, so that change shows through the noise of single voxels
VOXELS_DEEP = 2.0
# frames begin and end this far outside the layer, in parts of its thickness
BEYOND = 0.12


def draw_film(content: ReportContent, *, frames: int = FRAMES, dpi: int = DPI) -> bytes:
    """Draw the changes from the separator to the current collector and return an animated GIF.

    Parameters
    ----------
    frames : int
        Steps of depth, at least 2.
    dpi : int
        Pixels per inch of sheets that are about 6 inches wide.

    Returns
    -------
    bytes
        Of a GIF that repeats for ever; one palette for all frames, so that colours do not flicker.
    """
    with figure_style():
        sheet = _Sheet(content, frames, dpi)
        images = [sheet.picture(index) for index in range(frames)]
    return _gif(images)


class _Sheet:
    """One figure whose contents move from depth to depth."""

    def __init__(self, content: ReportContent, frames: int, dpi: int) -> None:
        frame = cell_frame(content)
        self.content, self.changes = content, content.changes[:MOST_CHANGES]
        self.thickness = layer_thickness(content, frame)
        self.depths = np.linspace(-BEYOND, 1 + BEYOND, frames) * self.thickness
        self.slices = {change: _running_slices(content, change, self.depths) for change in self.changes}
        self.limit = change_limit(content)
        self.figure, self.images, self.cursor, self.text = self._compose()
        self.figure.set_dpi(dpi)
        # the layout is made once: nothing moves between the frames but what should
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def _compose(self) -> tuple["Figure", list[Any], Any, Any]:
        figure = new_figure(1.75 * len(self.changes) + 0.8, 4.0)
        grid = figure.add_gridspec(2, len(self.changes), height_ratios=[1.0, 0.95])
        panels = [figure.add_subplot(grid[0, i]) for i in range(len(self.changes))]
        images = [self._panel(panel, change) for panel, change in zip(panels, self.changes, strict=True)]
        bar = figure.colorbar(images[0], ax=panels, label="Δµ (cm⁻¹)", extend="both", aspect=16, pad=0.02)
        bar.ax.tick_params(labelsize=7)
        axes = figure.add_subplot(grid[1, :])
        self._draw_profiles(axes)
        cursor = axes.axvline(self.depths[0], color="#111111", linewidth=1.2)
        text = axes.set_title("d = 000 µm", loc="right")
        return figure, images, cursor, text

    def _panel(self, axes: Any, change: str) -> Any:
        first = self.slices[change]
        axes.set_axis_off()
        axes.set_title(change_title(change), fontsize=7.5, color=change_color(self.changes.index(change)))
        width = first.horizontal_mm[1] - first.horizontal_mm[0]
        length = round_length(0.3 * width)
        left, low = first.horizontal_mm[0], first.vertical_mm[1] + 0.02 * width
        axes.plot([left, left + length], [low, low], color="#111111", linewidth=2, clip_on=False)
        axes.text(left, low - 0.02 * width, length_text(length), fontsize=6.5, va="bottom")
        extent = (*first.horizontal_mm, *first.vertical_mm[::-1])
        return axes.imshow(
            first.values[0], extent=extent, cmap=CHANGE_COLORMAP, vmin=-self.limit, vmax=self.limit
        )

    def _draw_profiles(self, axes: Any) -> None:
        axes.axhline(0, color="#444444", linewidth=0.6)
        axes.axvspan(0, self.thickness, color="#f3f3f3", linewidth=0)
        for index, change in enumerate(self.changes):
            profile = self.content.profiles[change]
            axes.plot(
                profile.depth_mm, profile.mean, color=change_color(index), marker=change_marker(index),
                markersize=2.6,
            )  # fmt: skip
        axes.set_xlim(self.depths[0], self.depths[-1])
        axes.set_xlabel("separator ⟵  depth d (mm)  ⟶ current collector")
        axes.set_ylabel("mean Δµ (cm⁻¹)")

    def picture(self, index: int) -> Any:
        """Draw one depth and return it as an RGB array."""
        for image, change in zip(self.images, self.changes, strict=True):
            image.set_data(self.slices[change].values[index])
        depth = float(self.depths[index])
        self.cursor.set_xdata([depth, depth])
        self.text.set_text(f"d = {1000 * depth:.0f} µm")
        canvas: Any = self.figure.canvas
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def _running_slices(content: ReportContent, change: str, depths: Float) -> FlattenedSlices:
    """Means over some voxels of depth about every depth; the depths are equally spaced."""
    frame = cell_frame(content)
    step = float(depths[1] - depths[0])
    beside = max(0, round(0.5 * (VOXELS_DEEP * frame.voxel_mm / step - 1)))
    edges = depths[0] + step * (np.arange(-beside, depths.size + beside + 1) - 0.5)
    fine = flattened_slices(content, change, frame, edges_mm=edges)
    values = [mean_without_nan(fine.values[i : i + 2 * beside + 1], axis=0) for i in range(depths.size)]
    return replace(fine, values=np.stack(values))


def _gif(pictures: list[Any]) -> bytes:
    """Join RGB pictures; all use the palette of the figure, so that colours neither flicker nor grey."""
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    images = [
        Image.fromarray(np.ascontiguousarray(picture)).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    stream = io.BytesIO()
    images[0].save(
        stream,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=FRAME_MS,
        loop=0,
        optimize=True,
    )
    return stream.getvalue()


def _palette() -> list[int]:
    """256 colours: the diverging scale, greys, and the colours of the lines fading into the paper."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    scale = colormaps[CHANGE_COLORMAP](np.linspace(0, 1, 160))[:, :3]
    # none between the shading and the paper: Pillow looks colours up coarsely and would grey the paper
    greys = np.repeat(np.append(np.linspace(0, 0.95, 63), 1.0)[:, None], 3, axis=1)
    lines = np.array([to_rgb(change_color(index)) for index in range(MOST_CHANGES)])
    fading = np.concatenate([share * lines + (1 - share) for share in np.linspace(0.2, 1, 8)])
    colors = np.concatenate([scale, greys, fading])
    return [int(value) for value in np.rint(255 * colors).ravel()]
