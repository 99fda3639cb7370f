"""Filtered back-projection against exact ellipses, closed forms and another program."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.ellipses import Ellipse, band_limited_image, head_phantom, line_integrals
from deltamu.recon.solvers.fbp import fbp, fbp_cost


def half_turn(views):
    return np.arange(views) * np.pi / views


def views_of(ellipses, angles, columns, center=None):
    return line_integrals(ellipses, angles, columns=columns, center=center)[:, None].astype(np.float32)


def radius(size):
    place = np.arange(size) - (size - 1) / 2
    return np.hypot(place[:, None], place[None, :])


def test_head_phantom_against_the_band_limited_truth():
    size, angles = 512, half_turn(720)
    head = head_phantom(size)
    # one column is 1 cm, so that cm^-1 is per column
    image = fbp(views_of(head, angles, size), angles, center=255.5, pixel_size_mm=10.0)[0]
    truth = band_limited_image(head, size=size)
    inside = radius(size) < 0.45 * size
    error = (image - truth)[inside]
    # 0.0085 is what the sampling of the data itself leaves (aliasing of edges), see docs/architecture.md
    assert np.sqrt(np.mean(error**2)) <= 0.009
    amplitude, offset = np.polyfit(truth[inside], image[inside], 1)
    assert amplitude == pytest.approx(1, abs=1e-3)
    # the ramp's zero frequency: sampling |k| would give an offset of -0.015
    assert abs(offset) <= 2e-4


ANGLE_SETS = {
    "half turn": half_turn(300),
    "full turn": np.arange(600) * np.pi / 300,
    "golden": np.mod(np.arange(300) * np.radians(111.246118), np.pi),
    "both ends": np.linspace(0, np.pi, 301),
    "shuffled and negative": np.random.default_rng(0).permutation(half_turn(300)) - 2,
    "ten percent missing": np.delete(half_turn(300), slice(100, 130)),
    "scattered missing": np.delete(half_turn(300), np.random.default_rng(1).choice(300, 30, replace=False)),
}


@pytest.mark.parametrize("name", ANGLE_SETS)
def test_attenuation_of_a_disc_does_not_depend_on_the_views(name):
    """T17 in, mu out: within 0.5 % whatever the views; here 2.568 cm^-1 at 27 um."""
    angles, columns, pixel_mm, mu = ANGLE_SETS[name], 161, 0.027, 2.568
    disc = [Ellipse(mu * pixel_mm / 10, 60.0, 60.0, 3.0, -4.0)]
    image = fbp(views_of(disc, angles, columns, 82.3), angles, center=82.3, pixel_size_mm=pixel_mm)[0]
    place = np.arange(columns) - 80.0
    inside = np.hypot(place[None, :] - 3.0, place[:, None] + 4.0) < 54
    assert image[inside].mean() == pytest.approx(mu, rel=5e-3)


def test_a_point_lies_where_the_convention_puts_it():
    """At 0 degrees the column tells x, at 90 degrees y; the image shows it at (y, x)."""
    columns, x, y = 65, 14.0, -7.0
    point = [Ellipse(1.0, 1.5, 1.5, x, y)]
    ends = line_integrals(point, [0.0, np.pi / 2], columns=columns)
    column = np.arange(columns)
    assert ends[0] @ column / ends[0].sum() == pytest.approx(32 + x)
    assert ends[1] @ column / ends[1].sum() == pytest.approx(32 + y)
    angles = half_turn(120)
    image = fbp(views_of(point, angles, columns), angles, center=32.0, pixel_size_mm=1.0, filter="hann")[0]
    assert np.unravel_index(np.argmax(image), image.shape) == (32 + y, 32 + x)


def test_astra_sees_the_same_point_and_the_same_values():
    """ASTRA's y axis points up: its volume is ours with y reversed."""
    astra = pytest.importorskip("astra")
    columns, angles = 128, half_turn(201)
    parts = [
        Ellipse(0.02, 50, 40, 4, -3, 25),
        Ellipse(0.02, 12, 9, 20, 10, -40),
        Ellipse(-0.01, 6, 6, -15, -20),
    ]
    views = views_of(parts, angles, columns)
    ours = fbp(views, angles, center=63.5, pixel_size_mm=10.0)[0]
    geometry = astra.create_proj_geom("parallel", 1.0, columns, angles)
    volume_geometry = astra.create_vol_geom(columns, columns)
    projector = astra.create_projector("linear", geometry, volume_geometry)
    _, theirs = astra.create_reconstruction("FBP", projector, views[:, 0])
    inside = radius(columns) < 58
    # the two interpolate differently at the finest scale: compared after the same smoothing
    left, right = gaussian_filter(ours, 1.5), gaussian_filter(theirs[::-1], 1.5)
    contrast = right[inside].max() - right[inside].min()
    assert np.sqrt(np.mean((left - right)[inside] ** 2)) < 0.02 * contrast
    mirrored = gaussian_filter(theirs, 1.5)
    assert np.sqrt(np.mean((left - mirrored)[inside] ** 2)) > 0.05 * contrast


