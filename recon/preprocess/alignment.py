"""Shifts of single views, from what every view of a sample inside the field must have in common.

The mean line integral of a row is the same in every view, and the centre of mass of a view moves on a sinusoid:
the zeroth and the first Helgason-Ludwig condition. A shift along the rows breaks the first, one along the columns
the second; nothing has to be reconstructed, and jumps are as easy as drift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter1d, map_coordinates

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.moments import ViewMoments, view_moments

Float = NDArray[np.float64]

# the profile along the rows is smoothed so that a start some pixels off still converges
SMOOTHING_PX = 2.0
ROUNDS = 6
STEPS = 4


@dataclass(frozen=True)
class ViewShifts:
    """Where every view lies against the others, pixels.

    The gauge: a shift of all views, or one that follows the sine or cosine of the angle along the columns, is a
    displaced centre or sample and is left to them. `ScanGeometry.shifted` takes the shifts, so that nothing is
    resampled, with the centre of rotation that belongs to them.

    Attributes
    ----------
    column_px, row_px : (angle,) arrays
        Positive when the view lies at larger columns or rows than it should.
    center_px : float
        Column of the rotation axis once the shifts are taken out.
    column_error_px, row_error_px : float
        Standard error of one of them, from views beside each other.
    """

    column_px: Float
    row_px: Float
    center_px: float
    column_error_px: float
    row_error_px: float


def align_views(line_integrals: NDArray[np.floating], angles: NDArray[np.floating]) -> ViewShifts:
    """Find the shift of every view in both directions.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        Of a sample that stays inside the field at the sides; it may leave it above and below.
    angles : (angle,) array
        Radians.

    Raises
    ------
    InputError
        If shapes do not fit, values are not finite, or the sample leaves the field at the sides.

    References
    ----------
    D. Ludwig, Comm. Pure Appl. Math. 19 (1966) 49; S. G. Azevedo et al., IEEE Trans. Nucl. Sci. 37 (1990) 1525.
    """
    views = np.asarray(line_integrals)
    theta = np.asarray(angles, np.float64).ravel()
    if views.ndim != 3 or theta.shape != views.shape[:1] or len(theta) < 8:
        raise InputError(
            f"line_integrals: found shape {views.shape} and {theta.size} angles; expected (angle, row, column), "
            "at least 8 views"
        )
    return align_moments(view_moments([views]), theta)


def align_moments(moments: ViewMoments, angles: NDArray[np.floating]) -> ViewShifts:
    """Find the shift of every view in both directions from sums over its columns.

    Parameters
    ----------
    moments : ViewMoments
    angles : (angle,) array
        Radians.
    """
    theta = np.asarray(angles, np.float64).ravel()
    rows = row_shifts(moments.mass)
    columns, center = _column_shifts(moments, theta)
    return ViewShifts(columns, rows, center, _error_of_one(columns), _error_of_one(rows))


def _column_shifts(moments: ViewMoments, theta: Float) -> tuple[Float, float]:
    """Deviation of the centre of mass of every view from its sinusoid, and the middle of the sinusoid."""
    center = moments.first.sum(axis=1) / moments.mass.sum(axis=1)
    found = np.linalg.lstsq(_gauge(theta), center, rcond=None)[0]
    return center - _gauge(theta) @ found, float(found[0])


def shifted_columns(
    line_integrals: NDArray[np.floating], column_px: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Move every view along its columns by a number of its own, by the phases of its Fourier transform.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        Air at both sides, which meet.
    column_px : (angle,) array
        Positive moves to larger columns.
    """
    columns = line_integrals.shape[2]
    phase = np.exp(-2j * np.pi * np.asarray(column_px)[:, None] * np.fft.rfftfreq(columns)).astype(
        np.complex64
    )
    spectrum = fft.rfft(np.asarray(line_integrals, np.float32), axis=2)
    spectrum *= phase[:, None]
    return np.asarray(fft.irfft(spectrum, columns, axis=2), np.float32)


def without_gauge(column_px: NDArray[np.floating], angles: NDArray[np.floating]) -> Float:
    """Take out of shifts along the columns what a displaced centre or sample would do as well."""
    terms = _gauge(np.asarray(angles, np.float64))
    values = np.asarray(column_px, np.float64)
    return values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]


def _gauge(theta: Float) -> Float:
    return np.column_stack([np.ones_like(theta), np.cos(theta), np.sin(theta)])


def row_shifts(profiles: Float) -> Float:
    """Shift of every (angle, row) profile against their mean, by Gauss-Newton steps; zero mean."""
    shifts = np.zeros(len(profiles))
    if profiles.shape[1] < 8:
        return shifts
    smooth = gaussian_filter1d(profiles, SMOOTHING_PX, axis=1, mode="nearest")
    margin = int(np.ceil(2 * SMOOTHING_PX))
    inner = slice(margin, profiles.shape[1] - margin)
    for _ in range(ROUNDS):
        template = moved_rows(smooth, shifts).mean(axis=0)
        slope = np.gradient(template)
        strength = float(np.sum(slope[inner] ** 2))
        if strength < 1e-20:
            return shifts
        for _ in range(STEPS):
            difference = moved_rows(smooth, shifts) - template
            shifts = shifts - (difference[:, inner] @ slope[inner]) / strength
        shifts = np.clip(shifts - shifts.mean(), -profiles.shape[1] / 4, profiles.shape[1] / 4)
    return shifts


def moved_rows(profiles: Float, row_px: Float) -> Float:
    """Profiles (angle, row) read where they would lie without their shift."""
    place = np.arange(profiles.shape[1])[None, :] + row_px[:, None]
    view = np.broadcast_to(np.arange(len(profiles))[:, None], place.shape)
    return np.asarray(map_coordinates(profiles, [view, place], order=1, mode="nearest"))


def _error_of_one(shifts: Float) -> float:
    """Scatter between neighbours, which holds the jitter too: an upper bound of the error of one."""
    return float(1.4826 * np.median(np.abs(np.diff(shifts, 2))) / np.sqrt(6)) if len(shifts) > 4 else 0.0
