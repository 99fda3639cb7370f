"""Figures drawn by two processes are those drawn by one, and none is lost with the second process."""

import sys

from deltamu.recon.report import drawing
from deltamu.recon.report.load import load_report_content


def test_two_processes_draw_what_one_draws(make_study, monkeypatch):
    content = load_report_content(make_study())
    # two that are drawn soon, one for each process
    monkeypatch.setattr(
        drawing, "FIGURES", [kind for kind in drawing.FIGURES if kind.name in ("centers", "noise")]
    )
    monkeypatch.setattr(drawing, "thread_count", lambda: 2)
    alone = {figure.name: figure.png for figure in drawing.render_figures(content)}
    monkeypatch.setattr(drawing, "SHARED_FROM_VOXELS", 1)
    shared = {figure.name: figure.png for figure in drawing.render_figures(content)}
    assert list(shared) == list(alone)
    assert shared == alone
    # the second process did its part
    assert [path.name for path in (content.output_dir / "figures").iterdir()] == ["noise.png"]


def test_figures_of_a_process_that_fails_are_drawn_here(make_study, monkeypatch):
    content = load_report_content(make_study())
    drawn = []
    monkeypatch.setattr(drawing, "thread_count", lambda: 2)
    monkeypatch.setattr(drawing, "SHARED_FROM_VOXELS", 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(drawing, "draw_png", lambda kind, content: drawn.append(kind.name) or b"png")
    assert [figure.name for figure in drawing.render_figures(content)] == sorted(drawn, key=[
        kind.name for kind in drawing.FIGURES
    ].index)  # fmt: skip
