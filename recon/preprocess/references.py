"""Dark and open-beam frames: cleaned of spots, combined, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.spots import fill_flagged, find_spots, local_median
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.spots import spot_variance

Float32 = NDArray[np.float32]
CLIP_SIGMA = 5.0
# below this many frames a median over frames says nothing about a single one
FRAMES_FOR_CLIPPING = 4


@dataclass(frozen=True)
class CombinedFrames:
    """Frames of the same thing and their mean.

    Attributes
    ----------
    mean : (row, column) float32 array
        ADU. Gamma spots are replaced in each frame, and values more than five standard deviations from the
        median over frames left out, so the variance is that of a mean (a median's would be up to π/2 times
        that).
    frames : (k, row, column) float32 array
        Cleaned, and scaled to one mean where they show the beam.
    spots_fraction : float
    """

    mean: Float32
    frames: Float32
    spots_fraction: float


def combine_darks(darks: Float32, *, threshold: float | None) -> CombinedFrames:
    """Combine frames without beam; `threshold` None leaves spots in."""
    middle = np.median(darks, axis=0) if len(darks) > 2 else local_median(darks[0], size=5)
    clean, fraction = _clean(darks - middle, threshold)
    clean += middle
    return CombinedFrames(_clipped_mean(clean), clean, fraction)


def combine_flats(flats: Float32, dark: Float32, *, threshold: float | None) -> CombinedFrames:
    """Combine open-beam frames, dark-corrected, each scaled to the mean dose of all.

    Raises
    ------
    InputError
        If the flats are empty, dark, or no brighter than the darks.
    """
    signal = np.asarray(flats - dark, np.float32)
    levels = np.median(signal, axis=(1, 2))
    _check_levels(levels, flats, dark)
    scale = levels / levels.mean()
    signal /= scale[:, None, None].astype(np.float32)
    # a smooth shape to compare with: spots must not hide in it
    middle = np.median(signal, axis=0) if len(flats) > 2 else local_median(signal[0], size=5)
    shape = np.maximum(middle, 0.05 * np.float32(levels.mean())).astype(np.float32)
    signal /= shape
    clean, fraction = _clean(signal, threshold)
    clean *= shape
    return CombinedFrames(_clipped_mean(clean), clean, fraction)


def split_sets(frames: Float32, first_after: int | None) -> Sequence[Float32]:
    """Split flats into those before and those after the scan."""
    if first_after is None or not 0 < first_after < len(frames):
        return (frames,)
    return (frames[:first_after], frames[first_after:])


def _clean(frames: NDArray[np.floating], threshold: float | None) -> tuple[Float32, float]:
    """Replace spots; works on the frames themselves where they can hold the result."""
    clean = np.ascontiguousarray(frames, np.float32)
    if threshold is None:
        return clean, 0.0
    mask = find_spots(clean, spot_variance(clean), threshold=threshold)
    fill_flagged(clean, mask)
    return clean, float(mask.mean())


def _clipped_mean(frames: Float32) -> Float32:
    if len(frames) < FRAMES_FOR_CLIPPING:
        return np.asarray(frames.mean(axis=0, dtype=np.float64), np.float32)
    middle = np.median(frames, axis=0)
    distance = np.abs(frames - middle)
    # noise follows the root of the level; in darks, where the level is about zero, it is the same everywhere
    scale = np.sqrt(np.maximum(middle / max(float(np.median(middle)), 1e-6), 0.1))
    sigma = (
        1.4826 * np.median(distance / scale, overwrite_input=True) * np.sqrt(len(frames) / (len(frames) - 1))
    )
    keep = distance <= max(CLIP_SIGMA * float(sigma), 1e-3) * scale
    total = np.sum(frames, axis=0, dtype=np.float64, where=keep)
    count = np.count_nonzero(keep, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), middle).astype(np.float32)


def _check_levels(levels: NDArray[np.floating], flats: Float32, dark: Float32) -> None:
    if not np.all(np.isfinite(levels)):
        raise InputError("flats: found values that are not finite; expected detector counts")
    if np.median(flats) == 0:
        raise InputError(
            "flats: all zero; expected open-beam frames (check the file or dataset of the flats)"
        )
    worst = int(np.argmin(levels))
    if levels[worst] <= 0:
        raise InputError(
            f"flats: frame {worst} has a median of {np.median(flats[worst]):.6g}, not brighter than the "
            f"darks ({np.median(dark):.6g}); expected open beam > dark: are flats and darks swapped?"
        )
