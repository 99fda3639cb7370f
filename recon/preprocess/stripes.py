"""Stripes in sinograms, which become rings: detected against the predicted noise, and removed."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module, to_host
from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.gain_pattern import gain_pattern
from deltamu.recon.preprocess.stripe_filters import DEFAULT_SIZES, StripeMethod, filter_rows

Float32 = NDArray[np.float32]
StripeMode = Literal["auto", "on", "off"]

# a ring pattern this many times stronger (in variance) than the open beam's noise is not noise
VARIANCE_RATIO = 3.0
STRONG_SIGMA = 8.0
STRONG_FRACTION = 1e-2


@dataclass(frozen=True)
class StripeReport:
    """How the fixed pattern of the columns compares with what noise predicts.

    Attributes
    ----------
    detected : bool
    variance_ratio : float
        Variance of the pattern from pixel to pixel (robust) over the predicted one.
    strong_fraction : float
        Pixels of a row, in the median over rows, that stand eight predicted standard deviations out of their
        surroundings. The corners of a coaxial body stand out as much, in the few rows where a layer ends.
    """

    detected: bool
    variance_ratio: float
    strong_fraction: float


def detect_stripes(
    sinograms: Float32,
    *,
    open_beam_variance: Float32 | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> StripeReport:
    """Decide whether rings stand above the noise of the open beam.

    The pattern is the mean over angles. A gain error changes from pixel to pixel, both along the row and from
    row to row; edges of a body of revolution, which also stay at their column, continue over rows. So each
    pixel is compared across rows and across columns at once (where there is one row only, across columns).

    Parameters
    ----------
    sinograms : (angle, row, column) array
        Line integrals.
    open_beam_variance : (row, column) array, optional
        Predicted variance that is the same in every view, large-area limit. Without it the noise of the views
        over the number of views is the prediction.
    autocorrelation : (2r+1, 2r+1) array, optional
        Of pixel noise; without it neighbours are taken to be independent.
    """
    scores = stripe_scores(sinograms, open_beam_variance=open_beam_variance, autocorrelation=autocorrelation)
    return judge_stripes(scores)


def stripe_scores(
    sinograms: Float32,
    *,
    open_beam_variance: Float32 | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> Float32:
    """Contrast of the fixed pattern over its predicted standard deviation, for rows that are read in parts.

    Parameters
    ----------
    sinograms, open_beam_variance, autocorrelation
        As for `detect_stripes`.

    Returns
    -------
    (row, column) float32 array
        Two rows and columns shorter at every side (no rows shorter where there are fewer than five).
    """
    pattern = _contrast(sinograms.mean(axis=0, dtype=np.float64))
    predicted = _contrast_variance(sinograms, open_beam_variance, autocorrelation)
    return (pattern / np.sqrt(predicted)).astype(np.float32)


def judge_stripes(scores: Float32) -> StripeReport:
    """Decide on the scores of all rows together: what a filter does must not change from row to row."""
    ratio = (1.4826 * float(np.median(np.abs(scores)))) ** 2
    strong = np.abs(scores) > STRONG_SIGMA * max(1.0, np.sqrt(ratio))
    fraction = float(np.median(strong.mean(axis=1)))
    return StripeReport(bool(ratio > VARIANCE_RATIO or fraction > STRONG_FRACTION), ratio, fraction)


def remove_stripes(
    sinograms: Float32,
    *,
    method: StripeMethod = "gains",
    mode: StripeMode = "on",
    size: int | None = None,
    open_beam_variance: Float32 | None = None,
    autocorrelation: NDArray[np.floating] | None = None,
) -> Float32:
    """Remove stripes from sinograms.

    Every method also flattens what truly stays at its column (edges of a body that is coaxial with the
    rotation), so mode "auto" filters only where `detect_stripes` finds rings; `audit_stripes` says how much of
    what was removed belongs to the object.

    Parameters
    ----------
    sinograms : (angle, row, column) array
        numpy; or cupy, for all methods but "wavelet": they stay there, the mean over the angles that "gains" looks at
        goes to the host.
    method : {"gains", "sorting", "large", "dead", "all", "wavelet"}
        "gains": errors of single pixels that are the same in every view, found in the mean over the angles beside the
        columns and the rows around (`deltamu.recon.preprocess.gain_pattern`). The others of
        `deltamu.recon.preprocess.stripe_filters` look at one row: small stripes; wide ones; columns that do not respond
        or fluctuate; the last three after one another; the wavelet-Fourier filter.
    mode : {"on", "auto", "off"}
    size : int, optional
        Width of the median in columns, odd ("wavelet": width of the damping in frequencies); by default 21 for
        "gains", "sorting" and "all", 51 for "large" and "dead", 1 for "wavelet".
    open_beam_variance, autocorrelation : optional
        For `detect_stripes`.

    Returns
    -------
    (angle, row, column) float32 array; the input itself where nothing was done

    Raises
    ------
    InputError
        If an option is unknown or the array is not three-dimensional.
    """
    if sinograms.ndim != 3:
        raise InputError(f"sinograms: found {sinograms.ndim} dimensions, expected (angle, row, column)")
    if method not in DEFAULT_SIZES or mode not in ("on", "auto", "off"):
        raise InputError(
            f"stripes: found {method!r}, mode {mode!r}; expected one of {', '.join(DEFAULT_SIZES)} with 'on', "
            "'auto' or 'off'"
        )
    width = DEFAULT_SIZES[method] if size is None else size
    if width < 1 or (method != "wavelet" and (width < 3 or width % 2 == 0)):
        raise InputError(f"size: found {width}, expected an odd number of columns above 2")
    if mode == "off":
        return sinograms
    if mode == "auto":
        report = detect_stripes(
            sinograms, open_beam_variance=open_beam_variance, autocorrelation=autocorrelation
        )
        if not report.detected:
            return sinograms
    xp = array_module(sinograms)
    if method == "gains":
        pattern = gain_pattern(to_host(sinograms.mean(axis=0, dtype=np.float64)), window=width)
        result: Float32 = xp.asarray(sinograms, np.float32) - xp.asarray(pattern)
        return result
    return filter_rows(xp.asarray(sinograms, np.float32), method, width)


def _contrast(pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compare each pixel with its neighbours two columns away, and that with two rows away."""
    across = pattern[:, 2:-2] - 0.5 * (pattern[:, :-4] + pattern[:, 4:])
    return across[2:-2] - 0.5 * (across[:-4] + across[4:]) if len(across) > 4 else across


