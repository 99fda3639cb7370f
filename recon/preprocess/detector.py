"""What darks and flats say about the detector: offset, open beam, bad pixels, noise."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.bad_pixels import find_bad_pixels, plan_repair
from deltamu.recon.preprocess.flat_drift import FlatDrift, find_flat_drift, view_shares
from deltamu.recon.preprocess.noise import (
    FLATS_NEEDED,
    NoiseModel,
    gain_drift_between,
    noise_from_flats,
    white_noise,
)
from deltamu.recon.preprocess.references import CombinedFrames, combine_darks, combine_flats, split_sets

Float32 = NDArray[np.float32]
MOST_BAD = 0.5


class ScanLike(Protocol):
    """What is used of a `deltamu.recon.scans.scan.Scan`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(angle, row, column)."""

    @property
    def flats(self) -> Float32:
        """(k, row, column)."""

    @property
    def darks(self) -> Float32:
        """(k, row, column)."""

    @property
    def flats_after(self) -> int | None:
        """Index of the first flat taken after the scan."""

    @property
    def exposure_s(self) -> Any:
        """Exposures of projections, flats and darks, or None."""

    def read(self, start: int, stop: int) -> Float32:
        """Raw frames, (n, row, column)."""


@dataclass(frozen=True)
class Detector:
    """A detector in its beam.

    Attributes
    ----------
    dark, flat : (row, column) float32 arrays
        ADU; the flat is dark-corrected, at the exposure of a projection, and interpolated over bad pixels.
    flat_frames : float
        Open-beam frames behind the flat, counted in exposures of a projection.
    bad_pixels : (row, column) bool array
    flat_drift : FlatDrift or None
        How the shape of the beam changes from the flats before the scan to those after it.
    noise : NoiseModel or None
        None when neither flats nor the user say how noisy a count is.
    """

    dark: Float32
    flat: Float32
    flat_frames: float
    bad_pixels: NDArray[np.bool_]
    noise: NoiseModel | None
    flat_drift: FlatDrift | None = None


def measure_detector(scan: ScanLike, *, threshold: float | None, counts_per_adu: float | None) -> Detector:
    """Combine darks and flats, find bad pixels and measure the noise.

    Parameters
    ----------
    scan : Scan
    threshold : float or None
        Spots stand so many standard deviations out; None leaves them in.
    counts_per_adu : float or None
        Effective counts per ADU, when known.

    Raises
    ------
    InputError
        If there are no flats, they are no brighter than the darks, or most pixels are bad.
    """
    if scan.flats is None or len(scan.flats) == 0:
        raise InputError("flats: none found; expected at least one open-beam frame (scan option `flats`)")
    dark = combine_darks(_dark_frames(scan), threshold=threshold)
    flat = combine_flats(np.asarray(scan.flats, np.float32), dark.mean, threshold=threshold)
    bad = find_bad_pixels(flat.mean, dark.mean, flat.frames, dark.frames)
    if bad.mean() > MOST_BAD:
        raise InputError(f"flats: {100 * bad.mean():.0f} % of the pixels are dead or hot; expected open beam")
    ratio = _exposure_ratio(scan)
    repaired = flat.mean[None].copy()
    plan_repair(bad).apply(repaired)
    noise = _noise(scan, flat, dark, bad, counts_per_adu)
    sets = split_sets(flat.frames, scan.flats_after)
    drift = find_flat_drift(sets, bad, view_shares(scan, sets))
    return Detector(dark.mean, repaired[0] * np.float32(ratio), len(flat.frames) / ratio, bad, noise, drift)


def _noise(
    scan: ScanLike,
    flat: CombinedFrames,
    dark: CombinedFrames,
    bad: NDArray[np.bool_],
    counts_per_adu: float | None,
) -> NoiseModel | None:
    sets = split_sets(flat.frames, scan.flats_after)
    good = ~bad
    drift = gain_drift_between(sets[0], sets[1], flat.mean, good) if len(sets) == 2 else 0.0
    read = _read_variance(dark, good)
    if max(len(frames) for frames in sets) < FLATS_NEEDED:
        if counts_per_adu is None:
            return None
        return white_noise(1 / counts_per_adu, read_variance=read, gain_drift=drift, origin="given")
    measured = noise_from_flats(sets, flat.mean, good, read_variance=read)
    if counts_per_adu is None:
        return NoiseModel(measured.adu_per_count, read, measured.autocorrelation, drift, "flats")
    return NoiseModel(1 / counts_per_adu, read, measured.autocorrelation, drift, "given")


def _read_variance(dark: CombinedFrames, good: NDArray[np.bool_]) -> float:
    if len(dark.frames) < 2:
        return 0.0
    scatter = np.var(dark.frames, axis=0, ddof=1, dtype=np.float64)[good]
    # a few unstable pixels must not speak for all: the mean without the highest per cent
    return float(np.mean(scatter[scatter <= np.quantile(scatter, 0.99)]))


def _dark_frames(scan: ScanLike) -> Float32:
    darks = np.asarray(scan.darks, np.float32)
    return darks if len(darks) else np.zeros((1, *scan.shape[1:]), np.float32)


def _exposure_ratio(scan: ScanLike) -> float:
    """Exposure of a projection over that of a flat; 1 when unknown."""
    exposure = scan.exposure_s
    if not exposure or not exposure.get("flats") or not exposure.get("projections"):
        return 1.0
    return float(exposure["projections"]) / float(exposure["flats"])
