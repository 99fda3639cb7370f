"""Shifts of single views: jumps, drift and jitter, found from the moments of the views."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.alignment import align_views, without_gauge
from deltamu.recon.scan_geometry import middle_of, parallel_geometry
from deltamu.recon.solvers.direct import fbp_direct

VIEWS, ROWS, COLUMNS = 181, 48, 160
ANGLES = np.arange(VIEWS) * np.pi / VIEWS


def shifted_views(column_px, row_px, *, noise=0.0, seed=1):
    """Closed-form views of layered discs off the axis; layers and rims lie where the shifts put them."""
    rng = np.random.default_rng(seed)
    row = np.arange(ROWS)[None, :] - row_px[:, None]
    column = np.arange(COLUMNS)[None, :] - COLUMNS / 2 + 2.7 - column_px[:, None]
    total = np.zeros((VIEWS, ROWS, COLUMNS))
    for bottom, top, radius, at, mu in (
        (6, 20, 45, (4, 2), 0.02),
        (20, 30, 45, (4, 2), 0.05),
        (30, 41, 30, (-9, 5), 0.03),
    ):
        edge = [np.clip(row - face + 0.5, 0, 1) for face in (bottom, top)]
        distance = column - (at[0] * np.cos(ANGLES) + at[1] * np.sin(ANGLES))[:, None]
        chord = 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))
        total += mu * (edge[0] - edge[1])[:, :, None] * chord[:, None, :]
    total = gaussian_filter(total, (0, 1.0, 1.0))
    return (total + noise * rng.standard_normal(total.shape)).astype(np.float32)


def jumps(rng):
    return 3.0 * (np.arange(VIEWS) > VIEWS / 2), -3.0 * (np.arange(VIEWS) > VIEWS / 3)


def drift(rng):
    return 2.0 * np.linspace(0, 1, VIEWS) ** 2, np.linspace(-1, 1, VIEWS)


def jitter(rng):
    return 0.3 * rng.standard_normal(VIEWS), 0.3 * rng.standard_normal(VIEWS)


@pytest.mark.parametrize("motion", [jumps, drift, jitter])
def test_motions_are_found(motion):
    """To 0.1 px RMS in both directions under the noise of 1000 counts, up to the gauge."""
    column_px, row_px = motion(np.random.default_rng(2))
    found = align_views(shifted_views(column_px, row_px, noise=0.03), ANGLES)
    expected = without_gauge(column_px, ANGLES)
    assert np.sqrt(np.mean((found.column_px - expected) ** 2)) < 0.1
    assert np.sqrt(np.mean((found.row_px - (row_px - row_px.mean())) ** 2)) < 0.1


def test_still_views_stay():
    still = np.zeros(VIEWS)
    found = align_views(shifted_views(still, still), ANGLES)
    # the chords of the discs are sampled at whole pixels, and the rims move by fractions of one
    assert np.abs(found.column_px).max() < 0.03
    assert np.abs(found.row_px).max() < 0.03


@pytest.mark.slow
def test_shifts_in_the_geometry_restore_the_volume():
    """Three pixels of a jump in both directions: what reaches into the air, against that of views that were still."""
    column_px, row_px = jumps(np.random.default_rng(0))
    views = shifted_views(column_px, row_px)
    found = align_views(views, ANGLES)
    still = np.zeros(VIEWS)
    aligned = air_streaks(views, found.center_px, found.column_px, found.row_px)
    as_they_are = air_streaks(views, COLUMNS / 2 - 2.7, still, still)
    best = air_streaks(shifted_views(still, still), COLUMNS / 2 - 2.7, still, still)
    assert aligned < 1.15 * best
    assert as_they_are > 1.5 * best


def air_streaks(views, center, column_px, row_px):
    """Mean absolute attenuation outside the discs in the middle rows, cm⁻¹."""
    shape = (ROWS, COLUMNS, COLUMNS)
    geometry = parallel_geometry(
        ANGLES,
        detector_shape=(ROWS, COLUMNS),
        center=center,
        pixel_size_mm=1.0,
        middle_mm=middle_of(shape, 1.0),
    ).shifted(column_px, row_px)
    volume = fbp_direct(views, geometry, volume_shape=shape, voxel_size_mm=1.0)[10:36]
    y, x = np.mgrid[:COLUMNS, :COLUMNS] - (COLUMNS - 1) / 2
    radius = np.hypot(y, x)
    return float(np.abs(volume[:, (radius > 56) & (radius < 75)]).mean())


def test_the_gauge_is_that_of_centre_and_sample():
    shifts = 1.3 - 0.7 * np.cos(ANGLES) + 2.0 * np.sin(ANGLES)
    np.testing.assert_allclose(without_gauge(shifts, ANGLES), 0, atol=1e-12)


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="shape"):
        align_views(np.zeros((4, 3, 30)), np.zeros(4))
    with pytest.raises(InputError, match="inside the field"):
        align_views(np.ones((20, 9, 64)), np.arange(20) / 7)
    views = shifted_views(np.zeros(VIEWS), np.zeros(VIEWS))
    views[3] = np.nan
    with pytest.raises(InputError, match="finite"):
        align_views(views, ANGLES)
