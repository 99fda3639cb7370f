"""A series of radiographs: frames in the order of time, read when asked for."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.frame_times import FrameTimes, TimeOptions, find_times
from deltamu.recon.scans.flat_checks import check_flats
from deltamu.recon.scans.frames import Frames, FrameSource, join
from deltamu.recon.scans.image_folder import ImageFolder
from deltamu.recon.scans.options import ScanOptions, parse_select
from deltamu.recon.scans.read import find_frames
from deltamu.recon.scans.view import DetectorView, detector_view

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# a step between frames is a gap when it exceeds so many usual ones
_GAP_STEPS = 1.5
_MOST_UNREADABLE = 0.02


@dataclass(frozen=True, eq=False)
class Series:
    """Radiographs of one cell; what is used of a scan by the preprocessing is the same here.

    Attributes
    ----------
    name : str
    source : FrameSource
        The stored frames.
    order : (frame,) int array
        Numbers of the stored frames, in the order of time.
    times_s : (frame,) array
        Middle of the exposures, since `start` or since the first exposure began.
    start : datetime or None
        In UTC.
    view : DetectorView
    flat_source, dark_source : FrameSource or None
    flats_after : int or None
        Index of the first flat taken after the series.
    pixel_size_mm : float
    exposure_s : mapping or None
    notes : tuple of str
    """

    name: str
    source: FrameSource
    order: Int
    times_s: Float
    start: datetime | None
    view: DetectorView
    flat_source: FrameSource | None
    dark_source: FrameSource | None
    flats_after: int | None
    pixel_size_mm: float
    exposure_s: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()
    settings: str = ""

    def __post_init__(self) -> None:
        if self.order.size != self.times_s.size or np.any(np.diff(self.times_s) <= 0):
            raise InputError(f"{self.name}: expected one time per frame, growing from frame to frame")
        if self.order.size < 3:
            raise InputError(
                f"{self.name}: found {self.order.size} frames, expected a series of at least three"
            )
        for kind, source in (("flats", self.flat_source), ("darks", self.dark_source)):
            if source is not None and source.shape != self.source.shape:
                raise InputError(
                    f"{source.label}: found {kind} of {source.shape} (row, column), expected {self.source.shape}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(frame, row, column) of what `read` returns."""
        return (self.order.size, *self.view.shape)

    @property
    def step_s(self) -> float:
        """Usual time from frame to frame."""
        return float(np.median(np.diff(self.times_s)))

    def read(self, start: int = 0, stop: int | None = None) -> Frames:
        """Read raw frames (n, row, column) in the order of time."""
        chosen = self.order[start:stop]
        return self._turned(self.source, chosen)

    @cached_property
    def flats(self) -> Frames:
        """Open-beam frames, (k, row, column), k = 0 where there are none."""
        flats = self._all(self.flat_source)
        if len(flats):
            check_flats(flats, self.darks, self.read(0, 1), where=self.name)
        return flats

    @cached_property
    def darks(self) -> Frames:
        """Frames without beam, (k, row, column), k = 0 where there are none."""
        return self._all(self.dark_source)

    def _all(self, source: FrameSource | None) -> Frames:
        if source is None:
            return np.empty((0, *self.view.shape), np.float32)
        return self._turned(source, np.arange(source.count))

    def _turned(self, source: FrameSource, numbers: Int) -> Frames:
        frames = self.view.apply(source.read(numbers))
        if not np.isfinite(frames.sum(dtype=np.float64)):
            bad = numbers[int(np.argmin(np.all(np.isfinite(frames), axis=(1, 2))))]
            raise InputError(f"{source.label}: frame {bad} holds values that are not finite; expected counts")
        return frames

    @cached_property
    def fingerprint(self) -> str:
        """Hash over names, sizes and times of change of all files, the order and the options."""
        sources = (self.source, self.flat_source, self.dark_source)
        return files_fingerprint(sources, self.settings, self.order.tobytes(), self.times_s.tobytes())


