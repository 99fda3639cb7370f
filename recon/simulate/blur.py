"""From rays to pixels: aperture, detector spread and pixel area in one convolution of the transmission.

The kernel is the product of the three transfer functions; it is applied as a short sum of separable kernels
(singular value decomposition), straight to the pixels that are kept.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.simulate.presets import Beam, Preset

Array = NDArray[np.float32]
Float = NDArray[np.float64]

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
# what the separable terms may miss, relative to the sum of the kernel
_ACCURACY = 2e-4


@dataclass(frozen=True)
class PixelBlur:
    """Separable terms that turn fine rays into pixels.

    Attributes
    ----------
    rows, columns : (term, tap) arrays
        Taps over the rays of a pixel and `halo` further ones on each side.
    fine : int
        Rays per pixel.
    halo : int
    """

    rows: Array
    columns: Array
    fine: int
    halo: int

    def __call__(self, rays: Array) -> Array:
        """Average rays (…, row, column), halo included, to pixels."""
        result: Array | None = None
        for row_taps, column_taps in zip(self.rows, self.columns, strict=True):
            term = _thin(_thin(rays, row_taps, self.fine, -2), column_taps, self.fine, -1)
            result = term if result is None else np.add(result, term, out=result)
        assert result is not None
        return result


@cache
def pixel_blur(preset: Preset, beam: Beam) -> PixelBlur:
    """Work out the kernel of a detector in a beam (the part that acts before neutrons are counted)."""
    sigma_um = beam.neutron_fwhm_um / FWHM_PER_SIGMA
    reach_um = 4 * sigma_um + beam.aperture_blur_um / 2
    halo = int(np.ceil(reach_um / (preset.fine_mm * 1e3)))
    kernel = _kernel(preset, beam, halo)
    left, singular, right = np.linalg.svd(kernel)
    # a kernel of all-positive taps: keep terms until the rest is negligible
    rest = np.cumsum(singular[::-1])[::-1]
    terms = int(np.sum(rest > _ACCURACY * singular[0]))
    scale = np.sqrt(singular[:terms])[:, None]
    rows, columns = left.T[:terms] * scale, right[:terms] * scale
    total = float(np.sum(rows.sum(axis=1) * columns.sum(axis=1)))
    return PixelBlur((rows / total).astype(np.float32), columns.astype(np.float32), preset.fine, halo)


def _kernel(preset: Preset, beam: Beam, halo: int) -> Float:
    """Response of a pixel to rays around it, from the product of transfer functions on a fine, wide grid."""
    from scipy.special import j1

    over, taps = 4, preset.fine + 2 * halo
    step_um = preset.fine_mm * 1e3 / over
    n = 1 << int(np.ceil(np.log2(4 * taps * over)))
    f = np.fft.fftfreq(n, step_um)
    fy, fx = f[:, None], f[None, :]
    radial = np.hypot(fy, fx) * np.pi * beam.aperture_blur_um
    disc = np.where(radial > 1e-9, 2 * j1(radial) / np.maximum(radial, 1e-9), 1.0)
    sigma = beam.neutron_fwhm_um / FWHM_PER_SIGMA
    gauss = np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2))
    pixel_um = preset.pixel_size_mm * 1e3
    response = np.fft.ifft2(disc * gauss * np.sinc(fy * pixel_um) * np.sinc(fx * pixel_um)).real
    # rays lie at odd multiples of half a step when their number per pixel is even
    position = np.round((np.arange(taps) - (taps - 1) / 2) * over).astype(int) % n
    kernel = np.maximum(response[np.ix_(position, position)], 0)
    return np.asarray(kernel / kernel.sum())


def _thin(rays: Array, taps: Array, step: int, axis: int) -> Array:
    """Convolve along an axis and keep every `step`-th value."""
    size = (rays.shape[axis] - taps.size) // step + 1
    result: Array | None = None
    for tap, weight in enumerate(taps):
        part = slice(tap, tap + step * (size - 1) + 1, step)
        index = (..., part, slice(None)) if axis == -2 else (..., part)
        if result is None:
            result = rays[index] * weight
        else:
            result += rays[index] * weight
    assert result is not None
    return result


@cache
def light_kernel(preset: Preset, beam: Beam) -> Float:
    """Share of the light of a pixel that its neighbours along a line see.

    The discrete Gaussian of Lindeberg (IEEE PAMI 12, 1990): its variance is that of the light, whatever the
    size of a pixel.
    """
    from scipy.special import ive

    variance = (beam.light_fwhm_um / FWHM_PER_SIGMA / (preset.pixel_size_mm * 1e3)) ** 2
    reach = max(1, int(np.ceil(5 * np.sqrt(variance))))
    taps = ive(np.abs(np.arange(-reach, reach + 1)), variance)
    return np.asarray(taps / taps.sum())


def spread_light(image: Array, taps: Float) -> Array:
    """Spread (row, column) along both directions; nothing leaves over the edge."""
    from scipy.ndimage import correlate1d

    kernel = taps.astype(np.float32)
    along = correlate1d(image, kernel, axis=0, mode="nearest")
    return np.asarray(correlate1d(along, kernel, axis=1, mode="nearest"), np.float32)
