"""Centre of rotation from the double wedge: what a full turn's sinogram cannot contain."""

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights, half_turn, refine_minimum

ERROR_PX = 0.15
STEPS_PER_PIXEL = 8
# the slow variations along a view hold little about its position, and the ends of the detector sit there
LOWEST_FREQUENCY = 1 / 64
TAPER_FRACTION = 0.08


def centers_from_wedge(heights: Heights) -> HeightCenters:
    """Complete half a turn by its mirror image; the right mirror puts least energy outside the double wedge.

    Source: N. T. Vo et al., Optics Express 22 (2014) 19078, with the energy written as a Fourier series in
    the centre, so that all centres are tried at once.
    """
    chosen = half_turn(heights.angles)
    uniform = _on_even_angles(heights.sinograms[:, chosen], heights.angles[chosen])
    curves = np.stack([_outside_energy(sinogram) for sinogram in uniform])
    centers = np.arange(curves.shape[1]) / (2 * STEPS_PER_PIXEL)
    inside = np.flatnonzero((centers >= heights.search[0]) & (centers <= heights.search[1]))
    found = np.full(len(curves), np.nan)
    depth = np.zeros(len(curves))
    for height, curve in enumerate(curves[:, inside]):
        best = int(np.argmin(curve))
        found[height] = centers[inside[0]] + refine_minimum(curve, best) / (2 * STEPS_PER_PIXEL)
        depth[height] = (np.median(curve) - curve[best]) / (
            np.median(np.abs(curve - np.median(curve))) + 1e-30
        )
    return HeightCenters("double wedge", found, depth**2, ERROR_PX)


def _on_even_angles(sinograms: Float, angles: Float) -> Float:
    """Interpolate views linearly to evenly spaced angles over the half turn; return them where they are."""
    turned = np.mod(angles - angles[0], 2 * np.pi)
    even = np.arange(len(angles)) * np.pi / len(angles)
    if np.allclose(turned, even, atol=1e-3 / len(angles)):
        return sinograms
    right = np.clip(np.searchsorted(turned, even), 1, len(angles) - 1)
    share = np.clip((even - turned[right - 1]) / (turned[right] - turned[right - 1]), 0, 1)[None, :, None]
    return np.asarray((1 - share) * sinograms[:, right - 1] + share * sinograms[:, right])


def _outside_energy(sinogram: Float) -> Float:
    """Energy outside the double wedge for centres at multiples of 1 / (2 steps) columns, up to a constant."""
    views, columns = sinogram.shape
    padded = 2 * columns
    tapered = (sinogram - sinogram[:, [0, -1]].mean()) * _taper(columns)
    along_view = np.fft.rfft(tapered, padded, axis=1)
    half = np.fft.fft(along_view, 2 * views, axis=0)
    # the mirrored half: conjugated along the view, and half a turn later
    opposite = np.roll(half[::-1], 1, axis=0).conj()
    opposite[1::2] *= -1
    cross = np.where(_outside(views, padded, columns), half.conj() * opposite, 0).sum(axis=0)
    # energy(c) = Σ_k 2 Re[cross_k exp(-2πi k 2c / padded)]: conjugated, an inverse transform over s = 2c
    return np.fft.irfft(cross.conj(), padded * STEPS_PER_PIXEL)[: 2 * columns * STEPS_PER_PIXEL]


def _outside(views: int, padded: int, columns: int) -> NDArray[np.bool_]:
    order = np.abs(np.fft.fftfreq(2 * views, 1 / (2 * views)))[:, None]
    frequency = (np.arange(padded // 2 + 1) / padded)[None, :]
    # a point at radius r writes harmonics up to 2π r frequency; nothing lies farther out than half the
    # detector
    wedge = np.pi * columns * frequency + 2
    return np.asarray((order > wedge) & (frequency >= LOWEST_FREQUENCY))


def _taper(columns: int) -> Float:
    width = max(int(TAPER_FRACTION * columns), 1)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(width) + 0.5) / width)
    return np.concatenate([ramp, np.ones(columns - 2 * width), ramp[::-1]])
