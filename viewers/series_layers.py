"""The layers of a series of radiographs: frames with a time slider in minutes, open beam, darks."""

from pathlib import Path

import numpy as np

from deltamu.recon.study.operando.settings import read_series_study
from deltamu.recon.study.operando.sources import open_sources
from deltamu.viewers.layer import Layer, Opened
from deltamu.viewers.lazy_array import LazyArray
from deltamu.viewers.scan_layers import ScanFrames, frame_limits, mean_frame

MINUTE_S = 60.0
STORE = "series.zarr"
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
    layers = [
        *mean_frame("dark frames", series.darks, limits, pixel, "mm", path),
        *mean_frame("open beam", series.flats, limits, pixel, "mm", path),
        Layer(
            name=f"radiographs {series.name}", kind="image", levels=(frames,), scale=(step, pixel, pixel),
            translate=(series.times_s[0] / MINUTE_S, 0.0, 0.0), units=("minute", "mm", "mm"),
            axes=("time", "row", "column"), role="series", subject=series.name, value_unit="ADU", limits=limits,
            source=str(path),
        ),
    ]  # fmt: skip
    notes = list(series.notes)
    if np.any(np.abs(np.diff(series.times_s) - series.step_s) > UNEVEN * series.step_s):
        notes.append(f"{series.name}: the frames are unevenly spaced in time; the slider counts usual steps")
    if output is None:
        notes.append(f"{series.name}: has not been computed yet; `deltamu operando {path}`")
    return Opened(series.name, tuple(layers), tuple(notes), output)


def _results(path: Path, stated: Path) -> str | None:
    """Folder with the results: the one that was opened, which may have been moved, or the one of the settings."""
    opened = path if path.is_dir() else path.parent
    return next((str(folder) for folder in (opened, stated) if (folder / STORE).is_dir()), None)
