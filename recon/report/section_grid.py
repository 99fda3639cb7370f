"""Pairs of orthogonal sections side by side: perpendicular to the axis above, through the axis below."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltamu.recon.report.canvas import (
    MISSING_GREY,
    add_scale_bar,
    color_bar_options,
    is_narrow,
    new_figure,
    sheet_width,
    show_section,
)
from deltamu.recon.report.sections import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST_COLUMN_IN = 2.9
LEAST_COLUMN_IN = 0.68
LABEL_SPACE_IN = 0.62
COLOR_BAR_IN = 0.75
LARGEST_TITLE_PT = 8.5
# mean advance of a bold letter in units of its size
CHARACTER_WIDTH = 0.68

Decoration = Callable[["Axes", "Axes", int], None]


@dataclass(frozen=True)
class SectionPair:
    """One column of the grid."""

    title: str
    cross: Section
    axial: Section


def draw_section_grid(
    pairs: Sequence[SectionPair],
    *,
    columns: int = 4,
    color_label: str | None = None,
    extend: str = "both",
    bar_color: str = "white",
    missing: str = MISSING_GREY,
    decorate: Decoration | None = None,
    **image_options: Any,
) -> "Figure":
    """Draw pairs of sections in blocks of `columns`, all with the same scale of values.

    Parameters
    ----------
    pairs : sequence of SectionPair
        At least one; all of the same field.
    columns : int
        Pairs side by side before a new block begins.
    color_label : str, optional
        Label of the one colour bar; without it there is none (colours are given, not values).
    extend : str
        Ends of the colour bar beyond which values occur.
    bar_color, missing : str
        Colours of the scale bar and of voxels without a value.
    decorate : callable(cross axes, axial axes, index), optional
        Draws on top of each pair.
    **image_options
        For imshow: cmap, vmin, vmax.
    """
    columns = _fitting_columns(min(columns, len(pairs)), with_bar=color_label is not None)
    blocks = -(-len(pairs) // columns)
    figure = new_figure(*_figure_size(pairs[0], columns, blocks, with_bar=color_label is not None))
    heights = [
        pairs[0].cross.height_mm / pairs[0].cross.width_mm,
        pairs[0].axial.height_mm / pairs[0].axial.width_mm,
    ]
    axes = figure.subplots(2 * blocks, columns, squeeze=False, height_ratios=heights * blocks)
    titles = [_in_lines(pair.title) if is_narrow() else pair.title for pair in pairs]
    title_pt = min(_fitting_size(title, figure.get_figwidth() / columns) for title in titles)
    for index, pair in enumerate(pairs):
        block, column = divmod(index, columns)
        cross, axial = axes[2 * block, column], axes[2 * block + 1, column]
        show_section(cross, pair.cross, missing=missing, **image_options)
        show_section(axial, pair.axial, missing=missing, **image_options)
        _label_pair(cross, axial, titles[index], first=column == 0, title_pt=title_pt)
        add_scale_bar(cross, pair.cross, color=bar_color)
        if decorate is not None:
            decorate(cross, axial, index)
    for spare in axes[-2:, len(pairs) - (blocks - 1) * columns :].flat:
        spare.set_axis_off()
    if color_label is not None:
        shown = axes[1, 0].images[0]
        figure.colorbar(shown, ax=axes, label=color_label, extend=extend, **color_bar_options())
    return figure


def _figure_size(pair: SectionPair, columns: int, blocks: int, *, with_bar: bool) -> tuple[float, float]:
    """Size at which the panels fill the sheet without white bands between them."""
    bar = _bar_width(with_bar=with_bar)
    column = min(LARGEST_COLUMN_IN, (sheet_width() - LABEL_SPACE_IN - bar) / columns - 0.1)
    panels = column * (
        pair.cross.height_mm / pair.cross.width_mm + pair.axial.height_mm / pair.axial.width_mm
    )
    return columns * (column + 0.1) + LABEL_SPACE_IN + bar, blocks * (panels + 1.3) + (
        0.5 if with_bar and is_narrow() else 0.0
    )


def _fitting_columns(wanted: int, *, with_bar: bool) -> int:
    """Halve the columns until the panels are large enough to read."""
    room = sheet_width() - LABEL_SPACE_IN - _bar_width(with_bar=with_bar)
    while wanted > 1 and room / wanted < LEAST_COLUMN_IN + 0.1:
        wanted = -(-wanted // 2)
    return wanted


def _bar_width(*, with_bar: bool) -> float:
    return COLOR_BAR_IN if with_bar and not is_narrow() else 0.1


def _label_pair(cross: "Axes", axial: "Axes", title: str, *, first: bool, title_pt: float) -> None:
    cross.set_title(title, fontsize=title_pt)
    for axes in (cross, axial):
        axes.set_xlabel("x (mm)", labelpad=1.5)
        if not first:
            axes.tick_params(labelleft=False)
    if first:
        cross.set_ylabel("y (mm)")
        axial.set_ylabel("z (mm)")


def _in_lines(title: str) -> str:
    """Break a title before its minus, or after its comma."""
    return title.replace(" − ", "\n− ").replace(", ", ",\n")


def _fitting_size(title: str, width_in: float) -> float:
    """Size in points at which the longest line of a bold title fits over its column."""
    longest = max(len(line) for line in title.splitlines())
    return float(min(LARGEST_TITLE_PT, 0.9 * 72 * width_in / (CHARACTER_WIDTH * longest)))
