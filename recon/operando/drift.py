"""How far the sample has moved over the detector, from profiles of parts that do not change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import spline_filter1d

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]

_ITERATIONS = 8
_BORDER = 4
# what is not known to this is left alone
_LARGEST_SIGMA_PX = 0.1
_QUINTIC = BSpline.basis_element(np.arange(7.0), extrapolate=False)
# rows that are added at either end before filtering, as scipy.ndimage does
_PADDING = 12


@dataclass(frozen=True)
class ProfileReference:
    """A profile to compare others with.

    Attributes
    ----------
    curve : BSpline
    positions : (n,) array
        Pixels that count.
    sigma_px : float
        Standard deviation of a measured shift, from the noise of one frame.
    """

    curve: BSpline
    positions: Float
    sigma_px: float

    @property
    def usable(self) -> bool:
        """Whether the profile has edges enough to find a shift by."""
        return self.sigma_px < _LARGEST_SIGMA_PX


def profile_reference(profile: Float, used: NDArray[np.bool_], *, noise: float) -> ProfileReference:
    """Prepare a reference profile.

    Parameters
    ----------
    profile : (n,) array
    used : (n,) bool array
        Pixels on parts that do not change.
    noise : float
        Standard deviation of one frame's profile.
    """
    curve = make_interp_spline(np.arange(profile.size), profile, k=min(5, profile.size - 1))
    inner = used.copy()
    inner[:_BORDER] = inner[-_BORDER:] = False
    positions = np.flatnonzero(inner).astype(float)
    slope = curve.derivative()(positions) if positions.size else np.zeros(1)
    steepness = float(np.sqrt(np.sum((slope - slope.mean()) ** 2)))
    return ProfileReference(curve, positions, noise / steepness if steepness > 0 else np.inf)


def profile_shift(profile: Float, reference: ProfileReference) -> float:
    """Shift, in pixels, by which a profile is the reference: profile(x) = a reference(x − shift), by Gauss-Newton."""
    if not reference.usable:
        return 0.0
    data = profile[reference.positions.astype(int)]
    slope = reference.curve.derivative()
    shift, scale = 0.0, 1.0
    for _ in range(_ITERATIONS):
        at = reference.positions - shift
        model, steep = reference.curve(at), slope(at)
        jacobian = np.stack([-scale * steep, model], axis=1)
        step, *_ = np.linalg.lstsq(jacobian, data - scale * model, rcond=None)
        shift, scale = shift + float(step[0]), scale + float(step[1])
        if abs(step[0]) < 1e-4:
            break
    return float(np.clip(shift, -_BORDER, _BORDER))


@dataclass(frozen=True)
class DriftReference:
    """What the drift of a frame is measured with.

    Attributes
    ----------
    rows, columns : ProfileReference
        Along rows, over the columns of the pellet; along columns, over rows that do not change.
    pellet : slice
        Columns of the pellet.
    inert_rows : (row,) bool array
    """

    rows: ProfileReference
    columns: ProfileReference
    pellet: slice
    inert_rows: NDArray[np.bool_]

    def measure(self, frame: Float32) -> tuple[float, float]:
        """Shifts of a frame along rows and columns, pixels."""
        down = profile_shift(row_profile(frame, self.pellet), self.rows)
        right = profile_shift(column_profile(frame, self.inert_rows), self.columns)
        return down, right


def drift_reference(
    reference: Float32, *, pellet: slice, inert_rows: NDArray[np.bool_], counts: float
) -> DriftReference:
    """Prepare the reference frame.

    Parameters
    ----------
    reference : (row, column) array
        Mean transmission of the reference frames.
    pellet : slice
        Columns of the pellet.
    inert_rows : (row,) bool array
        Rows where nothing changes.
    counts : float
        Effective counts of a pixel of one frame in the open beam.
    """
    along_rows = row_profile(reference, pellet)
    along_columns = column_profile(reference, inert_rows)
    width = pellet.stop - pellet.start
    noise = [
        float(np.sqrt(np.mean(profile) / (counts * number)))
        for profile, number in ((along_rows, width), (along_columns, max(int(inert_rows.sum()), 1)))
    ]
    return DriftReference(
        profile_reference(along_rows, inert_rows, noise=noise[0]),
        profile_reference(along_columns, np.full(reference.shape[1], inert_rows.any()), noise=noise[1]),
        pellet,
        inert_rows,
    )


def row_profile(frame: Float32, pellet: slice) -> Float:
    """Mean over the columns of the pellet."""
    return np.asarray(frame[:, pellet].mean(axis=1, dtype=np.float64))


def column_profile(frame: Float32, rows: NDArray[np.bool_]) -> Float:
    """Mean over rows."""
    if not rows.any():
        return np.zeros(frame.shape[1])
    # rows that are not wanted count 0: cheaper than to copy the others
    return np.asarray(
        np.einsum("r,rc->c", rows.astype(np.float32), frame).astype(np.float64) / np.count_nonzero(rows)
    )


def shift_profiles(profiles: Float, shifts_px: Float) -> Float:
    """Read profiles (strip, row) at row + shift, by splines of fifth order; the ends go on as they are.

    A shift moves all rows of a strip by one fraction, so that the spline is a sum of six neighbours.
    """
    whole = np.floor(shifts_px).astype(np.int64)
    reach = int(np.abs(whole).max()) + _PADDING
    padded = np.pad(profiles, ((0, 0), (reach, reach)), mode="edge")
    coefficients = spline_filter1d(padded, order=5, axis=1, mode="mirror")
    strips = np.arange(len(profiles))[:, None]
    rows = np.arange(profiles.shape[1]) + reach + whole[:, None]
    fraction = shifts_px - whole
    result = np.zeros(profiles.shape)
    for step in range(-2, 4):
        result += _QUINTIC(fraction - step + 3.0)[:, None] * coefficients[strips, rows + step]
    return result
