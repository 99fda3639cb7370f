"""How the rotation axis stands: turned in the plane of the detector, and leaning along the beam.

A roll moves the centre of mass of a row with the row. A lean λ lets a row show what lies at the height r + λ w, w the
depth along the beam, so that the mass of a row changes with the angle by λ d(M w)/dr, w being the depth of the
centre of mass: it can be told only where the sample lies beside the axis and changes along it.
"""

from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deltamu.recon.preprocess.alignment import ViewShifts, align_moments, moved_rows
from deltamu.recon.preprocess.moments import ViewMoments

Float = NDArray[np.float64]

# sums over the columns are smoothed along the rows, so that their slopes are those of what is between the rows
SMOOTHING_PX = 1.5
MARGIN = 6
# rows with less of the usual mass say nothing about a centre
LEAST_MASS = 0.1
LEAST_ROWS = 8
# alternating projections until a pattern is free of what every row and every view may have of its own
ROUNDS = 12
# a roll also changes the mass that its effect is measured by
STEPS = 3


@dataclass(frozen=True)
class AxisTilt:
    """Direction of the rotation axis, degrees, with standard errors; infinite where it cannot be told.

    Attributes
    ----------
    roll_deg, roll_error_deg : float
        In the plane of the detector, positive when the centre grows with the row.
    lean_deg, lean_error_deg : float
        Along the beam, positive when the end of large rows leans towards the detector.
    """

    roll_deg: float
    roll_error_deg: float
    lean_deg: float
    lean_error_deg: float


def axis_tilt(
    moments: ViewMoments, angles: NDArray[np.floating], *, shifts: ViewShifts | None = None
) -> AxisTilt:
    """Find the direction of the rotation axis.

    Parameters
    ----------
    moments : ViewMoments
    angles : (angle,) array
        Radians.
    shifts : ViewShifts, optional
        Of single views; without them the views are taken to be where they should. With them whatever all rows of
        a view have in common is left to its shift, and a lean can be told only where the sample's distance from
        the axis changes along it.
    """
    theta = np.asarray(angles, np.float64).ravel()
    moments = _about_the_axis(moments, theta, shifts)
    mean = moments.mass.mean(axis=0)
    rows = np.flatnonzero(mean > LEAST_MASS * np.median(mean))
    # beyond the detector nothing is known to smooth with
    rows = rows[(rows >= MARGIN) & (rows < mean.size - MARGIN)]
    if rows.size < LEAST_ROWS or theta.size < LEAST_ROWS:
        return AxisTilt(0.0, np.inf, 0.0, np.inf)
    first, mass = _smooth(moments.first), _smooth(moments.mass)
    lever = _lever(moments, mean, theta)
    for _ in range(STEPS):
        place, roll = _place_and_roll(_over(first, mass), lever, theta, rows)
        # what a roll does to the mass of a row
        mass = _smooth(moments.mass) - roll[0] * _smooth(mean * _across(place, theta), order=1)
    lean = _lean(mass, mean, place, theta, aligned=shifts is not None)
    angles_deg = (float(np.degrees(np.arctan(value))) for value in (*roll, *lean))
    return AxisTilt(*angles_deg)


def _about_the_axis(moments: ViewMoments, theta: Float, shifts: ViewShifts | None) -> ViewMoments:
    """Moments of the views where they should lie, columns counted from the middle of the axis."""
    mass, first, second = astuple(moments)
    column: Float | float = align_moments(moments, theta).center_px
    if shifts is not None:
        mass, first, second = (moved_rows(sums, shifts.row_px) for sums in (mass, first, second))
        column = shifts.center_px + shifts.column_px[:, None]
    return ViewMoments(mass, first - column * mass, second - 2 * column * first + column**2 * mass)


def _smooth(values: Float, order: Literal[0, 1] = 0) -> Float:
    """Sums along the rows, or their slope there, in the same windows."""
    return np.asarray(gaussian_filter1d(values, SMOOTHING_PX, axis=-1, order=order))


