"""Centre of rotation from the phases of opposite views: correlation in Fourier space."""

import numpy as np

from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights
from deltamu.recon.preprocess.center_pairs import extrapolate, opposite_pairs

ERROR_PX = 0.15
# cycles per pixel beyond which noise has more to say than the object
HIGHEST_FREQUENCY = 0.15
UPSAMPLING = 8


def centers_from_phases(heights: Heights) -> HeightCenters:
    """Find the shift between a view and its mirrored opposite by phase correlation.

    Every frequency has one vote, whatever its strength, so that edges decide and slow variations of the beam
    do not: C. D. Kuglin, D. C. Hines, Proc. IEEE Int. Conf. Cybernetics and Society (1975) 163.
    """
    first, second, missing = opposite_pairs(heights.angles)
    if not len(first):
        nothing = np.full(len(heights.rows), np.nan)
        return HeightCenters("phase correlation", nothing, np.zeros(len(heights.rows)), ERROR_PX)
    curves = _correlation(heights.sinograms[:, first], heights.sinograms[:, second])
    centers = np.arange(curves.shape[2]) / (2 * UPSAMPLING)
    inside = np.flatnonzero((centers >= heights.search[0]) & (centers <= heights.search[1]))
    found, sharpness = np.empty(len(curves)), np.empty(len(curves))
    for height, pairs in enumerate(curves[:, :, inside]):
        joint = pairs.mean(axis=0)
        best = int(np.argmax(joint))
        reach = slice(max(best - 6 * UPSAMPLING, 0), best + 6 * UPSAMPLING + 1)
        each = centers[inside[reach.start] + np.argmax(pairs[:, reach], axis=1)]
        found[height] = centers[inside[best]] if np.ptp(missing) < 1e-6 else extrapolate(missing, each)
        sharpness[height] = (joint[best] - np.median(joint)) / (joint.std() + 1e-30)
    return HeightCenters("phase correlation", found, sharpness**2, ERROR_PX)


def _correlation(views: Float, opposite: Float) -> Float:
    """Phase correlation over sums of mirrored columns in steps of 1 / UPSAMPLING, (height, pair, sum)."""
    columns = views.shape[-1]
    length = 2 * columns
    window = np.hanning(columns + 2)[1:-1]
    spectra = [np.fft.rfft((v - v.mean(axis=-1, keepdims=True)) * window, length) for v in (views, opposite)]
    # the mirror j -> s - j turns a correlation into a convolution
    cross = spectra[0] * spectra[1]
    frequency = np.arange(cross.shape[-1]) / length
    weight = np.exp(-0.5 * (frequency / HIGHEST_FREQUENCY) ** 2)
    return np.fft.irfft(cross / (np.abs(cross) + 1e-12) * weight, length * UPSAMPLING)
