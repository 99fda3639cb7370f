"""The report of a series: one HTML file that carries its figures and loads nothing."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltamu.recon.atomic import write_bytes, write_text
from deltamu.recon.report.canvas import figure_style, image_bytes
from deltamu.recon.report.operando.content import SeriesContent, load_series_content
from deltamu.recon.report.operando.figure_current import describe_current, draw_current
from deltamu.recon.report.operando.figure_front import describe_front, draw_front
from deltamu.recon.report.operando.figure_kymograph import describe_kymographs, draw_kymographs
from deltamu.recon.report.operando.figure_lithium import describe_lithium, draw_lithium
from deltamu.recon.report.operando.figure_maps import describe_maps, draw_maps
from deltamu.recon.report.operando.figure_overview import describe_overview, draw_overview
from deltamu.recon.report.operando.figure_rate_maps import describe_rate_maps, draw_rate_maps
from deltamu.recon.report.operando.tables import (
    Table,
    corrections_table,
    events_table,
    headlines,
    quality_table,
    truth_table,
    zones_table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureKind:
    """One figure of the page."""

    name: str
    title: str
    draw: "Callable[[SeriesContent], Figure]"
    describe: Callable[[SeriesContent], str]
    possible: Callable[[SeriesContent], bool] = lambda content: True


FIGURES = (
    FigureKind("kymographs", "Lithium against depth and time", draw_kymographs, describe_kymographs),
    FigureKind(
        "front",
        "Rate and reaction front",
        draw_front,
        describe_front,
        lambda c: c.summary["front"] is not None,
    ),
    FigureKind(
        "rate_maps",
        "Where the reaction runs",
        draw_rate_maps,
        describe_rate_maps,
        lambda c: c.summary["front"] is not None and c.maps.shape[0] > 1,
    ),
    FigureKind(
        "lithium",
        "Charge from images",
        draw_lithium,
        describe_lithium,
        lambda c: c.summary["lithium"] is not None,
    ),
    FigureKind(
        "current",
        "Current across the electrode",
        draw_current,
        describe_current,
        lambda c: "current/times_s" in c.arrays,
    ),
    FigureKind("maps", "Maps", draw_maps, describe_maps),
    FigureKind("overview", "The cell in the frame", draw_overview, describe_overview),
)

TABLES: tuple[Callable[[SeriesContent], Table | None], ...] = (
    events_table, zones_table, truth_table, quality_table, corrections_table,
)  # fmt: skip


def write_series_report(output: Path | str) -> Path:
    """Write figures/*.png and report.html of a finished series.

    Raises
    ------
    InputError
        If the folder is not the output of a finished series.
    ResourceError
        If the files cannot be written; older ones stay whole.
    """
    content = load_series_content(Path(output))
    figures: dict[str, dict[str, Any]] = {}
    for kind in FIGURES:
        if not kind.possible(content):
            continue
        with figure_style():
            png = image_bytes(kind.draw(content))
        write_bytes(content.output / "figures" / f"{kind.name}.png", png)
        figures[kind.name] = {
            "number": len(figures) + 1, "title": kind.title, "caption": kind.describe(content),
            "data": base64.b64encode(png).decode("ascii"),
        }  # fmt: skip
    return write_text(content.output / "report.html", _page(content, figures))


def _page(content: SeriesContent, figures: dict[str, dict[str, Any]]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("deltamu.recon.report")
    template = environment.from_string(
        (source / "operando" / "series.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(
        style=(source / "report.css").read_text(encoding="utf-8"),
        content=content,
        summary=content.summary,
        figures=figures,
        headlines=headlines(content),
        tables=[table for draw in TABLES if (table := draw(content))],
    )