def files_fingerprint(sources: Iterable[FrameSource | None], *settings: object) -> str:
    """Hash over names, sizes and times of change of the files of some sources, and over settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for source in sources:
        for file in source.files if source is not None else ():
            status = os.stat(file)
            digest.update(f"{file.name}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def open_series(
    path: str | Path, scan: ScanOptions, times: TimeOptions, *, stamp: str = "start", name: str | None = None
) -> Series:
    """Open a series; the frames are read later, but every file is looked at.

    Parameters
    ----------
    path : path
        As for a scan: folder of images, multi-page TIFF, FITS, HDF5, Zarr.
    scan : ScanOptions
        What is stated about frames, flats, darks, crop, pixel size; angles do not matter.
    times : TimeOptions
    stamp : {"start", "middle", "end"}
        Which moment of the exposure the time stamps mean.
    name : str, optional

    Raises
    ------
    InputError
        Naming the file or the option, what was found, what was expected, what to try.
    """
    path = Path(path)
    found = find_frames(path, scan)
    notes = list(found.notes)
    stamps = find_times(path.parent if path.is_file() else path, found, times)
    notes.append(f"times of the frames: {stamps.origin}")
    chosen = np.arange(found.projections.count)[parse_select(scan.projection_select, "frame_select")]
    chosen = _readable(found.projections, chosen, notes)
    order = _in_time_order(stamps, chosen, found.projections.label, notes)
    pixel = scan.pixel_size_mm if scan.pixel_size_mm is not None else found.pixel_size_mm
    if pixel is None:
        raise InputError(f"{path}: the size of a pixel is not stated; expected pixel_size_mm")
    exposure = scan.exposure_s if scan.exposure_s is not None else found.exposure_s
    flats = [source for source in (found.flats, found.flats_after) if source is not None]
    return Series(
        name=name or path.stem,
        source=found.projections,
        order=order,
        times_s=_middles(stamps.seconds[order], exposure, stamp, notes),
        start=stamps.start,
        view=detector_view(found.projections.shape, scan, found.projections.label),
        flat_source=join(flats, flats[0].label if flats else ""),
        dark_source=found.darks,
        flats_after=None if found.flats_after is None else (found.flats.count if found.flats else 0),
        pixel_size_mm=pixel * scan.bin,
        exposure_s=None if exposure is None else {"projections": exposure},
        notes=tuple(notes),
        settings=f"{scan!r}|{times!r}|{stamp}",
    )


def _middles(seconds: Float, exposure_s: float | None, stamp: str, notes: list[str]) -> Float:
    shares = {"start": 0.5, "middle": 0.0, "end": -0.5}
    if stamp not in shares:
        raise InputError(f"stamp: found {stamp!r}, expected 'start', 'middle' or 'end'")
    if exposure_s is None:
        usual = float(np.median(np.diff(seconds)))
        notes.append(f"exposure not stated: {usual:g} s from frame to frame are taken for it")
        exposure_s = usual
    return np.asarray(seconds + shares[stamp] * exposure_s)


def _readable(source: FrameSource, chosen: Int, notes: list[str]) -> Int:
    """Leave out single files that are truncated; a series with many of them is refused."""
    if not isinstance(source, ImageFolder):
        source.check()
        return chosen
    broken: dict[int, str] = {}
    for number in chosen:
        try:
            shape = source.format.shape(source.files[number])
        except InputError as error:
            broken[int(number)] = str(error)
            continue
        if shape != source.shape:
            broken[int(number)] = (
                f"{source.files[number]}: found {shape}, expected {source.shape} (row, column)"
            )
    if broken and len(broken) > max(1.0, _MOST_UNREADABLE * chosen.size):
        raise InputError(
            f"{len(broken)} of {chosen.size} frames cannot be used, the first: {next(iter(broken.values()))}"
        )
    if broken:
        notes.append(f"{len(broken)} frame left out: {next(iter(broken.values()))}" if len(broken) == 1 else
                     f"{len(broken)} frames left out, the first: {next(iter(broken.values()))}")  # fmt: skip
    return chosen[~np.isin(chosen, list(broken))]


def _in_time_order(stamps: FrameTimes, chosen: Int, label: str, notes: list[str]) -> Int:
    """Sort by time; leave out frames without a time and with the time of another."""
    seconds = stamps.seconds[chosen]
    known = np.isfinite(seconds)
    if not known.all():
        notes.append(f"{np.count_nonzero(~known)} frames without a time stamp left out")
    chosen, seconds = chosen[known], seconds[known]
    if chosen.size < 3:
        raise InputError(f"{label}: found {chosen.size} frames with a time, expected at least three")
    order = np.argsort(seconds, kind="stable")
    if np.any(np.diff(order) < 0):
        notes.append("frames were not stored in the order of time; they were sorted")
    chosen, seconds = chosen[order], seconds[order]
    distinct = np.concatenate([[True], np.diff(seconds) > 0])
    if not distinct.all():
        notes.append(f"{np.count_nonzero(~distinct)} frames with the time of another (duplicates) left out")
    steps = np.diff(seconds[distinct])
    if not steps.size or np.median(steps) <= 0:
        raise InputError(f"{label}: all frames have one time; expected times that grow")
    gaps = steps[steps > _GAP_STEPS * np.median(steps)]
    if gaps.size:
        missing = int(np.sum(np.round(gaps / np.median(steps)) - 1))
        notes.append(
            f"{gaps.size} gaps between frames, the longest {gaps.max() / 60:.3g} min; about {missing} frames are missing"
        )
    return np.asarray(chosen[distinct])