def test_is_linear():
    random = np.random.default_rng(2)
    angles = half_turn(40)
    first, second = random.standard_normal((2, 40, 3, 48)).astype(np.float32)
    options = {"center": 22.1, "pixel_size_mm": 0.1}
    combined = fbp(first + 2 * second, angles, **options)
    separate = fbp(first, angles, **options) + 2 * fbp(second, angles, **options)
    # float32 rounding only
    np.testing.assert_allclose(combined, separate, atol=1e-5 * np.abs(separate).max())


def test_inputs_are_not_written_to():
    angles = half_turn(30)
    views = np.random.default_rng(0).standard_normal((30, 2, 32)).astype(np.float32)
    before = views.copy()
    fbp(views, angles, center=15.0, pixel_size_mm=1.0)
    np.testing.assert_array_equal(views, before)


def test_moving_the_axis_with_the_object_changes_nothing():
    angles = half_turn(180)
    disc = [Ellipse(0.1, 20, 12, 5, 3, 30)]
    images = [
        fbp(views_of(disc, angles, 96, c), angles, center=c, pixel_size_mm=10.0, filter="hann")[0]
        for c in (47.5, 45.2)
    ]
    inside = radius(96) < 40
    # the pixels sample the edges at other places: aliasing, damped by the filter to 2 % of the step
    assert np.abs(images[0] - images[1])[inside].max() < 0.03 * 0.1


def test_turning_the_views_turns_the_image():
    angles = half_turn(180)
    views = views_of([Ellipse(0.1, 20, 12, 5, 3, 30)], angles, 97)
    straight = fbp(views, angles, center=48.0, pixel_size_mm=10.0)[0]
    turned = fbp(views, angles + np.pi / 2, center=48.0, pixel_size_mm=10.0)[0]
    # a quarter turn from x towards y: (y, x) -> (x, -y); exact up to the gridding error of 0.4 %
    np.testing.assert_allclose(turned, np.rot90(straight, -1), atol=1e-3 * 0.1)


def test_pixel_size_is_the_only_scale():
    angles = half_turn(60)
    views = views_of([Ellipse(0.1, 20, 12)], angles, 64)
    ten, five = (fbp(views, angles, center=31.5, pixel_size_mm=p) for p in (10.0, 5.0))
    np.testing.assert_allclose(2 * ten, five, rtol=1e-5, atol=1e-6)


def test_a_larger_image_holds_the_smaller_one():
    angles = half_turn(150)
    views = views_of([Ellipse(0.1, 20, 12)], angles, 64)
    small, large = (fbp(views, angles, center=31.5, pixel_size_mm=10.0, size=n)[0] for n in (64, 100))
    # gridding errors differ between the two grids
    assert np.abs(large[18:82, 18:82] - small)[radius(64) < 30].max() < 0.01 * 0.1


