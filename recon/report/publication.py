"""Figures for the paper: in the formats, the width and the style that a journal asks for."""

from collections.abc import Sequence
from pathlib import Path

from deltamu.recon.atomic import write_bytes
from deltamu.recon.errors import InputError
from deltamu.recon.report.canvas import figure_style, image_bytes
from deltamu.recon.report.content import ReportContent
from deltamu.recon.report.figures import FIGURES, FigureKind
from deltamu.recon.report.film import draw_film
from deltamu.recon.report.load import load_report_content

FORMATS = ("png", "svg", "pdf")
FILM = "film"
PRINT_DPI = 300
DEFAULT_WIDTH_MM = 180.0
WIDTHS_MM = (60.0, 400.0)
FIGURE_NAMES = (*(kind.name for kind in FIGURES), FILM)


def write_figures(
    output_dir: Path | str,
    *,
    target: Path | str | None = None,
    formats: Sequence[str] = FORMATS,
    width_mm: float = DEFAULT_WIDTH_MM,
    style: Sequence[str] = (),
    only: Sequence[str] = (),
) -> list[Path]:
    """Write the figures of a finished study for publication.

    Parameters
    ----------
    output_dir : path
        Output folder of the study.
    target : path, optional
        Folder to write into; `publication` in the output folder when not given.
    formats : sequence of str
        Of `png` (300 dots per inch), `svg`, `pdf`. The film is always a GIF.
    width_mm : float
        Width of the sheet, 60 to 400 mm: 85 to 90 for one column and 170 to 190 for two in most journals.
    style : sequence of str
        Style sheets of matplotlib (names or files) that are applied over ours.
    only : sequence of str
        Names of figures (FIGURE_NAMES); all that the study has when empty.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If the folder is no finished study, or an option is not one of those above.
    ResourceError
        If a file cannot be written; older ones stay whole.
    """
    _check_options(formats, width_mm, style, only)
    content = load_report_content(output_dir)
    folder = Path(target) if target is not None else content.output_dir / "publication"
    written = []
    for kind in _wanted(content, only):
        with figure_style(style=style, width_mm=width_mm, dpi=PRINT_DPI):
            figure = kind.draw(content)
            for file_format in formats:
                path = folder / f"{kind.name}.{file_format}"
                written.append(write_bytes(path, image_bytes(figure, file_format)))
    if (not only or FILM in only) and content.changes and content.profile_layer is not None:
        written.append(write_bytes(folder / f"{FILM}.gif", draw_film(content)))
    return written


def _wanted(content: ReportContent, only: Sequence[str]) -> list[FigureKind]:
    """Figures that were asked for; asking for one by name that the study does not have is an error."""
    missing = [kind.name for kind in FIGURES if kind.name in only and not kind.possible(content)]
    if missing:
        raise InputError(
            f"{content.output_dir}: this study has nothing to show in figure {', '.join(missing)}"
        )
    return [kind for kind in FIGURES if kind.possible(content) and (not only or kind.name in only)]


def _check_options(
    formats: Sequence[str], width_mm: float, style: Sequence[str], only: Sequence[str]
) -> None:
    for name, given, known in (("format", formats, FORMATS), ("only", only, FIGURE_NAMES)):
        unknown = [value for value in given if value not in known]
        if unknown:
            raise InputError(f"{name}: found '{unknown[0]}', expected one of {', '.join(known)}")
    if not WIDTHS_MM[0] <= width_mm <= WIDTHS_MM[1]:
        raise InputError(
            f"width_mm: found {width_mm:g}, expected {WIDTHS_MM[0]:g} to {WIDTHS_MM[1]:g} mm; "
            "one column is 85 to 90, two are 170 to 190 in most journals"
        )
    for sheet in style:
        _check_style(sheet)


def _check_style(sheet: str) -> None:
    try:
        with figure_style(style=[sheet]):
            pass
    except OSError:
        raise InputError(
            f"style: '{sheet}' is neither a file nor one of matplotlib's style sheets, for example 'grayscale'"
        ) from None
