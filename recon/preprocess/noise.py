"""How noisy a detected pixel is: from a given number, from repeated flats, or roughly from the views."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from deltamu.recon.errors import InputError

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]
Origin = Literal["given", "flats", "views"]

LARGEST_RADIUS = 5
FLATS_NEEDED = 5


@dataclass(frozen=True)
class NoiseModel:
    """Variance of a frame: adu_per_count · signal over large areas, spread over lags by `autocorrelation`.

    Attributes
    ----------
    adu_per_count : float
        Variance over mean of the dark-corrected signal in the limit of large areas, ADU: the gain times the
        excess factor of the scintillator. Signal / adu_per_count are the effective counts.
    read_variance : float
        Variance of a pixel without light, ADU².
    autocorrelation : (2r+1, 2r+1) array
        Covariance of pixel noise over lags (row, column), summing to 1; the middle is the variance of a pixel
        as a fraction of the large-area limit.
    gain_drift : float
        Relative change of a pixel's gain between the mean flat and the scan, standard deviation.
    origin : {"given", "flats", "views"}
    """

    adu_per_count: float
    read_variance: float
    autocorrelation: Float
    gain_drift: float
    origin: Origin

    def __post_init__(self) -> None:
        kernel = np.asarray(self.autocorrelation, float)
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] % 2 == 0:
            raise InputError(f"autocorrelation: found shape {kernel.shape}, expected (2r+1, 2r+1)")
        if not abs(float(kernel.sum()) - 1) < 1e-6:
            raise InputError(f"autocorrelation: sums to {kernel.sum():.6g}, expected 1")
        if not (np.isfinite(self.adu_per_count) and self.adu_per_count > 0):
            raise InputError(f"adu_per_count: found {self.adu_per_count}, expected a positive number")
        for name in ("read_variance", "gain_drift"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: found {getattr(self, name)}, expected zero or more")
        object.__setattr__(self, "autocorrelation", kernel)

    @property
    def pixel_fraction(self) -> float:
        """Variance of one pixel over the large-area limit."""
        middle = self.autocorrelation.shape[0] // 2
        return float(self.autocorrelation[middle, middle])


def log_bias(counts: NDArray[np.floating] | float) -> Float:
    """Mean of −ln(N / mean N) for Poisson counts: 1/(2N) + 5/(12N²), to second order.

    Parameters
    ----------
    counts : array or float
        Mean number of effective counts, at least about 10 (the expansion is asymptotic).

    Raises
    ------
    InputError
        If a count is not positive.
    """
    mean = np.asarray(counts, float)
    if mean.size and not np.min(mean) > 0:
        raise InputError(f"counts: found {np.min(mean)}, expected positive numbers (average before the log)")
    return np.asarray(1 / (2 * mean) + 5 / (12 * mean**2))


def white_noise(
    adu_per_count: float, *, read_variance: float, gain_drift: float, origin: Origin
) -> NoiseModel:
    """Build a model without correlation between pixels."""
    return NoiseModel(adu_per_count, read_variance, np.ones((1, 1)), gain_drift, origin)


def noise_from_flats(
    sets: Sequence[Float32], level: Float32, good: NDArray[np.bool_], *, read_variance: float
) -> NoiseModel:
    """Measure the noise on repeated open-beam frames.

    Variance against mean in the limit of large areas is the sum of the autocovariance of the pixel noise over
    all lags, because light that spreads in the scintillator correlates neighbours. Shells of lags are added
    until one is no longer significant. Slow changes of the beam's shape are removed from each frame first.

    Parameters
    ----------
    sets : sequence of (k, row, column) arrays
        Frames of the same beam, free of spots, dark-corrected, scaled to one mean; gains may differ between
        sets.
    level : (row, column) array
        Their mean, ADU.
    good : (row, column) bool array
    read_variance : float
        ADU².

    Raises
    ------
    InputError
        If no set holds two frames, or they do not vary.
    """
    repeated = [frames for frames in sets if len(frames) > 1]
    if not repeated:
        raise InputError(
            "flats: found no two frames to compare; expected repeated flats, or give counts_per_adu"
        )
    scatter = np.concatenate([_scatter(frames, level, good) for frames in repeated])
    covariance = _autocovariance(scatter, good)
    middle = covariance.shape[0] // 2
    # read noise does not correlate: it sits on lag zero only
    covariance[middle, middle] -= read_variance * float(np.mean(1 / level[good]))
    total = float(covariance.sum())
    if not total > 0:
        raise InputError("flats: the frames do not vary; expected repeated exposures, or give counts_per_adu")
    lost = covariance.size * _POLYNOMIAL_TERMS / np.count_nonzero(good)
    return NoiseModel(total * (1 + lost), read_variance, covariance / total, 0.0, "flats")


def gain_drift_between(before: Float32, after: Float32, level: Float32, good: NDArray[np.bool_]) -> float:
    """Estimate how far the gains of the mean flat are from those of the scan in between.

    Gains walk randomly from before to during to after; the mean of before and after then differs from the
    scan by a quarter of the variance of after − before, in which counting noise is subtracted.

    Parameters
    ----------
    before, after : (k, row, column) arrays
        As in `noise_from_flats`.
    """
    if len(before) < 2 or len(after) < 2:
        return 0.0
    mean = [frames.mean(axis=0, dtype=np.float64) for frames in (before, after)]
    # a dead pixel has no level and no part in this
    change = _without_trend((mean[1] - mean[0])[None], good)[0] / np.where(good, level, 1)
    inside = good & (np.abs(change) < 5 * 1.4826 * np.median(np.abs(change[good])))
    counting = sum(
        float(np.mean((_scatter(frames, level, good) ** 2)[:, inside] / level[inside])) / len(frames)
        for frames in (before, after)
    )
    return float(np.sqrt(max(np.var(change[inside]) - counting, 0.0) / 4))


_POLYNOMIAL_TERMS = 6


def _scatter(frames: Float32, level: Float32, good: NDArray[np.bool_]) -> Float:
    """Deviations from the mean of the set, scaled so that counting noise has one variance everywhere."""
    k = len(frames)
    deviation = (frames - frames.mean(axis=0, dtype=np.float64)) * np.sqrt(k / (k - 1))
    scaled = _without_trend(deviation, good) / np.sqrt(np.where(good, level, 1))
    return np.asarray(scaled * good)


def _without_trend(frames: Float, good: NDArray[np.bool_]) -> Float:
    """Take a quadratic surface out of each frame."""
    rows, columns = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in good.shape)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    basis = terms[good]
    coefficients = np.linalg.lstsq(basis.T @ basis, basis.T @ frames[:, good].T, rcond=None)[0]
    return np.asarray(frames - (terms @ coefficients).transpose(2, 0, 1))


def _autocovariance(scatter: Float, good: NDArray[np.bool_]) -> Float:
    """Covariance over lags within the radius up to which it is significant."""
    samples = scatter.shape[0] * np.count_nonzero(good)
    largest = min(LARGEST_RADIUS, (min(good.shape) - 1) // 2)
    covariance = _covariance_of_lags(scatter, good, largest)
    rows, columns = np.indices(covariance.shape) - largest
    distance = np.maximum(np.abs(rows), np.abs(columns))
    for radius in range(2, largest + 1):
        shell = covariance[distance == radius]
        # the standard error of a lag is the variance over the root of the samples; mirrored lags are one
        # number
        error = np.sqrt(2 * shell.size / samples) * float(covariance[distance < radius].sum())
        if abs(float(shell.sum())) < 3 * error:
            return _middle(covariance, radius - 1)
    return covariance


def _covariance_of_lags(scatter: Float, good: NDArray[np.bool_], largest: int) -> Float:
    """Mean product of pixels (row, column) apart, by the power spectrum of the padded frames."""
    padded = [next_fast_len(n + largest, real=True) for n in good.shape]
    power = sum(np.abs(rfft2(frame, padded)) ** 2 for frame in scatter)
    products = irfft2(power, padded)
    pairs = irfft2(np.abs(rfft2(good.astype(float), padded)) ** 2, padded) * len(scatter)
    rows, columns = (np.arange(-largest, largest + 1) % n for n in padded)
    lags = np.ix_(rows, columns)
    return np.asarray(products[lags] / np.maximum(pairs[lags], 1))


def _middle(square: Float, radius: int) -> Float:
    largest = square.shape[0] // 2
    inner = slice(largest - radius, largest + radius + 1)
    return square[inner, inner].copy()
