"""The sheet that figures are drawn on: one style, no window system, PNG, SVG or PDF out."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from deltamu.recon.report.sections import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MM_PER_INCH = 25.4
NARROW_IN = 5.0
CHANGE_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MISSING_GREY = "#d9d9d9"
# dates and versions inside a file would make two equal figures differ
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def figure_style(
    *, style: Sequence[str] = (), width_mm: float | None = None, dpi: float | None = None
) -> Iterator[None]:
    """Give every figure the same look inside this context and leave the user's settings untouched.

    Parameters
    ----------
    style : sequence of str
        Further style sheets of matplotlib (names or paths of files), which win over ours.
    width_mm : float, optional
        Width of the sheet; that of the style sheets when not given.
    dpi : float, optional
        Pixels per inch of saved images; those of the style sheets when not given.
    """
    from matplotlib import rcParams
    from matplotlib import style as sheets

    with sheets.context(["default", "deltamu.recon.report.deltamu", *style]):
        if width_mm is not None:
            rcParams["figure.figsize"] = (width_mm / MM_PER_INCH, rcParams["figure.figsize"][1])
        if dpi is not None:
            rcParams["savefig.dpi"] = dpi
        yield


def sheet_width() -> float:
    """Width of the sheet in inches, as the style in force sets it."""
    from matplotlib import rcParams

    return float(rcParams["figure.figsize"][0])


def is_narrow() -> bool:
    """Whether the sheet is one column of a journal rather than a page."""
    return sheet_width() < NARROW_IN


def color_bar_options() -> dict[str, Any]:
    """Place of a colour bar: beside the panels, or below them where width is scarce."""
    if is_narrow():
        return {"location": "bottom", "shrink": 0.9, "aspect": 30, "pad": 0.02}
    return {"location": "right", "shrink": 0.8, "aspect": 30, "pad": 0.015}


def new_figure(width_in: float, height_in: float) -> "Figure":
    """Return an empty figure on an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def image_bytes(figure: "Figure", file_format: str = "png") -> bytes:
    """Render a figure as `png`, `svg` or `pdf`; the bytes depend on nothing but the figure."""
    stream = io.BytesIO()
    figure.savefig(stream, format=file_format, metadata=METADATA[file_format])
    return stream.getvalue()


def show_section(axes: "Axes", section: Section, *, missing: str = MISSING_GREY, **image_options: Any) -> Any:
    """Draw a section in mm with equal scales and return the image; voxels without a value are `missing`."""
    axes.set_facecolor(missing)
    axes.spines[["top", "right"]].set_visible(True)
    return axes.imshow(section.values, extent=section.extent, aspect="equal", **image_options)


def add_scale_bar(axes: "Axes", section: Section, *, color: str = "white") -> None:
    """Draw a bar of a round length near the lower left corner, with its length above it."""
    length = round_length(0.22 * section.width_mm)
    left = section.horizontal_mm[0] + 0.05 * section.width_mm
    bottom = section.vertical_mm[1] - 0.06 * max(section.height_mm, 0.5 * section.width_mm)
    outline = _outline("#111111" if color == "white" else "white")
    axes.plot(
        [left, left + length], [bottom, bottom],
        color=color, linewidth=2.2, solid_capstyle="butt", path_effects=outline,
    )  # fmt: skip
    axes.annotate(
        length_text(length), (left, bottom), xytext=(0, 2.5), textcoords="offset points",
        ha="left", va="bottom", fontsize=7, color=color, path_effects=outline,
    )  # fmt: skip


def _outline(color: str) -> list[Any]:
    """Rim that keeps a bar and its label readable on any ground."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=3.2 if color == "white" else 2.4, foreground=color)]


def length_text(length_mm: float) -> str:
    """Write a round length in mm or µm."""
    return f"{length_mm:g} mm" if length_mm >= 0.1 else f"{1000 * length_mm:g} µm"


def change_color(index: int) -> str:
    """Colour of the change with this place in the study."""
    return CHANGE_COLORS[index % len(CHANGE_COLORS)]


def change_marker(index: int) -> str:
    """Marker of the change with this place in the study: tells them apart without colour."""
    return MARKERS[index % len(MARKERS)]


def round_length(length: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that does not exceed a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def round_up(value: float) -> float:
    """Return the smallest round number that is not below a value."""
    power = 10.0 ** np.floor(np.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 8, 10)
    return float(next(step * power for step in steps if step * power >= value * (1 - 1e-9)))
