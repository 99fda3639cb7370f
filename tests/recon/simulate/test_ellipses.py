"""The exact phantom, checked by quadrature and by closed forms."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.ellipses import (
    Ellipse,
    Ellipsoid,
    band_limited_image,
    ellipsoid_line_integrals,
    head_phantom,
    line_integrals,
)


def test_chord_of_a_cylinder():
    """T17: 2 mu sqrt(R^2 - s^2), here averaged over the pixel."""
    found = line_integrals([Ellipse(0.3, 20, 20)], [0.4], columns=61)[0]
    fine = np.arange(-30, 31)[:, None] + (np.arange(1000) + 0.5) / 1000 - 0.5
    chord = 2 * 0.3 * np.sqrt(np.maximum(400 - fine**2, 0)).mean(axis=1)
    # midpoint rule of a square root at the rim
    np.testing.assert_allclose(found, chord, atol=1e-4)


def test_line_integrals_of_a_turned_ellipse_by_quadrature():
    ellipse = Ellipse(1.0, 9, 4, 3, -2, 35)
    place = (np.arange(1600) + 0.5) / 40 - 20
    x, y = np.meshgrid(place, place)
    turn = np.radians(35)
    u = (x - 3) * np.cos(turn) + (y + 2) * np.sin(turn)
    v = (y + 2) * np.cos(turn) - (x - 3) * np.sin(turn)
    inside = (u / 9) ** 2 + (v / 4) ** 2 <= 1
    for theta in (0.0, 0.6, np.pi / 2, 2.5):
        found = line_integrals([ellipse], [theta], columns=41)[0]
        column = np.rint(x * np.cos(theta) + y * np.sin(theta)).astype(int) + 20
        counted = np.bincount(column[inside], minlength=41)[:41] / 1600
        # counting squares of 0.025 along a rim that is nearly parallel to the columns in places
        np.testing.assert_allclose(found, counted, atol=0.05)


def test_every_view_holds_the_area():
    head = head_phantom(200)
    area = sum(np.pi * e.value * e.semi_x * e.semi_y for e in head)
    moments = line_integrals(head, np.linspace(0, 3, 7), columns=200).sum(axis=1)
    np.testing.assert_allclose(moments, area, rtol=1e-12)


def test_band_limited_image_keeps_the_sum_and_the_flat_inside():
    image = band_limited_image([Ellipse(2.0, 20, 14, 3, 5, 20)], size=96)
    # what rings beyond the grid is small
    assert image.sum() == pytest.approx(2 * np.pi * 20 * 14, rel=1e-3)
    assert image[int(47.5 + 5), int(47.5 + 3)] == pytest.approx(2, rel=0.05)


def test_ellipsoid_rows_are_its_sections():
    ball = Ellipsoid(1.0, 6.0, 6.0, 6.0, z=7.0)
    found = ellipsoid_line_integrals([ball], [0.0], rows=15, columns=15)
    assert np.all(found[0, [0, 1, 13, 14]] == 0)
    np.testing.assert_allclose(
        found[0, 10], line_integrals([Ellipse(1.0, 27**0.5, 27**0.5)], [0.0], columns=15)[0]
    )
    np.testing.assert_allclose(found[0, 4], found[0, 10])


@pytest.mark.parametrize("bad", [(1.0, 0.0, 1.0), (1.0, 1.0, -1.0), (np.nan, 1.0, 1.0)])
def test_refuses_what_is_no_ellipse(bad):
    with pytest.raises(InputError):
        Ellipse(*bad)
    with pytest.raises(InputError):
        Ellipsoid(bad[0], 1.0, *bad[1:])
