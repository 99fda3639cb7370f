"""The report: one HTML file that carries its figures and loads nothing."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from deltamu.recon.atomic import write_bytes, write_text
from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.drawing import RenderedFigure, render_figures
from deltamu.recon.report.evidence_tables import evidence_tables
from deltamu.recon.report.headlines import headlines
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.numbers import duration, size
from deltamu.recon.report.registration_table import registration_table
from deltamu.recon.report.statements import statements
from deltamu.recon.report.tables import (
    layers_table,
    regions_table,
    results_table,
    states_table,
)
from deltamu.recon.report.truth_tables import truth_tables


def write_report(output_dir: Path | str) -> Path:
    """Write figures/*.png and report.html of a finished study.

    Parameters
    ----------
    output_dir : path
        Output folder of the study; docs/formats.md lists what is read from it.

    Returns
    -------
    Path
        Of report.html.

    Raises
    ------
    InputError
        If the folder is not the output of a finished study.
    ResourceError
        If the files cannot be written; older ones stay whole.
    """
    content = load_report_content(output_dir)
    figures = []
    for figure in render_figures(content):
        write_bytes(content.output_dir / "figures" / f"{figure.name}.png", figure.png)
        figures.append(figure)
    path = content.output_dir / "report.html"
    return write_text(path, render_page(content, figures))


def render_page(content: ReportContent, figures: list[RenderedFigure]) -> str:
    """Set the page; the figures stand in it as data."""
    from jinja2 import Environment, StrictUndefined

    source = files("deltamu.recon.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((source / "report.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        style=(source / "report.css").read_text(encoding="utf-8"),
        content=content,
        figures={
            figure.name: {"figure": figure, "number": i, "data": _encoded(figure.png)}
            for i, figure in enumerate(figures, 1)
        },
        headlines=headlines(content),
        statements=statements(content),
        results=results_table(content) if content.changes else None,
        truth=truth_tables(content),
        states=states_table(content),
        registration=registration_table(content) if content.moving_states else None,
        layers=layers_table(content) if content.layers else None,
        regions=regions_table(content) if content.changes and content.profile_layer else None,
        evidence=evidence_tables(content),
        provenance=_provenance(content),
    )


def _encoded(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")


def _device_text(summary: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    device = str(summary.get("device") or known.get("device") or "not stated")
    reason = summary.get("device_reason")
    return f"{device} ({reason})" if reason else device


def _provenance(content: ReportContent) -> list[tuple[str, str]]:
    """Rows of the last table: what computed this from what."""
    summary = content.summary
    known: Mapping[str, Any] = content.diagnostics.get("provenance") or {}
    rows = [
        ("deltamu", str(summary.get("version") or known.get("version") or "version not stated")),
        ("device", _device_text(summary, known)),
    ]
    rows += [(f"input {name}", _input_text(entry)) for name, entry in (known.get("inputs") or {}).items()]
    rows += [(f"library {name}", str(version)) for name, version in (known.get("libraries") or {}).items()]
    stages = summary.get("timing_s") or {}
    if stages:
        rows.append(
            (
                "time",
                ", ".join(
                    f"{stage.replace('_', ' ')} {duration(seconds)}" for stage, seconds in stages.items()
                ),
            )
        )
    if summary.get("peak_memory_bytes"):
        rows.append(("peak memory", size(summary["peak_memory_bytes"])))
    return rows


def _input_text(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in entry.items())
