"""Whether two states have one scale: gain and offset of their attenuation on parts that do not change."""

from dataclasses import astuple, dataclass

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


@dataclass(frozen=True, eq=False)
class PartSums:
    """Sums over the voxels of every part; those of some rows add up to those of the volume.

    Attributes
    ----------
    count, reference, moving : (part,) float64 arrays
        Voxels that both states know, and sums of their attenuation, cm⁻¹.
    """

    count: Float
    reference: Float
    moving: Float

    def __add__(self, other: "PartSums") -> "PartSums":
        """Sums of both."""
        most = max(self.count.size, other.count.size)
        count, reference, moving = (
            np.pad(own, (0, most - own.size)) + np.pad(more, (0, most - more.size))
            for own, more in zip(astuple(self), astuple(other), strict=True)
        )
        return PartSums(count, reference, moving)


def no_part_sums() -> PartSums:
    """Sums before the first rows."""
    nothing = np.zeros(0)
    return PartSums(nothing, nothing, nothing)


def part_sums(
    reference: NDArray[np.floating], moving: NDArray[np.floating], parts: NDArray[np.integer]
) -> PartSums:
    """Sum two states over parts, as in `compare_scales`.

    Raises
    ------
    InputError
        If shapes differ.
    """
    if not reference.shape == moving.shape == parts.shape:
        raise InputError(
            f"scales: shapes {reference.shape}, {moving.shape} and parts {parts.shape} differ; expected one grid"
        )
    known = (parts > 0) & np.isfinite(reference) & np.isfinite(moving)
    at = parts[known]
    return PartSums(
        np.bincount(at).astype(np.float64),
        np.bincount(at, reference[known]).astype(np.float64),
        np.bincount(at, moving[known]).astype(np.float64),
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
    return compare_part_sums(part_sums(reference, moving, parts))


def compare_part_sums(sums: PartSums) -> ScaleComparison:
    """Fit gain and offset between the means of parts, as `compare_scales`.

    Raises
    ------
    InputError
        If fewer than four parts hold voxels, or all parts attenuate alike.
    """
    filled = sums.count > 0
    count = sums.count[filled]
    x, y = sums.reference[filled] / count, sums.moving[filled] / count
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
