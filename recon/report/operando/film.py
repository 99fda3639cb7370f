"""A film of a series: Tr_t / Tr_0 along the layers and across the cell, with a cursor on the voltage, as an animated GIF."""

import io
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.canvas import figure_style, new_figure
from deltamu.recon.report.operando.colors import RATIO_LABEL, dress_ratio_bar, ratio_colormap, ratio_norm
from deltamu.recon.report.operando.content import SeriesContent
from deltamu.recon.report.operando.figure_kymograph import mark_layers, show_voltage
from deltamu.recon.volumes.blocks import open_stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES, PICTURE_MS, DPI = 60, 120, 110


def draw_film(content: SeriesContent, *, pictures: int = PICTURES, dpi: int = DPI) -> bytes:
    """Draw the series and return an animated GIF that repeats for ever.

    Parameters
    ----------
    pictures : int
        Each is the mean of an equal share of the frames; at most as many as there are frames.
    dpi : int
    """
    profiles = open_stack(content.output / "series.zarr" / "profiles")
    bounds = np.unique(np.linspace(0, profiles.shape[0], pictures + 1).astype(int))
    first, stop = content.summary["frames"]["reference"]
    before = np.maximum(profiles[first:stop].astype(np.float64).mean(axis=0), 1e-6)
    ratios = [
        profiles[a:b].astype(np.float64).mean(axis=0).T / before.T for a, b in itertools.pairwise(bounds)
    ]
    hours = [float(content.arrays["frame_times_s"][a:b].mean()) / 3600 for a, b in itertools.pairwise(bounds)]
    with figure_style():
        return _gif(_Sheet(content, ratios, dpi).pictures(ratios, hours))


class _Sheet:
    """One figure whose contents move from time to time."""

    def __init__(self, content: SeriesContent, ratios: list[NDArray[Any]], dpi: int) -> None:
        self.content = content
        self.figure, self.mesh, self.cursor, self.text = self._compose(ratios)
        self.figure.set_dpi(dpi)
        # the layout is made once: nothing moves between the pictures but what should
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")

    def _compose(self, ratios: list[NDArray[Any]]) -> "tuple[Figure, Any, Any, Any]":
        content = self.content
        figure = new_figure(6.4, 3.9 if content.has_cycler else 2.8)
        count = 1 + content.has_cycler
        axes = np.atleast_1d(figure.subplots(count, 1, height_ratios=[1.0, 0.6][:count]))
        top, bottom = content.shown_mm
        rows = np.arange(ratios[0].shape[0] + 1) * content.pixel_mm
        mesh = axes[0].pcolormesh(
            content.arrays["strip_edges_mm"], rows, ratios[-1], norm=ratio_norm([part[self._shown] for part in ratios]),
            cmap=ratio_colormap(content.summary["colors"]),
        )  # fmt: skip
        axes[0].set_ylim(bottom, top)
        axes[0].set_xlabel("distance from the axis (mm)")
        axes[0].set_ylabel("position (mm)")
        mark_layers(axes[0], content)
        bar = figure.colorbar(
            mesh, ax=axes[0], label=RATIO_LABEL.replace("     ", "\n"), extend="both", pad=0.01
        )
        dress_ratio_bar(bar)
        text = axes[0].set_title("0.00 h", loc="right")
        cursor = None
        if content.has_cycler:
            show_voltage(axes[1], content)
            axes[1].set_xlabel("time (h)")
            cursor = axes[1].axvline(0.0, color="#D55E00", linewidth=1.4)
        return figure, mesh, cursor, text

    @property
    def _shown(self) -> slice:
        top, bottom = self.content.shown_mm
        return slice(int(top / self.content.pixel_mm), int(np.ceil(bottom / self.content.pixel_mm)))

    def pictures(self, ratios: list[NDArray[Any]], hours: list[float]) -> list[NDArray[Any]]:
        """RGB arrays, one per time."""
        drawn = []
        for ratio, hour in zip(ratios, hours, strict=True):
            self.mesh.set_array(ratio)
            self.text.set_text(f"{hour:.2f} h")
            if self.cursor is not None:
                self.cursor.set_xdata([hour, hour])
            canvas: Any = self.figure.canvas
            canvas.draw()
            drawn.append(np.array(canvas.buffer_rgba())[..., :3])
        return drawn


def _gif(pictures: list[NDArray[Any]]) -> bytes:
    """Join RGB pictures on the palette of the last one, which holds the strongest colours."""
    from PIL import Image

    palette = Image.fromarray(np.ascontiguousarray(pictures[-1])).quantize(255, dither=Image.Dither.NONE)
    images = [
        Image.fromarray(np.ascontiguousarray(picture)).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    stream = io.BytesIO()
    images[0].save(
        stream, format="GIF", save_all=True, append_images=images[1:], duration=PICTURE_MS, loop=0, optimize=True
    )  # fmt: skip
    return stream.getvalue()
