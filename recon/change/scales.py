"""Whether two states have one scale: gain and offset of their attenuation on parts that do not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
LEAST_PARTS = 4
ITERATIONS = 20
# parts further than this many robust deviations from the line count for less
HUBER = 2.0


@dataclass(frozen=True)
class ScaleComparison:
    """moving = gain · reference + offset on the inert parts.

    Attributes
    ----------
    gain, gain_standard_error : float
    offset, offset_standard_error : float
        cm⁻¹.
    correlation : float
        Of the errors of gain and offset.
    mean_attenuation : float
        Of the parts, cm⁻¹: there gain and offset are best known together.
    parts : int
    """

    gain: float
    gain_standard_error: float
    offset: float
    offset_standard_error: float
    correlation: float
    mean_attenuation: float
    parts: int

    @property
    def differs(self) -> bool:
        """Whether the scales differ by more than three standard errors in gain or offset."""
        return bool(
            abs(self.gain - 1) > 3 * self.gain_standard_error
            or abs(self.offset) > 3 * self.offset_standard_error
        )


def compare_scales(
    reference: NDArray[np.floating], moving: NDArray[np.floating], parts: NDArray[np.integer]
) -> ScaleComparison:
    """Fit gain and offset between the means of inert parts of two registered states.

    Parameters
    ----------
    reference, moving : arrays of one shape
        cm⁻¹; NaN is left out.
    parts : integer array of that shape
        Number of the part a voxel belongs to, 0 for none. Parts of different materials tell gain from offset;
        several parts per material (layers, rings, sectors) tell the error.

    Raises
    ------
    InputError
        If shapes differ, fewer than four parts hold voxels, or all parts attenuate alike.

    Notes
    -----
    Robust straight line through the part means (Huber weights), errors from the scatter of the parts about it: that
    holds texture, streaks and what registration leaves, which counting noise does not.
    """
    if not reference.shape == moving.shape == parts.shape:
        raise InputError(
            f"scales: shapes {reference.shape}, {moving.shape} and parts {parts.shape} differ; expected one grid"
        )
    x, y, count = _part_means(reference, moving, parts)
    if x.size < LEAST_PARTS:
        raise InputError(f"scales: found {x.size} parts with voxels, expected at least {LEAST_PARTS}")
    if np.ptp(x) < 1e-3 * max(float(np.max(np.abs(x))), 1e-6):
        raise InputError(
            "scales: all parts attenuate alike; take parts of different materials to tell gain from offset"
        )
    weights = np.sqrt(count)
    for _ in range(ITERATIONS):
        slope, level, covariance, residual = _line(x, y, weights)
        spread = 1.4826 * float(np.median(np.abs(residual))) + 1e-12
        kept = np.minimum(1.0, HUBER * spread / np.maximum(np.abs(residual), 1e-12))
        weights = np.sqrt(count) * kept
    # parts whose pull is clipped no longer hold the line
    errors = np.sqrt(np.diag(covariance)) * float(np.mean(kept) / max(np.mean(kept == 1.0), 0.5))
    together = float(covariance[0, 1] / max(errors[0] * errors[1], 1e-300))
    return ScaleComparison(
        slope,
        float(errors[0]),
        level,
        float(errors[1]),
        together,
        float(np.average(x, weights=count)),
        int(x.size),
    )


def same_scale(moving: NDArray[np.floating], found: ScaleComparison) -> NDArray[np.floating]:
    """Bring a moving state onto the scale of the reference: (moving − offset) / gain."""
    return np.asarray((moving - np.float32(found.offset)) / np.float32(found.gain), moving.dtype)


def _part_means(
    reference: NDArray[np.floating], moving: NDArray[np.floating], parts: NDArray[np.integer]
) -> tuple[Float, Float, Float]:
    known = (parts > 0) & np.isfinite(reference) & np.isfinite(moving)
    at = parts[known]
    count = np.bincount(at)
    filled = count > 0
    means = [np.bincount(at, values[known])[filled] / count[filled] for values in (reference, moving)]
    return means[0], means[1], count[filled].astype(np.float64)


def _line(x: Float, y: Float, weights: Float) -> tuple[float, float, Float, Float]:
    """Weighted line with the covariance of slope and level from the scatter about it."""
    matrix = np.stack([x, np.ones_like(x)], axis=1)
    weighted = matrix * weights[:, None]
    inverse = np.linalg.inv(weighted.T @ matrix)
    slope, level = inverse @ (weighted.T @ y)
    residual = y - slope * x - level
    # every part with its own scatter; a part that steers the line hides its own deviation (jackknife, HC3)
    leverage = np.einsum("ij,jk,ik->i", weighted, inverse, matrix)
    scores = weighted * (residual / np.maximum(1 - leverage, 1e-6))[:, None]
    return float(slope), float(level), inverse @ (scores.T @ scores) @ inverse, residual
