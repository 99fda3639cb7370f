"""The sheet that figures are drawn on: one style, no window system, PNG out."""

import io
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.sections import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FULL_WIDTH_IN = 7.1
CHANGE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
CHANGE_DASHES = ("-", "-", "-", "--", "--", "--", "--")
MISSING_GREY = "#d9d9d9"


def figure_style() -> AbstractContextManager[None]:
    """Give every figure the same look inside this context and leave the user's settings untouched."""
    from matplotlib import style

    return style.context(["default", "deltamu.recon.report.deltamu"])


def new_figure(width_in: float, height_in: float) -> "Figure":
    """Return an empty figure on an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def png_bytes(figure: "Figure") -> bytes:
    """Render a figure; the bytes depend on nothing but the figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def show_section(axes: "Axes", section: Section, **image_options: Any) -> Any:
    """Draw a section in mm with equal scales and return the image; voxels without a value are grey."""
    axes.set_facecolor(MISSING_GREY)
    axes.spines[["top", "right"]].set_visible(True)
    return axes.imshow(section.values, extent=section.extent, aspect="equal", **image_options)


def add_scale_bar(axes: "Axes", section: Section, *, color: str = "white") -> None:
    """Draw a bar of a round length near the lower left corner, with its length above it."""
    length = round_length(0.22 * section.width_mm)
    left = section.horizontal_mm[0] + 0.05 * section.width_mm
    bottom = section.vertical_mm[1] - 0.06 * max(section.height_mm, 0.5 * section.width_mm)
    axes.plot([left, left + length], [bottom, bottom], color=color, linewidth=2.2, solid_capstyle="butt")
    axes.annotate(
        length_text(length), (left + 0.5 * length, bottom), xytext=(0, 2.5), textcoords="offset points",
        ha="center", va="bottom", fontsize=7, color=color,
    )  # fmt: skip


def length_text(length_mm: float) -> str:
    """Write a round length in mm or µm."""
    return f"{length_mm:g} mm" if length_mm >= 0.1 else f"{1000 * length_mm:g} µm"


def round_length(length: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that does not exceed a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def round_up(value: float) -> float:
    """Return the smallest round number that is not below a value."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10)
    return float(next(step * power for step in steps if step * power >= value * (1 - 1e-9)))
