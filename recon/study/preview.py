"""`deltamu check --preview`: one page per state, from some of its views, before anything is computed."""

from pathlib import Path

import numpy as np

from deltamu.recon.errors import naming
from deltamu.recon.preprocess.center import CenterResult, find_center
from deltamu.recon.preprocess.correction import Correction, correct_frames
from deltamu.recon.preprocess.prepare import spread_views
from deltamu.recon.report.figure_preview import PreviewPanel, write_preview
from deltamu.recon.scans.scan import Scan
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.study.correcting import state_correction
from deltamu.recon.study.settings import Study, read_study
from deltamu.recon.study.sources import open_black_body, open_sources

# enough for a slice to be judged, few enough for seconds
MOST_VIEWS = 90
HEIGHTS = 16


def preview(path: Path, folder: Path) -> list[Path]:
    """Write `preview_NAME.png` for every state that comes from a scan, and return the files.

    Parameters
    ----------
    path : Path
        study.toml.
    folder : Path
        To write into.

    Raises
    ------
    InputError
        As `deltamu.recon.study.pipeline.run` would.
    """
    study = read_study(path)
    written = []
    for name, source in open_sources(study).items():
        if isinstance(source, Scan):
            with naming(f"states.{name}"):
                written.append(_preview_state(study, name, source, folder))
    return written


def _preview_state(study: Study, name: str, scan: Scan, folder: Path) -> Path:
    correction = state_correction(study, name, scan, open_black_body(study, name))
    views, raw = spread_views(scan, MOST_VIEWS)
    rows = np.unique(np.linspace(0, scan.shape[1] - 1, HEIGHTS).round().astype(int))
    lines = np.empty((len(views), len(rows), scan.shape[2]), np.float32)
    first = np.zeros(scan.shape[1:], np.float32)
    for index, view in enumerate(views):
        corrected = correct_frames(raw[index : index + 1], correction, first_view=int(view))
        lines[index] = corrected.line_integrals[0, rows]
        if index == 0:
            first = corrected.line_integrals[0]
    angles = scan.angles[views]
    found = find_center(lines, angles, rows=rows, search=study.center.search_px)
    given = study.states[name].center
    center = found.center if given is None else given
    middle = len(rows) // 2
    assert scan.pixel_size_mm is not None
    slice_ = fbp(
        lines[:, middle : middle + 1], angles, center=center, pixel_size_mm=scan.pixel_size_mm, filter="hann"
    )[0]
    panels = (
        PreviewPanel(raw[0], f"raw, view {views[0]}", "ADU", marked_row=float(rows[middle])),
        PreviewPanel(correction.flat, "open beam", "ADU"),
        PreviewPanel(np.exp(-first), "transmission, corrected", "T", marked_column=center),
        PreviewPanel(
            lines[:, middle],
            f"sinogram of row {rows[middle]}",
            "−ln T",
            ("view", "column"),
            marked_column=center,
        ),
        PreviewPanel(slice_, f"trial slice, centre {center:.2f} px", "cm⁻¹", ("y", "x")),
        PreviewPanel(correction.bad_pixels, "pixels that are interpolated", "1 = bad"),
    )
    return write_preview(folder / f"preview_{name}.png", panels, title=_title(name, scan, correction, found))


def _title(name: str, scan: Scan, correction: Correction, found: CenterResult) -> str:
    air = ", ".join(f"{a} to {b - 1}" for a, b in correction.air_columns) or "none found"
    return (
        f"{name}: {scan.shape[0]} views of {scan.shape[1]} × {scan.shape[2]} pixels; centre {found.center:.2f} ± "
        f"{found.spread:.2f} px; air in columns {air}"
    )