def test_dose_offset_in_closed_form():
    """T6: an offset c over |s| < L reconstructs as c / (pi sqrt(L^2 - r^2))."""
    columns, half_length_cm = 1001, 0.8
    pixel_mm = 20 * half_length_cm / columns
    angles = half_turn(500)
    image = fbp(
        np.full((500, 1, columns), 0.01, np.float32),
        angles,
        center=500.0,
        pixel_size_mm=pixel_mm,
        filter="hann",
    )
    for r, expected in ((0.0, 0.0039789), (0.3, 0.0042921), (0.5, 0.0050970)):
        near = np.abs(radius(columns) * pixel_mm / 10 - r) < 0.01
        # the mean over a narrow ring, curvature of the closed form included, is good to 0.5 %
        assert image[0][near].mean() == pytest.approx(expected, rel=5e-3)


def test_zeroth_moment_is_the_same_in_every_view_and_in_the_slice():
    """T7: LPSCl, D = 6 mm: 2.568 cm^-1 times pi R^2 = 0.72609 cm."""
    pixel_mm, mu, columns = 0.05, 2.568, 161
    angles = half_turn(240)
    views = views_of([Ellipse(mu * pixel_mm / 10, 60, 60, 5, -3)], angles, columns)
    moments = views.sum(axis=(1, 2), dtype=float) * pixel_mm / 10
    np.testing.assert_allclose(moments, 0.726085, rtol=1e-4)
    image = fbp(views, angles, center=80.0, pixel_size_mm=pixel_mm)[0]
    inside = radius(columns) < 79
    # the sum over the field of view leaves out the oscillations beyond it
    assert image[inside].sum(dtype=float) * (pixel_mm / 10) ** 2 == pytest.approx(0.726085, rel=2e-3)


def test_edge_padding_removes_the_rim_of_a_truncated_object():
    angles = half_turn(200)
    views = views_of([Ellipse(1.0, 83, 83)], angles, 128)  # 1.3 times the detector
    options = {"center": 63.5, "pixel_size_mm": 10.0}
    zero, edge = (fbp(views, angles, padding=p, **options)[0] for p in ("zero", "edge"))
    rim, middle = (radius(128) > 58) & (radius(128) < 62), radius(128) < 20
    assert zero[rim].mean() > zero[middle].mean() + 0.2
    # the rim is gone, and the price is paid: values fall towards the edge and short of 1 in the middle
    assert edge[rim].mean() < edge[middle].mean() < 0.9


def test_padding_does_not_matter_where_the_object_ends_inside():
    angles = half_turn(90)
    views = views_of([Ellipse(1.0, 25, 20)], angles, 64)
    zero, edge = (fbp(views, angles, padding=p, center=31.5, pixel_size_mm=10.0) for p in ("zero", "edge"))
    np.testing.assert_array_equal(zero, edge)


@pytest.mark.parametrize(("views", "columns"), [(1, 16), (7, 1), (1, 1), (3, 2)])
def test_degenerate_shapes_stay_finite(views, columns):
    image = fbp(
        np.ones((views, 2, columns), np.float32),
        half_turn(views),
        center=(columns - 1) / 2,
        pixel_size_mm=1.0,
    )
    assert image.shape == (2, columns, columns)
    assert np.all(np.isfinite(image))


GOOD = {"center": 7.5, "pixel_size_mm": 0.1}
ONES = np.ones((4, 2, 16), np.float32)


@pytest.mark.parametrize(
    ("views", "angles", "options", "named"),
    [
        (np.ones((4, 16), np.float32), half_turn(4), GOOD, "line_integrals: found shape"),
        (np.ones((0, 2, 16), np.float32), half_turn(0), GOOD, "line_integrals: found shape"),
        (np.ones((4, 2, 16), np.uint16), half_turn(4), GOOD, "line_integrals: found uint16"),
        (np.full((4, 2, 16), np.nan, np.float32), half_turn(4), GOOD, "view 0 holds"),
        (ONES, half_turn(5), GOOD, "angles: found shape"),
        (ONES, [0, 1, np.nan, 2], GOOD, "angles: view 2"),
        (ONES, half_turn(4), GOOD | {"center": 16.0}, "center"),
        (ONES, half_turn(4), GOOD | {"center": np.nan}, "center"),
        (ONES, half_turn(4), GOOD | {"pixel_size_mm": 0.0}, "pixel_size_mm"),
        (ONES, half_turn(4), GOOD | {"pixel_size_mm": -1.0}, "pixel_size_mm"),
        (ONES, half_turn(4), GOOD | {"filter": "ramp"}, "filter"),
        (ONES, half_turn(4), GOOD | {"cutoff": 2.0}, "cutoff"),
        (ONES, half_turn(4), GOOD | {"size": 0}, "size"),
        (ONES, half_turn(4), GOOD | {"padding": "wrap"}, "padding"),
        (ONES, half_turn(4), GOOD | {"weights": np.ones(3)}, "weights"),
        (
            np.ones((4, 2, 16), np.float32),
            half_turn(4),
            GOOD | {"out": np.ones((2, 16, 15), np.float32)},
            "out",
        ),
    ],
)
def test_wrong_arguments_are_named(views, angles, options, named):
    with pytest.raises(InputError, match=named):
        fbp(views, angles, **options)


