"""The wide tail of the line spread: light and neutrons that arrive millimetres away, seen by no black body.

The image of a point is (1 − f) of a narrow core and f of a wide Gaussian. Only the wide part is undone: its
transfer function never falls below 1 − f, so that dividing by it amplifies noise by little.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize, special

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.noise import NoiseModel

Float = NDArray[np.float64]

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
# where a Gaussian has ended
REACH_SIGMAS = 4.0
LARGEST_FRACTION = 0.5
# the slanted edge is sampled so many times per pixel
OVERSAMPLING = 4


@dataclass(frozen=True)
class LineSpreadTail:
    """Share and width of the wide part of the image of a point.

    Attributes
    ----------
    fraction : float
    fwhm_px : float
        Full width at half maximum of its Gaussian, pixels.
    """

    fraction: float
    fwhm_px: float

    def __post_init__(self) -> None:
        if not 0 <= self.fraction < LARGEST_FRACTION:
            raise InputError(
                f"tail_fraction: found {self.fraction}, expected 0 to below {LARGEST_FRACTION:g}"
            )
        if not (np.isfinite(self.fwhm_px) and self.fwhm_px > 0):
            raise InputError(f"tail_fwhm: found {self.fwhm_px} pixels, expected a positive width")

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the Gaussian."""
        result: float = self.fwhm_px / FWHM_PER_SIGMA
        return result

    def transfer(self, row_frequency: Any, column_frequency: Any) -> Any:
        """Modulation transfer of the tail and a sharp core at frequencies in cycles per pixel."""
        xp = array_module(row_frequency)
        squared = row_frequency**2 + column_frequency**2
        return 1 - self.fraction + self.fraction * xp.exp(-2 * (np.pi * self.sigma_px) ** 2 * squared)


@dataclass(frozen=True)
class EdgeFit:
    """What an edge says about the line spread.

    Attributes
    ----------
    tail : LineSpreadTail
    core_fwhm_px : float
    position, positions : float, (n,) array
        Of the edge; where it was sampled.
    measured, fitted : (n,) arrays
        Transmission along the normal of the edge.
    """

    tail: LineSpreadTail
    core_fwhm_px: float
    position: float
    positions: Float
    measured: Float
    fitted: Float


def remove_tail(transmission: Any, tail: LineSpreadTail) -> Any:
    """Deconvolve transmission, not its logarithm, from the wide tail of the line spread.

    Parameters
    ----------
    transmission : (..., row, column) array
        numpy or cupy; continued beyond its border by its edge.
    tail : LineSpreadTail

    Returns
    -------
    float32 array of the same shape
    """
    xp = array_module(transmission)
    transform = fft if xp is np else xp.fft
    frames = xp.asarray(transmission, np.float32)
    pad = int(np.ceil(REACH_SIGMAS * tail.sigma_px))
    shape = tuple(fft.next_fast_len(n + 2 * pad, real=True) for n in frames.shape[-2:])
    after = [size - n - pad for size, n in zip(shape, frames.shape[-2:], strict=True)]
    widths = [(0, 0)] * (frames.ndim - 2) + [(pad, end) for end in after]
    spectrum = transform.rfft2(xp.pad(frames, widths, mode="edge"))
    # what the tail took away only: rounding is then a small part of it, also where the sample is nearly opaque
    spectrum *= (1 / tail.transfer(xp.fft.fftfreq(shape[0])[:, None], xp.fft.rfftfreq(shape[1])) - 1).astype(
        np.float32
    )
    lost = transform.irfft2(spectrum, s=shape)
    rows, columns = frames.shape[-2:]
    sharp = frames + lost[..., pad : pad + rows, pad : pad + columns]
    return xp.ascontiguousarray(sharp, dtype=np.float32)