def _contrast_variance(
    sinograms: Float32, open_beam: Float32 | None, autocorrelation: NDArray[np.floating] | None
) -> NDArray[np.float64]:
    """Predict the variance of `_contrast` by noise."""
    xp = array_module(sinograms)
    fixed = xp.zeros(sinograms.shape[1:]) if open_beam is None else xp.asarray(open_beam, np.float64)
    one = np.ones((1, 1)) if autocorrelation is None else np.asarray(autocorrelation, float)
    taps = np.array([-0.5, 0, 1, 0, -0.5])
    weights = np.outer(taps, taps) if sinograms.shape[1] > 4 else taps[None]
    fixed = fixed * _quadratic_form(weights, one)
    trimmed = fixed[2:-2, 2:-2] if sinograms.shape[1] > 4 else fixed[:, 2:-2]
    predicted: NDArray[np.float64] = np.maximum(trimmed + _view_noise(sinograms), 1e-12)
    return predicted


def _view_noise(sinograms: Float32) -> NDArray[np.float64]:
    """Variance of `_contrast` from what changes from view to view, measured on differences of views."""
    xp = array_module(sinograms)
    step = max(1, len(sinograms) // 64)
    even = sinograms[: len(sinograms) // 2 * 2]
    pairs = (even[0::2] - even[1::2])[::step]
    if not len(pairs):
        return xp.zeros(_contrast(sinograms[0].astype(float)).shape)  # type: ignore[no-any-return]
    contrast = xp.stack([_contrast(pair.astype(float)) for pair in pairs])
    # a pair's difference has twice the variance of a view
    spread: Any = xp.median(np.abs(contrast), axis=0)
    return (1.4826 * spread) ** 2 / 2 / len(sinograms)  # type: ignore[no-any-return]


def _quadratic_form(weights: NDArray[np.floating], autocorrelation: NDArray[np.floating]) -> float:
    """Σ w(a) w(b) ρ(a − b): variance of a weighted sum of correlated pixels."""
    padded = np.pad(weights, [(r, r) for r in (autocorrelation.shape[0] // 2, autocorrelation.shape[1] // 2)])
    total = 0.0
    rows, columns = weights.shape
    for (row, column), value in np.ndenumerate(autocorrelation):
        total += value * float(np.sum(weights * padded[row : row + rows, column : column + columns]))
    return total
