"""Figures that a second process draws while the first one draws the others.

`python -m deltamu.recon.report.drawing OUTPUT NAME …` writes OUTPUT/figures/NAME.png; a program of its own, for a
fork of a process with threads may hang, and a spawned one would run an unguarded script of the user's again.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deltamu.kernels.backend import thread_count
from deltamu.recon.atomic import write_bytes
from deltamu.recon.report.canvas import figure_style, image_bytes
from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.figures import FIGURES, FigureKind
from deltamu.recon.report.load import load_report_content
from deltamu.recon.volumes.open import open_image

# voxels of a state from which on a second interpreter, which takes a second to start, is sooner done
SHARED_FROM_VOXELS = 2**24


@dataclass(frozen=True)
class RenderedFigure:
    """A figure as it stands on the page."""

    name: str
    title: str
    caption: str
    png: bytes


def render_figures(content: ReportContent) -> Iterator[RenderedFigure]:
    """Draw every figure that the study has, large ones by two processes; those of one that fails are drawn here."""
    kinds = [kind for kind in FIGURES if kind.possible(content)]
    shared = kinds[1::2] if _is_large(content) and thread_count() > 1 else []
    with _drawn_elsewhere(content.output_dir, [kind.name for kind in shared]) as arrived:
        own = {kind.name: draw_png(kind, content) for kind in kinds if kind not in shared}
        there = {kind.name: figure_path(content.output_dir, kind.name) for kind in shared if arrived()}
    for kind in kinds:
        if kind.name in there:
            png = there[kind.name].read_bytes()
        else:
            png = own.get(kind.name) or draw_png(kind, content)
        yield RenderedFigure(kind.name, kind.title, kind.describe(content), png)


def _is_large(content: ReportContent) -> bool:
    shape = open_image(content.image_path(f"states/{content.reference}/attenuation")).shape
    return math.prod(shape) >= SHARED_FROM_VOXELS


@contextmanager
def _drawn_elsewhere(output: Path, names: Sequence[str]) -> Iterator[Callable[[], bool]]:
    """Start a process that draws some figures; give what waits for it and says whether all of them stand."""
    if not names:
        yield lambda: False
        return
    silent = subprocess.DEVNULL
    command = [sys.executable, "-m", "deltamu.recon.report.drawing", str(output), *names]
    process = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
    try:
        yield lambda: process.wait() == 0
    finally:
        process.kill()
        process.wait()


def draw_png(kind: FigureKind, content: ReportContent) -> bytes:
    """Draw one figure."""
    with figure_style():
        return image_bytes(kind.draw(content))


def figure_path(output: Path, name: str) -> Path:
    """Where a figure of a study stands."""
    return output / "figures" / f"{name}.png"


def main(arguments: Sequence[str]) -> None:
    """Draw the named figures of a study."""
    output, *names = arguments
    content = load_report_content(output)
    for kind in FIGURES:
        if kind.name in names:
            write_bytes(figure_path(Path(output), kind.name), draw_png(kind, content))


if __name__ == "__main__":
    main(sys.argv[1:])
