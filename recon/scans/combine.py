"""Several frames of one view become one, without the gamma spots."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.scans.frames import Frames

# of 2.5 million pixels one exceeds this by chance on the bright side; a spot worth naming stands far above
OUTLIER_SIGMA = 5.5


def combine_frames(
    frames: NDArray[np.float32], *, method: str = "clipped", dark_level: float = 0.0
) -> Frames:
    """Combine repeated frames of one view.

    "clipped" is the mean of the values that are no gamma spots. A spot only adds light, so a value counts as
    one when it stands above the reference by more than 5.5 standard deviations; the reference is the lower of
    two frames, the median of three or more. The standard deviation is that of shot noise, scaled to the
    differences between the frames by their median absolute deviation.

    Parameters
    ----------
    frames : (frame, row, column) float32 array
        ADU; the same view several times.
    method : str
        "clipped", "median" or "mean".
    dark_level : float
        ADU without light: shot noise and dose are counted from there.

    Returns
    -------
    (row, column) float32 array
    """
    if frames.shape[0] == 1:
        return np.asarray(frames[0], np.float32)
    if method == "mean":
        return np.asarray(frames.mean(axis=0, dtype=np.float64), np.float32)
    equal = _equal_dose(frames, dark_level)
    if method == "median":
        return np.asarray(np.median(equal, axis=0), np.float32)
    return _clipped_mean(equal, dark_level)


def _equal_dose(frames: NDArray[np.float32], dark_level: float) -> Frames:
    """Scale frames to their common dose: a median over unequal ones would pick by dose, not by noise."""
    level = np.float32(dark_level)
    light = frames[0] - level
    bright = (light > 0) & (light >= np.median(light))
    if not np.any(bright):
        return frames
    dose = np.array([float(np.median((frame[bright] - level) / light[bright])) for frame in frames])
    if np.any(dose <= 0):
        return frames
    scale = (dose.mean() / dose).astype(np.float32)[:, None, None]
    return np.asarray((frames - level) * scale + level, np.float32)


def _clipped_mean(frames: Frames, dark_level: float) -> Frames:
    reference = frames.min(axis=0) if frames.shape[0] == 2 else np.median(frames, axis=0).astype(np.float32)
    light = np.maximum(reference - np.float32(dark_level), 0)
    # a hundredth of the typical light stands for the read noise where there is no light
    root = np.sqrt(light + np.float32(0.01) * max(float(np.median(light)), 1.0))
    kept = frames - reference <= OUTLIER_SIGMA * _noise(frames, root) * root
    total = np.sum(frames, axis=0, where=kept, dtype=np.float64)
    return np.asarray(total / np.sum(kept, axis=0), np.float32)


def _noise(frames: Frames, root: Frames) -> float:
    """Standard deviation of the difference of two frames, in units of the root of the light."""
    difference = (frames[1] - frames[0]) / root
    deviation = 1.4826 * float(np.median(np.abs(difference - np.median(difference))))
    # frames that are equal almost everywhere leave no measure of noise: allow one ADU
    return deviation if deviation > 0 else 1.0 / float(np.median(root))
