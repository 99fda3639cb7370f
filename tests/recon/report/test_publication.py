"""Figures for print: formats, widths, styles, and the film."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deltamu.recon.cli import main
from deltamu.recon.errors import InputError
from deltamu.recon.report.canvas import figure_style, image_bytes, sheet_width
from deltamu.recon.report.figure_balance import sides_of_separator
from deltamu.recon.report.figures import FIGURES
from deltamu.recon.report.film import draw_film
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.publication import FIGURE_NAMES, write_figures
from deltamu.recon.report.sections import cell_frame

MakeStudy = Callable[..., Path]
KAPPA_MAH = 430.76


def test_sizes_and_formats(make_study: MakeStudy) -> None:
    folder = make_study()
    written = write_figures(folder, width_mm=89, only=["profile"])
    assert [path.name for path in written] == ["profile.png", "profile.svg", "profile.pdf"]
    assert all(path.parent == folder / "publication" for path in written)
    with Image.open(written[0]) as image:
        assert image.width == round(89 / 25.4 * 300)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert re.search(r'<svg[^>]* width="252\.\d+pt"', written[1].read_text())  # 89 mm in points
    assert written[2].read_bytes().startswith(b"%PDF")
    assert b"/MediaBox [ 0 0 252." in written[2].read_bytes()


def test_files_depend_on_nothing_but_the_study(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = make_study()
    first = write_figures(folder, target=tmp_path / "a", only=["balance"])
    second = write_figures(folder, target=tmp_path / "b", only=["balance"])
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_style_sheets_win(make_study: MakeStudy, tmp_path: Path) -> None:
    sheet = tmp_path / "mine.mplstyle"
    sheet.write_text("font.size: 11\nfigure.figsize: 4.0, 3.0\n")
    with figure_style(style=[str(sheet)]):
        import matplotlib

        assert matplotlib.rcParams["font.size"] == 11
        assert sheet_width() == 4.0
    assert write_figures(make_study(), style=[str(sheet), "grayscale"], only=["noise"], formats=["pdf"])


@pytest.mark.slow
@pytest.mark.parametrize("width_mm", [85.0, 180.0])
def test_nothing_leaves_the_sheet(make_study: MakeStudy, width_mm: float) -> None:
    """Every text lies inside its figure, at both widths."""
    content = load_report_content(make_study())
    for kind in FIGURES:
        with figure_style(width_mm=width_mm):
            figure = kind.draw(content)
            figure.canvas.draw()
            box = figure.get_tightbbox()
        # 0.02 inch: half the width of a line and the rounding of glyphs to whole pixels
        assert min(box.x0, box.y0) > -0.02, kind.name
        assert box.x1 < figure.get_figwidth() + 0.02, kind.name
        assert box.y1 < figure.get_figheight() + 0.02, kind.name


def test_film_runs_through_the_layer(make_study: MakeStudy) -> None:
    content = load_report_content(make_study(noise=0.02))
    with Image.open(io.BytesIO(draw_film(content, frames=7, dpi=60))) as film:
        assert film.n_frames == 7
        assert film.info["loop"] == 0
        pictures = []
        for index in range(7):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB"), float))
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert np.all(pictures[0][0, 0] == 255)
    # the upper left quarter holds the first change: reddest where its profile peaks, in the middle frames
    height, width = pictures[0].shape[:2]
    redness = [
        float((p[: height // 2, : width // 3, 0] - p[: height // 2, : width // 3, 2]).mean())
        for p in pictures
    ]
    assert int(np.argmax(redness)) in (2, 3)
    assert max(redness) > 5 * max(redness[0], redness[-1], 1.0)


def test_balance_adds_up_what_is_in_the_store(make_study: MakeStudy) -> None:
    """The made-up anode loses 0.3·1.3 cm⁻¹ over 0.39 mm; the cathode gains a peak of 1.3 over 0.4 mm."""
    content = load_report_content(make_study(noise=0.02))
    before, behind = sides_of_separator(content, "discharged-pristine", cell_frame(content))
    depth = np.linspace(0, 0.4, 2001)
    gained = 1.3 * np.exp(-0.5 * ((depth / 0.4 - 0.35) / 0.27) ** 2).mean() * 0.04 * KAPPA_MAH
    # labels of whole voxels: the thickness of a layer is right to a fraction of a voxel of 0.0725 mm
    assert before == pytest.approx(-0.39 * 0.039 * KAPPA_MAH, rel=0.05)
    assert behind == pytest.approx(gained, rel=0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": ["tiff"]}, "format: found 'tiff', expected one of png, svg, pdf"),
        ({"only": ["everything"]}, "only: found 'everything'"),
        ({"width_mm": 7.1}, "width_mm: found 7.1, expected 60 to 400 mm"),
        ({"style": ["no_such_style"]}, "'no_such_style' is neither a file nor"),
    ],
)
def test_wrong_options_are_named(make_study: MakeStudy, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        write_figures(make_study(), **options)  # type: ignore[arg-type]


def test_command_line(make_study: MakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_study()
    assert main(["figures", str(folder), "--only", "noise", "--format", "png"]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "publication" / "noise.png")
    assert main(["figures", str(folder / "profiles")]) == 2
    assert "summary.json: missing" in capsys.readouterr().err


def test_every_figure_can_be_asked_for() -> None:
    assert set(FIGURE_NAMES) == {kind.name for kind in FIGURES} | {"film"}


def test_pictures_without_a_clock() -> None:
    """No date in any format."""
    from deltamu.recon.report.canvas import new_figure

    for file_format in ("png", "svg", "pdf"):
        with figure_style():
            content = image_bytes(new_figure(1, 1), file_format)
        assert not re.search(rb"20\d\d-\d\d-\d\d|D:20", content)
