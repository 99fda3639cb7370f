"""How the shape of the open beam changes from the flats before a scan to those after it, and in between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deltamu.recon.preprocess.on_device import OnDevice

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

# of the shorter side of the frame: what changes over less is the gain of pixels
SMOOTHING_FRACTION = 1 / 16
# times the noise of a smoothed difference, of which the light's correlation is a factor of two
SIGNIFICANT = 6.0


@dataclass(frozen=True)
class FlatDrift(OnDevice):
    """A beam whose shape changes at a constant rate.

    Attributes
    ----------
    change : (row, column) float32 array
        Relative change from the flats before to those after the scan, mean zero, smooth.
    shares : (view,) array
        Part of it that has happened in every view since the time of the mean flat.
    """

    maps: ClassVar = ("change",)

    change: Float32
    shares: Float

    def undo(self, transmission: Float32, view: int) -> None:
        """Divide a frame by what its beam has changed since the mean flat, in place."""
        transmission /= np.float32(self.shares[view]) * self.change + np.float32(1)

    @property
    def rms(self) -> float:
        """Root mean square of the change."""
        return float(np.sqrt(np.mean(self.change**2, dtype=np.float64)))


def find_flat_drift(sets: Sequence[Float32], bad: NDArray[np.bool_], shares: Float) -> FlatDrift | None:
    """Compare flats before and after; None where they differ by noise, or were taken on one side only.

    Parameters
    ----------
    sets : sequence of (k, row, column) arrays
        Dark-corrected, cleaned, scaled to one mean.
    bad : (row, column) bool array
    shares : (view,) array
        As of `FlatDrift`.
    """
    if len(sets) != 2 or min(len(frames) for frames in sets) < 2:
        return None
    before, after = (frames.mean(axis=0, dtype=np.float64) for frames in sets)
    good = ~bad & (before > 0)
    relative = np.where(good, after / np.where(good, before, 1) - 1, 0)
    middle = np.median(relative[good])
    # hits that several flats share must not make a bump
    good &= np.abs(relative - middle) < 5 * 1.4826 * np.median(np.abs(relative[good] - middle)) + 1e-6
    sigma = max(min(bad.shape) * SMOOTHING_FRACTION, 1.0)
    weight = gaussian_filter(good.astype(float), sigma, mode="nearest")
    smooth = gaussian_filter(np.where(good, relative, 0), sigma, mode="nearest") / np.maximum(weight, 1e-6)
    smooth -= smooth.mean()
    noise = float(np.std((relative - smooth)[good])) / (2 * np.sqrt(np.pi) * sigma)
    if float(np.std(smooth)) <= SIGNIFICANT * noise:
        return None
    return FlatDrift(smooth.astype(np.float32), shares)


def view_shares(scan: Any, sets: Sequence[Float32]) -> Float:
    """Where every view stands between the flats before (0) and after (1), from the mean flat on.

    By the times where the files state them, otherwise by the number of the view.
    """
    count = [len(frames) for frames in sets]
    mean_flat = count[-1] / sum(count)
    views = int(scan.shape[0])
    place = (np.arange(views) + 0.5) / views
    times, flat_times = getattr(scan, "times_s", None), getattr(scan, "flat_times_s", None)
    if times is not None and flat_times is not None and len(flat_times) == sum(count):
        first, last = float(np.mean(flat_times[: count[0]])), float(np.mean(flat_times[count[0] :]))
        if last > first:
            place = (np.asarray(times, np.float64) - first) / (last - first)
    return np.asarray(place - mean_flat)