def _over(values: Float, mass: Float) -> Float:
    return np.divide(values, mass, out=np.zeros_like(values), where=mass > 0)


def _lever(moments: ViewMoments, mean: Float, theta: Float) -> Float:
    """What a roll moves the centre of mass of every row by, (view, row): its height, and more where the sample changes.

    A rolled row r shows the height r + ρ u, so that its first moment grows by ρ d(Σ u² p)/dr; second moments over the
    angles hold harmonics up to the second.
    """
    terms = np.column_stack([f(k * theta) for k in (0, 1, 2) for f in (np.cos, np.sin) if k or f is np.cos])
    spread = terms @ np.linalg.lstsq(terms, moments.second, rcond=None)[0]
    height = np.arange(mean.size) - (mean.size - 1) / 2
    return _over(
        _smooth(height * mean) + _smooth(spread, order=1), np.broadcast_to(_smooth(mean), spread.shape)
    )


def _place_and_roll(
    seen: Float, lever: Float, theta: Float, rows: NDArray[np.intp]
) -> tuple[Float, tuple[float, float]]:
    """Fit c + a_r cos θ + b_r sin θ + ρ lever to centres of mass; (a, b) of every row, and ρ with its error."""
    terms = np.column_stack([np.cos(theta), np.sin(theta)])

    def own(values: Float) -> Float:
        return np.asarray(values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0])

    left, moved, one = (own(v[:, rows]) for v in (seen, lever, np.ones_like(seen)))
    weight = np.ones(rows.size)
    for _ in range(3):
        one_mean = float(np.sum(weight * one * moved)) / float(np.sum(weight * one * one))
        pull = moved - one_mean * one
        strength = float(np.sum(weight * pull * pull))
        roll = float(np.sum(weight * pull * left)) / strength
        center = float(np.sum(weight * one * (left - roll * moved))) / float(np.sum(weight * one * one))
        residual = left - roll * moved - center * one
        weight = 1 / (np.mean(residual**2, axis=0) + 1e-12)
    error = float(np.sqrt(np.sum(np.sum(weight * pull * residual, axis=0) ** 2))) / strength
    place = np.linalg.lstsq(terms, seen - roll * lever - center, rcond=None)[0]
    return place, (roll, error)


def _across(place: Float, theta: Float) -> Float:
    """Distance (view, row) of the centre of mass from the axis, along the columns."""
    return np.asarray(np.cos(theta)[:, None] * place[0] + np.sin(theta)[:, None] * place[1])


def _lean(mass: Float, mean: Float, place: Float, theta: Float, *, aligned: bool) -> tuple[float, float]:
    """Lean and its standard error, from smoothed masses (view, row)."""
    inner = np.s_[:, MARGIN : mass.shape[1] - MARGIN]
    slope = _smooth(mean, order=1)[None][inner] if aligned else None
    # the depth lies a quarter of a turn beside the columns
    depth = _across(place, theta + np.pi / 2)
    leaning = _own(_smooth(mean * depth, order=1)[inner], slope)
    seen = _own(mass[inner], slope)
    strength = float(np.sum(leaning**2))
    if strength < 1e-12 * float(np.sum(mean**2)):
        return 0.0, np.inf
    lean = float(np.sum(leaning * seen)) / strength
    error = np.sqrt(np.sum(np.sum(leaning * (seen - lean * leaning), axis=1) ** 2)) / strength
    return lean, float(error)


def _own(values: Float, slope: Float | None) -> Float:
    """What is left without the mean of every row, the mean of every view, and its shift along the rows."""
    left = np.array(values)
    for _ in range(ROUNDS):
        left -= left.mean(axis=0)
        left -= left.mean(axis=1, keepdims=True)
        if slope is not None:
            left -= (left @ slope.T) / max(float(np.sum(slope**2)), 1e-30) * slope
    return left