def noise_without_tail(noise: NoiseModel, tail: LineSpreadTail) -> NoiseModel:
    """Noise of frames whose tail was removed: pixels are noisier, large areas as before."""
    radius = noise.autocorrelation.shape[0] // 2 + int(np.ceil(2.5 * tail.sigma_px))
    size = 4 * radius + 1
    padded = np.zeros((size, size))
    inner = noise.autocorrelation.shape[0]
    padded[:inner, :inner] = noise.autocorrelation
    padded = np.roll(padded, (-(inner // 2), -(inner // 2)), (0, 1))
    transfer = tail.transfer(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    sharper = np.fft.irfft2(np.fft.rfft2(padded) / transfer**2, s=(size, size))
    kernel = np.roll(sharper, (radius, radius), (0, 1))[: 2 * radius + 1, : 2 * radius + 1].copy()
    kernel += (1 - kernel.sum()) / kernel.size
    return NoiseModel(noise.adu_per_count, noise.read_variance, kernel, noise.gain_drift, noise.origin)


def measure_tail(transmission: NDArray[np.floating]) -> EdgeFit:
    """Fit core and tail of the line spread to an image of a straight, sharp, opaque or thin edge.

    The edge is located in every row (or column), a straight line laid through, and the pixels sampled by
    their distance from it: a slant of a few degrees samples the edge finer than pixels do. The tail reaches
    far: give an area of several of its widths on either side.

    Parameters
    ----------
    transmission : (row, column) array
        Free of scattered background, one edge in it.

    Raises
    ------
    InputError
        If there is no edge, or the fit finds none of the stated form.

    References
    ----------
    ISO 12233, slanted edge; E. Samei et al., Med. Phys. 25 (1998) 102.
    """
    image = np.asarray(transmission, np.float64)
    if image.ndim != 2 or min(image.shape) < 16 or not np.all(np.isfinite(image)):
        raise InputError(
            f"transmission: found shape {image.shape}, expected a finite image of 16 x 16 at least"
        )
    across = np.abs(np.diff(image, axis=1)).mean(), np.abs(np.diff(image, axis=0)).mean()
    profile_image = image if across[0] >= across[1] else image.T
    positions, measured = _sampled_edge(profile_image)
    return _fit_edge(positions, measured)


def _sampled_edge(image: Float) -> tuple[Float, Float]:
    """Distances from the edge, in order, and the transmission there."""
    rows, columns = image.shape
    sides = image[:, : columns // 8].mean(), image[:, -(columns // 8) :].mean()
    if abs(sides[1] - sides[0]) < 0.05:
        raise InputError(
            f"transmission: {sides[0]:.3g} and {sides[1]:.3g} at the two sides; expected an edge"
        )
    share = np.clip((image - sides[0]) / (sides[1] - sides[0]), -0.2, 1.2)
    # the first moment of the step: where the same area would be filled by a sharp edge
    where = columns - share.sum(axis=1) - 0.5
    slope, start = np.polyfit(np.arange(rows), where, 1)
    distance = (np.arange(columns) - (start + slope * np.arange(rows)[:, None])) / np.hypot(1, slope)
    bins = np.round(distance * OVERSAMPLING).astype(int)
    values, places, counts = (
        np.bincount((bins - bins.min()).ravel(), weights)
        for weights in (image.ravel(), distance.ravel(), None)
    )
    full = counts >= max(2, rows // (4 * OVERSAMPLING))
    return places[full] / counts[full], values[full] / counts[full]


def _fit_edge(positions: Float, measured: Float) -> EdgeFit:
    low, high = measured[: len(measured) // 8].mean(), measured[-(len(measured) // 8) :].mean()

    def model(parameters: Float) -> Float:
        first, last, at, core, fraction, wide = parameters
        step = (1 - fraction) * special.ndtr((positions - at) / core)
        step = step + fraction * special.ndtr((positions - at) / wide)
        return np.asarray(first + (last - first) * step)

    reach = float(np.ptp(positions))
    found = optimize.least_squares(
        lambda p: model(p) - measured,
        [low, high, 0.0, 1.0, 0.05, reach / 12],
        bounds=([-1, -1, -5, 0.05, 0, 1.5], [2, 2, 5, reach / 8, LARGEST_FRACTION * 0.99, reach / 3]),
        x_scale=[1, 1, 1, 1, 0.05, reach / 12],
    )
    if not found.success:
        raise InputError(f"transmission: no edge of the expected form ({found.message})")
    _, _, at, core, fraction, wide = found.x
    tail = LineSpreadTail(float(fraction), float(wide * FWHM_PER_SIGMA))
    return EdgeFit(tail, float(core * FWHM_PER_SIGMA), float(at), positions, measured, model(found.x))
