"""The layers of a series of radiographs: frames with a time slider in minutes, open beam, darks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.operando.series import Series
from deltamu.recon.report.operando.colors import ratio_norm
from deltamu.recon.report.operando.content import load_series_content
from deltamu.recon.study.operando.settings import read_series_study
from deltamu.recon.study.operando.sources import open_sources
from deltamu.viewers.layer import Layer, Opened
from deltamu.viewers.lazy_array import LazyArray
from deltamu.viewers.ratio_frames import ratio_frames
from deltamu.viewers.scan_layers import ScanFrames, frame_limits, mean_frame

MINUTE_S = 60.0
STORE = "series.zarr"
# below 1 lithium has come, as in the report
ENRICHED_IS_RED = "RdBu"
# steps that differ by more than this part of the usual one make the slider's times approximate
UNEVEN = 0.1


def series_layers(path: Path) -> Opened:
    """Describe the frames of a series.toml, with time along the first axis.

    Raises
    ------
    InputError
        If the series or its settings are wrong.
    """
    study = read_series_study(path)
    series = open_sources(study).series
    output = _results(path, study.output_dir)
    _, rows, columns = series.shape
    pixel, step = series.pixel_size_mm, series.step_s / MINUTE_S
    frames = LazyArray(ScanFrames(series), (1, rows, columns), (str(path), series.fingerprint))
    limits = frame_limits(np.asarray(frames[0]))
    radiographs = Layer(
        name=f"radiographs {series.name}", kind="image", levels=(frames,), scale=(step, pixel, pixel),
        translate=(series.times_s[0] / MINUTE_S, 0.0, 0.0), units=("minute", "mm", "mm"),
        axes=("time", "row", "column"), role="series", subject=series.name, value_unit="ADU", limits=limits,
        source=str(path),
    )  # fmt: skip
    layers = [
        *mean_frame("dark frames", series.darks, limits, pixel, "mm", path),
        *mean_frame("open beam", series.flats, limits, pixel, "mm", path),
        radiographs,
    ]
    notes = list(series.notes)
    if np.any(np.abs(np.diff(series.times_s) - series.step_s) > UNEVEN * series.step_s):
        notes.append(f"{series.name}: the frames are unevenly spaced in time; the slider counts usual steps")
    if output is None:
        notes.append(f"{series.name}: has not been computed yet; `deltamu operando {path}`")
    else:
        layers += _ratio(radiographs, series, Path(output), notes)
    return Opened(series.name, tuple(layers), tuple(notes), output)


def _ratio(radiographs: Layer, series: Series, output: Path, notes: list[str]) -> list[Layer]:
    """Layer of Tr_t / Tr_0 over the radiographs; none where the run is not finished, which is noted."""
    try:
        content = load_series_content(output)
        frames = ratio_frames(series, content)
    except InputError as error:
        notes.append(str(error))
        return []
    _, rows, columns = series.shape
    values = LazyArray(frames, (1, rows, columns), (str(output), "ratio", series.fingerprint))
    limit = ratio_norm([content.arrays[f"kymograph/{name}/ratio"] for name in content.regions]).vmax
    return [
        replace(
            radiographs, name=f"Tr/Tr₀ {series.name}", levels=(values,), role="ratio", value_unit="1",
            colors=ENRICHED_IS_RED, limits=(2 - limit, limit),
        )
    ]  # fmt: skip


def _results(path: Path, stated: Path) -> str | None:
    """Folder with the results: the one that was opened, which may have been moved, or the one of the settings."""
    opened = path if path.is_dir() else path.parent
    return next((str(folder) for folder in (opened, stated) if (folder / STORE).is_dir()), None)
