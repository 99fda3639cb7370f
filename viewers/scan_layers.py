"""The layers of a raw scan, before any reconstruction: projections with an angle slider, open beam, darks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.operando.series import Series
from deltamu.recon.scans.scan import Scan
from deltamu.viewers.layer import Layer, Opened, Role
from deltamu.viewers.lazy_array import LazyArray

# steps between angles that differ by less than this part are one step
EVEN = 0.01


@dataclass(frozen=True, eq=False)
class ScanFrames:
    """Frames of a scan or of a series of radiographs, read frame by frame."""

    scan: Scan | Series

    @property
    def shape(self) -> tuple[int, ...]:
        """(angle or time, row, column)."""
        return self.scan.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the frames that come back."""
        return np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        """Read frames and cut them."""
        frames, rows, columns = key
        return self.scan.read(frames.start, frames.stop)[:, rows, columns]


def scan_layers(scan: Scan, path: Path) -> Opened:
    """Describe the projections, the mean open beam and the mean dark frame of a scan."""
    views, rows, columns = scan.shape
    first, step, unit, axis = _angle_axis(scan)
    pixel, length = (1.0, "pixel") if scan.pixel_size_mm is None else (scan.pixel_size_mm, "mm")
    projections = LazyArray(ScanFrames(scan), (1, rows, columns), (str(path), scan.fingerprint))
    limits = frame_limits(np.asarray(projections[views // 2]))
    layers = [
        *mean_frame("dark frames", scan.darks, limits, pixel, length, path),
        *mean_frame("open beam", scan.flats, limits, pixel, length, path),
        Layer(
            name=f"projections {scan.name}", kind="image", levels=(projections,), scale=(step, pixel, pixel),
            translate=(first, 0.0, 0.0), units=(unit, length, length), axes=(axis, "row", "column"),
            role="projections", subject=scan.name, value_unit="ADU", limits=limits, source=str(path),
        ),
    ]  # fmt: skip
    notes = list(scan.notes)
    if scan.pixel_size_mm is None:
        notes.append(f"{scan.name}: the files do not state the pixel size, so lengths are in pixels")
    return Opened(scan.name, tuple(layers), tuple(notes))


def _angle_axis(scan: Scan) -> tuple[float, float, str, str]:
    """First value, step, unit and name of the first axis: degrees where the views are evenly spaced."""
    degrees = np.degrees(scan.angles)
    steps = np.diff(degrees)
    step = float(np.median(steps))
    if step > 0 and np.all(np.abs(steps - step) < EVEN * step):
        return float(degrees[0]), step, "degree", "angle"
    return 0.0, 1.0, "pixel", "view"


def mean_frame(
    name: str, frames: Any, limits: tuple[float, float], pixel: float, unit: str, path: Path
) -> list[Layer]:
    """Layer of the mean of open-beam or dark frames; none where there are no frames."""
    if frames is None or len(frames) == 0:
        return []
    mean = np.asarray(frames, np.float64).mean(axis=0).astype(np.float32)
    role: Role = "open beam"
    return [
        Layer(
            name=f"{name} (mean of {len(frames)})", kind="image", levels=(mean,), scale=(pixel, pixel),
            translate=(0.0, 0.0), units=(unit, unit), axes=("row", "column"), role=role, value_unit="ADU",
            limits=limits, visible=False, source=str(path),
        )
    ]  # fmt: skip


def frame_limits(frame: NDArray[Any]) -> tuple[float, float]:
    """Grey levels between which all but the darkest and brightest pixels of a frame lie."""
    low, high = (float(v) for v in np.percentile(frame, (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)
