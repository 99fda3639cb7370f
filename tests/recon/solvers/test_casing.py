"""What stands around a sample, found in the same views: a sleeve and a housing around a pellet that hardens the beam."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.materials.spectrum import GammaSpectrum
from deltamu.recon.solvers.casing import casing_line_integrals

COLUMNS, PIXEL_MM = 256, 0.054
CENTER = 129.3
RADII_MM = (3.0, 4.0, 6.0)
SLEEVE, HOUSING = 1.68, 0.111


def rays(angles, offset_mm=(0.11, -0.07)):
    """Distance of the middle of every fine ray from the axis of the cell, mm, (angle, column, 4)."""
    fine = (np.arange(4 * COLUMNS) + 0.5) / 4 - 0.5
    axis = offset_mm[1] * np.cos(angles) + offset_mm[0] * np.sin(angles)
    return ((fine - CENTER) * PIXEL_MM - axis[:, None]).reshape(len(angles), COLUMNS, 4)


def chord_cm(distance, radius):
    return 0.2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))


def cell(angles):
    """Line integrals (angle, 1, column) of the cell under a spectrum, and of its casing."""
    distance = rays(angles)
    pellet, sleeve, housing = (chord_cm(distance, radius) for radius in RADII_MM)
    casing = SLEEVE * (sleeve - pellet) + HOUSING * (housing - sleeve)
    hardened = GammaSpectrum().optical_depth(0.94 * pellet, 0.123 * pellet)
    return (casing + hardened).mean(axis=2)[:, None].astype(np.float32), casing.mean(axis=2)[:, None]


def test_the_casing_comes_out_whatever_the_pellet_does():
    """Through the pellet to 1.5 % of the casing: the margin around the pellet, two pixels of sleeve, is left to it."""
    angles = np.arange(360) * np.pi / 360
    views, truth = cell(angles)
    found = casing_line_integrals(views, angles, center=CENTER, pixel_size_mm=PIXEL_MM, radius_mm=3.0)
    through = np.abs(rays(angles).mean(axis=2)) < 2.5
    missing = 2 * 2 * PIXEL_MM / 10 * SLEEVE
    error = (found - truth)[:, 0][through]
    assert abs(error.mean() + missing) < 0.006
    # ripples of the cut-out rim, a pixel of sleeve
    assert error.std() < 0.01


def test_nothing_around_the_sample_gives_nothing():
    angles = np.arange(180) * np.pi / 180
    distance = rays(angles)
    views = (2.0 * chord_cm(distance, 3.0)).mean(axis=2)[:, None].astype(np.float32)
    found = casing_line_integrals(views, angles, center=CENTER, pixel_size_mm=PIXEL_MM, radius_mm=3.0)
    # aliasing of the rim outside the pellet, against 1.2 through it
    assert np.abs(found).max() < 0.02


def test_a_radius_beyond_the_field_is_refused():
    views, _ = cell(np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="radius_mm"):
        casing_line_integrals(
            views, np.array([0.0, 1.0]), center=CENTER, pixel_size_mm=PIXEL_MM, radius_mm=9.0
        )
