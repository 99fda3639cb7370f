"""A scan: projections that are read when asked for, with what belongs to them."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.scans.combine import combine_frames
from deltamu.recon.scans.flat_checks import check_flats
from deltamu.recon.scans.frames import ArrayFrames, Frames, FrameSource, SelectedFrames
from deltamu.recon.scans.options import check_pixel_size
from deltamu.recon.scans.view import DetectorView

# frames that are held in memory as stored, while they are turned into frames of the scan
_FRAMES_PER_BLOCK = 32


@dataclass(frozen=True, eq=False)
class Scan:
    """One tomography scan, checked on construction; frames are read when asked for.

    Attributes
    ----------
    name : str
    projections : FrameSource
        The stored frames.
    groups : tuple of tuple of int
        For every view, in the stored order, the frames that show it.
    angles : (angle,) float64 array
        Radians, of the views.
    view : DetectorView
        Transposition, flip, crop and binning of all frames.
    flat_source, dark_source : FrameSource or None
    pixel_size_mm : float or None
        Of the pixels that `read` returns (after binning).
    times_s : (angle,) float64 array or None
        Of the views, from the first.
    flats_after : int or None
        Index of the first flat taken after the scan.
    flat_times_s : array or None
    exposure_s : mapping or None
        Seconds of "projections", "flats" and "darks", as far as known.
    combine : str
        How several frames of a view become one.
    direction : str
        "as stated", or "reversed" where `angles` already are.
    notes : tuple of str
        What was recognised: order, duplicates, gaps, choices that the reader made.
    settings : str
        The options, as they enter the fingerprint.

    Raises
    ------
    InputError
        Naming the scan, what was found and what was expected.
    """

    name: str
    projections: FrameSource
    groups: tuple[tuple[int, ...], ...]
    angles: NDArray[np.float64]
    view: DetectorView
    flat_source: FrameSource | None = None
    dark_source: FrameSource | None = None
    pixel_size_mm: float | None = None
    times_s: NDArray[np.float64] | None = None
    flats_after: int | None = None
    flat_times_s: NDArray[np.float64] | None = None
    exposure_s: Mapping[str, float] | None = None
    combine: str = "clipped"
    direction: str = "as stated"
    notes: tuple[str, ...] = ()
    settings: str = ""

    def __post_init__(self) -> None:
        angles = np.array(self.angles, np.float64)
        angles.flags.writeable = False
        object.__setattr__(self, "angles", angles)
        if angles.ndim != 1 or not np.all(np.isfinite(angles)):
            raise InputError(f"{self.name}: angles: expected one finite number per view")
        if angles.size < 2:
            raise InputError(
                f"{self.name}: found {angles.size} projection, expected a scan of at least two views"
            )
        if angles.size != len(self.groups):
            raise InputError(f"{self.name}: found {angles.size} angles for {len(self.groups)} views")
        if self.times_s is not None and self.times_s.shape != angles.shape:
            raise InputError(f"{self.name}: found {self.times_s.size} time stamps for {angles.size} views")
        for kind, source in (("flats", self.flat_source), ("darks", self.dark_source)):
            if source is not None and source.shape != self.projections.shape:
                raise InputError(
                    f"{source.label}: found {kind} of {source.shape} (row, column), expected "
                    f"{self.projections.shape} as in {self.projections.label}"
                )
        if self.pixel_size_mm is not None:
            check_pixel_size(self.pixel_size_mm, f"{self.name}: pixel_size_mm")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(angle, row, column) of what `read` returns."""
        return (len(self.groups), *self.view.shape)

    @property
    def bin(self) -> int:
        """Pixels of the detector along each side of a pixel of the scan."""
        return self.view.bin

    @property
    def flat_scale(self) -> float:
        """Exposure of a projection over that of a flat: multiplies flats minus darks."""
        exposures = self.exposure_s or {}
        if "projections" in exposures and "flats" in exposures:
            return exposures["projections"] / exposures["flats"]
        return 1.0

    def read(self, start: int = 0, stop: int | None = None) -> Frames:
        """Read views; may be called from several threads at once.

        Parameters
        ----------
        start, stop : int
            Views start to stop − 1, in the stored order; by default all.

        Returns
        -------
        (n, row, column) float32 array
            Raw ADU; frames of a view combined; transposed, flipped, cropped and binned.

        Raises
        ------
        InputError
            If the range is not within the scan or a file cannot be read.
        """
        stop = len(self.groups) if stop is None else stop
        if not 0 <= start <= stop <= len(self.groups):
            raise InputError(
                f"{self.name}: found views {start} to {stop}, expected a range within 0 to {len(self.groups)}"
            )
        per_view = max(1, max((len(group) for group in self.groups[start:stop]), default=1))
        step = max(1, _FRAMES_PER_BLOCK // per_view)
        if 0 < stop - start <= step:
            return self._read_block(self.groups[start:stop])
        frames = np.empty((stop - start, *self.view.shape), np.float32)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            frames[first - start : last - start] = self._read_block(self.groups[first:last])
        return frames

    def _read_block(self, groups: tuple[tuple[int, ...], ...]) -> Frames:
        numbers = np.array([number for group in groups for number in group], np.int64)
        frames = self._turned(self.projections, numbers)
        if numbers.size == len(groups):
            return frames
        ends = np.cumsum([len(group) for group in groups])
        views = np.split(frames, ends[:-1])
        level = self._dark_level if self.combine != "mean" else 0.0
        return np.stack([combine_frames(view, method=self.combine, dark_level=level) for view in views])

    def _turned(self, source: FrameSource, numbers: NDArray[np.int64]) -> Frames:
        frames = self.view.apply(source.read(numbers))
        if not np.isfinite(frames.sum(dtype=np.float64)):
            bad = numbers[int(np.argmin(np.all(np.isfinite(frames), axis=(1, 2))))]
            raise InputError(
                f"{source.label}: frame {bad} holds values that are not finite; expected detector counts"
            )
        return frames

    @cached_property
    def _dark_level(self) -> float:
        return float(np.median(self.darks)) if self.darks.size else 0.0

    @cached_property
    def darks(self) -> Frames:
        """Frames without beam, (k, row, column) float32, k = 0 where the scan has none; read once."""
        return self._all(self.dark_source)

    @cached_property
    def flats(self) -> Frames:
        """Frames without sample, (k, row, column) float32, k = 0 where there are none; checked."""
        flats = self._all(self.flat_source)
        if flats.shape[0]:
            first = self._turned(self.projections, np.array(self.groups[0][:1], np.int64))
            check_flats(flats, self.darks, first, where=self.name, scale=self.flat_scale)
        return flats

    def _all(self, source: FrameSource | None) -> Frames:
        if source is None:
            frames = np.empty((0, *self.view.shape), np.float32)
        else:
            frames = self._turned(source, np.arange(source.count))
        frames.flags.writeable = False
        return frames

    @property
    def reference_frames(self) -> int:
        """Number of flats and darks."""
        return sum(source.count for source in (self.flat_source, self.dark_source) if source is not None)

    def forget_references(self) -> None:
        """Let go of flats and darks; they are read again when they are asked for."""
        for name in ("flats", "darks"):
            self.__dict__.pop(name, None)

    def check(self) -> None:
        """Look at every file without reading all frames, and at the flats and darks.

        Raises
        ------
        InputError
            If a file is missing, truncated or of another size, or flats and darks cannot be right.
        """
        for source in (self.projections, self.flat_source, self.dark_source):
            if source is not None:
                source.check()
        _ = self.flats, self.darks

    @cached_property
    def fingerprint(self) -> str:
        """Hash over the names, sizes and times of change of all files, the datasets and the options."""
        digest = hashlib.sha256(f"{self.settings}|{self.groups}|{self.angles.tobytes().hex()}".encode())
        for source in (self.projections, self.flat_source, self.dark_source):
            if source is None:
                continue
            digest.update(f"{source.count}{source.shape}".encode())
            if isinstance(source, SelectedFrames):
                digest.update(source.indices.tobytes())
            if isinstance(source, ArrayFrames):
                digest.update(np.ascontiguousarray(source.array).tobytes())
            for file in source.files:
                status = os.stat(file)
                digest.update(f"{file.name}|{status.st_size}|{status.st_mtime_ns}\n".encode())
        return digest.hexdigest()