def test_cost_stays_below_three_slabs():
    for views, columns, rows in ((720, 512, 32), (1500, 1024, 64), (625, 512, 128)):
        slab = 4 * rows * columns * (views + columns)
        assert fbp_cost(views, columns).total(rows) < 3 * slab


@pytest.mark.parametrize("center", [14.3, 80.1])
def test_an_offset_detector_sees_the_whole_in_a_full_turn(center):
    """Half acquisition: 96 columns see an object of 150 across; its own sampling is what is left of the error."""
    angles, columns = np.arange(360) * np.pi / 180, 96
    parts = [Ellipse(0.02, 70, 50, 3, -2, 25), Ellipse(0.01, 12, 9, -30, 10), Ellipse(-0.01, 6, 6, 20, -15)]
    views = views_of(parts, angles, columns, center)
    image = fbp(views, angles, center=center, pixel_size_mm=10.0, offset_detector=True)[0]
    size = 162 if center < 48 else 161
    assert image.shape == (size, size)
    truth, inside = band_limited_image(parts, size=size), radius(size) < 74
    whole = views_of(parts, angles, size)
    floor = fbp(whole, angles, center=(size - 1) / 2, pixel_size_mm=10.0)[0] - truth
    error = image - truth
    # a whole detector sees every line twice and halves what aliases: the offset one may be sqrt(2) worse
    assert np.sqrt(np.mean(error[inside] ** 2)) < 1.5 * np.sqrt(np.mean(floor[inside] ** 2))
    assert abs(error[inside].mean()) < 1e-3 * 0.02


def test_an_offset_detector_needs_a_full_turn():
    with pytest.raises(InputError, match="full turn"):
        fbp(
            np.ones((90, 1, 32), np.float32),
            half_turn(90),
            center=5.0,
            pixel_size_mm=1.0,
            offset_detector=True,
        )


def test_a_centre_for_each_view_takes_their_shifts_back():
    """Every view shifted by its own fraction of a pixel: as if it had not been, but for what the pixels alias."""
    angles, columns = half_turn(180), 96
    disc = [Ellipse(0.1, 20, 12, 5, 3, 30)]
    shaken = 47.5 + np.random.default_rng(4).uniform(-3, 3, 180)
    views = np.concatenate([views_of(disc, angles[i : i + 1], columns, c) for i, c in enumerate(shaken)])
    still = fbp(views_of(disc, angles, columns, 47.5), angles, center=47.5, pixel_size_mm=10.0, filter="hann")
    image = fbp(views, angles, center=shaken, pixel_size_mm=10.0, filter="hann")
    inside = radius(columns) < 40
    # as in the test of the moved axis above
    assert np.abs(image - still)[0][inside].max() < 0.03 * 0.1
    one = fbp(views, angles, center=np.full(180, 47.5), pixel_size_mm=10.0)
    np.testing.assert_array_equal(one, fbp(views, angles, center=47.5, pixel_size_mm=10.0))


@pytest.mark.parametrize(
    "centers", [np.full(7, 8.0), np.array([1.0, 2.0, np.nan, 4.0]), np.array([1, 2, 3, 40.0])]
)
def test_wrong_centres_of_views_are_named(centers):
    with pytest.raises(InputError, match="center"):
        fbp(ONES, half_turn(4), center=centers, pixel_size_mm=0.1)
