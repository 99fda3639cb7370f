"""A reaction front that runs through an electrode: where it is at every time, and how fast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from deltamu.recon.errors import InputError
from deltamu.recon.materials.lithium import FARADAY_C_PER_MOL
from deltamu.recon.operando.rate import SlidingFit

Float = NDArray[np.float64]

# the top of the peak that a parabola describes; a logistic front's rate is sech², near its top a parabola
_TOP = 0.55
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class FrontPath:
    """Position of a front against time.

    Attributes
    ----------
    times_s : (time,) array
    depth_mm, sigma_mm : (time,) arrays
        NaN where there is no front.
    covariance : (time, time) array or None
        Of the positions, mm²; None for independent ones.
    method : {"maximum rate", "half height"}
    """

    times_s: Float
    depth_mm: Float
    sigma_mm: Float
    covariance: Float | None
    method: str


@dataclass(frozen=True)
class FrontVelocity:
    """Slope of a straight line through a path.

    Attributes
    ----------
    um_per_h, sigma_um_per_h : float
    interval_um_per_h : (low, high)
        95 % confidence.
    first_s, last_s : float
        Times between which the line was fitted.
    rms_um : float
        Of the positions about the line.
    frames : int
    """

    um_per_h: float
    sigma_um_per_h: float
    interval_um_per_h: tuple[float, float]
    first_s: float
    last_s: float
    rms_um: float
    frames: int


def sharp_front_velocity_um_h(current_ma_cm2: float, *, lithium_mol_cm3: float, level: float = 1.0) -> float:
    """V = i / (F Δn U): all current is spent at a front behind which the fraction U is converted.

    Parameters
    ----------
    current_ma_cm2 : float
    lithium_mol_cm3 : float
        Δn, lithium per volume of electrode at full conversion.
    level : float
        U.

    Returns
    -------
    float
        12.28 µm/h for the sulfur cathode of 0.0247 mol/cm³ at 0.5 mA/cm² and U = 0.6152.

    Raises
    ------
    InputError
        If the lithium or the level is not positive.
    """
    if not lithium_mol_cm3 > 0 or not level > 0:
        raise InputError(
            f"lithium_mol_cm3, level: found {lithium_mol_cm3} and {level}, expected numbers above 0"
        )
    metres_per_second = abs(current_ma_cm2) * 1e-3 / (FARADAY_C_PER_MOL * lithium_mol_cm3 * level) / 100
    return float(metres_per_second * 1e6 * 3600)


def front_by_maximum_rate(
    rate: Float,
    sigma: Float,
    depth_mm: Float,
    times_s: Float,
    *,
    limits_mm: tuple[float, float],
    fit: SlidingFit | None = None,
    significance: float = 5.0,
    sign: int = 1,
) -> FrontPath:
    """Depth at which the attenuation changes fastest, by a parabola through the top of the rate.

    Parameters
    ----------
    rate, sigma : (time, depth) arrays
        Rate of ∫Δμ dl, and its noise.
    depth_mm : (depth,) array
        Equidistant.
    times_s : (time,) array
    limits_mm : (near, far)
        The electrode; fronts outside do not count.
    fit : SlidingFit, optional
        The filter that gave the rate: the noise of its neighbouring times is correlated.
    significance : float
        A front must stand so many σ above the median rate.
    sign : {1, -1}
        −1 where the front takes lithium away.
    """
    tops = [
        _peak(depth_mm, sign * row, noise, limits_mm, significance)
        for row, noise in zip(rate, sigma, strict=True)
    ]
    return _path(tops, sigma, times_s, fit, "maximum rate")


def _path(
    tops: "list[_Position]", sigma: Float, times_s: Float, fit: SlidingFit | None, method: str
) -> FrontPath:
    """Carry the noise of the profiles to the positions, which share both frames and pixels."""
    noise = np.stack([top.gradient for top in tops]) * np.where(np.isfinite(sigma), sigma, 0.0)
    covariance = noise @ noise.T
    spread = np.sqrt(np.diag(covariance))
    depth = np.array([top.depth_mm for top in tops])
    if fit is not None:
        covariance *= fit.correlation()
    return FrontPath(
        np.asarray(times_s, float),
        depth,
        np.where(np.isfinite(depth), spread, np.nan),
        covariance if fit is not None else None,
        method,
    )


@dataclass(frozen=True)
class _Position:
    """Where a front is in one profile, and how that depends on the values of the profile."""

    depth_mm: float
    gradient: Float


def _nowhere(size: int) -> _Position:
    return _Position(np.nan, np.zeros(size))


def _peak(
    depth: Float, rate: Float, sigma: Float, limits: tuple[float, float], significance: float
) -> _Position:
    inside = (depth >= limits[0]) & (depth <= limits[1])
    if not inside.any() or not np.all(np.isfinite(rate[inside])):
        return _nowhere(depth.size)
    best = int(np.flatnonzero(inside)[np.argmax(rate[inside])])
    if rate[best] < significance * sigma[best] + max(0.0, float(np.median(rate))):
        return _nowhere(depth.size)
    top = _run_above(rate, best, _TOP * rate[best])
    found = None if top.size < 3 else _parabola_top(depth[top], rate[top])
    if found is None or not limits[0] <= found[0] <= limits[1]:
        return _nowhere(depth.size)
    gradient = np.zeros(depth.size)
    gradient[top] = found[1]
    return _Position(found[0], gradient)


def _run_above(values: Float, middle: int, level: float) -> NDArray[np.int64]:
    """Neighbours of a maximum that reach a level, without a gap, equally far on both sides."""
    below = np.flatnonzero(values < level)
    first = int(below[below < middle].max(initial=-1)) + 1
    stop = int(below[below > middle].min(initial=values.size))
    reach = max(1, min(middle - first, stop - 1 - middle))
    return np.arange(max(middle - reach, 0), min(middle + reach + 1, values.size))


def _parabola_top(x: Float, y: Float) -> tuple[float, Float] | None:
    """Top of a parabola through points, and its derivative by each of them."""
    middle, scale = float(x.mean()), float(np.ptp(x)) / 2
    inverse = np.linalg.pinv(np.vander((x - middle) / scale, 3, increasing=True))
    _, slope, bend = inverse @ y
    if not bend < 0:
        return None
    top = -slope / (2 * bend)
    # d top = −(d slope + 2 top d bend) / (2 bend)
    gradient = -(inverse[1] + 2 * top * inverse[2]) / (2 * bend)
    return middle + scale * float(top), scale * gradient


def front_by_half_height(
    change: Float,
    sigma: Float,
    depth_mm: Float,
    times_s: Float,
    *,
    limits_mm: tuple[float, float],
    fit: SlidingFit | None = None,
    significance: float = 5.0,
    sign: int = 1,
) -> FrontPath:
    """Depth at which the change has fallen to half of its largest value behind the front.

    Parameters
    ----------
    change, sigma : (time, depth) arrays
        ∫Δμ dl, smoothed over time as `fit` says.
    depth_mm, times_s, limits_mm, fit, significance, sign
        As for `front_by_maximum_rate`.
    """
    found = [
        _half(depth_mm, sign * row, noise, limits_mm, significance)
        for row, noise in zip(change, sigma, strict=True)
    ]
    return _path(found, sigma, times_s, fit, "half height")


def _half(
    depth: Float, change: Float, sigma: Float, limits: tuple[float, float], significance: float
) -> _Position:
    inside = np.flatnonzero((depth >= limits[0]) & (depth <= limits[1]))
    if inside.size < 4 or not np.all(np.isfinite(change[inside])):
        return _nowhere(depth.size)
    values = change[inside]
    best = int(np.argmax(values))
    below = np.flatnonzero(values[best:] < values[best] / 2)
    if values[best] < significance * sigma[inside[best]] or not below.size:
        return _nowhere(depth.size)
    after = best + int(below[0])
    step = depth[inside[1]] - depth[inside[0]]
    drop = values[after - 1] - values[after]
    share = (values[after - 1] - values[best] / 2) / drop
    gradient = np.zeros(depth.size)
    gradient[inside[after - 1]] = (1 - share) * step / drop
    gradient[inside[after]] = share * step / drop
    gradient[inside[best]] -= 0.5 * step / drop
    return _Position(float(depth[inside[after - 1]] + share * step), gradient)


def front_velocity(
    path: FrontPath, *, between_mm: tuple[float, float], least_frames: int = 8
) -> FrontVelocity:
    """Fit a straight line to a path while it is between two depths.

    The weights are equal; the interval takes the noise of the positions with its correlation, or the scatter
    about the line where that is larger (its square root scales the noise), and Student's t for the number of
    independent windows.

    Parameters
    ----------
    path : FrontPath
    between_mm : (near, far)
    least_frames : int

    Raises
    ------
    InputError
        If too few positions are known there.
    """
    kept = _between(path, between_mm)
    if np.count_nonzero(kept) < least_frames:
        raise InputError(
            f"front: found {np.count_nonzero(kept)} positions between {between_mm[0]:g} and {between_mm[1]:g} mm, "
            f"expected at least {least_frames}; is there a front, and is the window of the rate short enough?"
        )
    hours, depth = path.times_s[kept] / 3600, 1e3 * path.depth_mm[kept]
    centred = hours - hours.mean()
    weights = centred / np.sum(centred**2)
    velocity = float(weights @ depth)
    residual = depth - depth.mean() - velocity * centred
    noise, independent = _slope_noise(weights, residual, 1e6 * _covariance(path, kept))
    half = noise * float(stdtrit(max(independent - 2, 1.0), 0.5 + _CONFIDENCE / 2))
    return FrontVelocity(
        velocity, noise, (velocity - half, velocity + half), float(path.times_s[kept][0]),
        float(path.times_s[kept][-1]), float(np.sqrt(np.mean(residual**2))), int(np.count_nonzero(kept)),
    )  # fmt: skip


def _between(path: FrontPath, between_mm: tuple[float, float]) -> NDArray[np.bool_]:
    """Frames from the first that reaches one depth to the last before the other."""
    known = np.isfinite(path.depth_mm) & np.isfinite(path.sigma_mm)
    inside = known & (path.depth_mm >= min(between_mm)) & (path.depth_mm <= max(between_mm))
    return np.asarray(inside)


def _covariance(path: FrontPath, kept: NDArray[np.bool_]) -> Float:
    if path.covariance is None:
        return np.diag(path.sigma_mm[kept] ** 2)
    return path.covariance[np.ix_(kept, kept)]


def _slope_noise(weights: Float, residual: Float, covariance: Float) -> tuple[float, float]:
    """Standard deviation of a slope, and how many independent positions it rests on."""
    variance = float(weights @ covariance @ weights)
    spread = np.diag(covariance)
    scale = np.sqrt(spread)
    independent = weights.size**2 / float(np.sum(np.abs(covariance / scale[:, None] / scale)))
    excess = float(np.mean(residual**2) / np.mean(spread)) * weights.size / max(weights.size - 2, 1)
    return float(np.sqrt(variance * max(1.0, excess))), independent
