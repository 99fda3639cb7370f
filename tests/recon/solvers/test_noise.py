"""Predicted noise against closed forms and against the scatter of simulated noise."""

import numpy as np
import pytest
from scipy.ndimage import correlate, gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.geometry import view_weights
from deltamu.recon.solvers import noise
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.noise import fbp_variance, ring_response, ring_variance, voxel_autocorrelation

COLUMNS, VIEWS = 64, 100
HALF_TURN = np.arange(VIEWS) * np.pi / VIEWS
OPTIONS = {"center": 31.5, "pixel_size_mm": 0.5}
BLUR = 0.8


def radius(size=COLUMNS):
    place = np.arange(size) - (size - 1) / 2
    return np.hypot(place[:, None], place[None, :])


def blur_autocorrelation(sigma, reach=7):
    point = np.zeros((4 * reach + 1, 4 * reach + 1))
    point[2 * reach, 2 * reach] = 1
    spread = gaussian_filter(point, sigma)
    kernel = correlate(spread, spread, mode="constant")[reach:-reach, reach:-reach]
    return kernel / kernel.sum()


def white_noise(variance, rows, seed, blur=None):
    """Noise images of a (angle, column) variance; the blur comes after the draw, as in a scintillator."""
    draws = np.random.default_rng(seed).standard_normal((variance.shape[0], rows, variance.shape[1]))
    images = draws * np.sqrt(variance)[:, None]
    if blur is not None:
        images = gaussian_filter(images, (0, blur, blur), mode="wrap")
    return images.astype(np.float32)


def uneven_variance():
    """A cylinder's chord beside the axis, and a dose that changes from view to view."""
    chord = np.sqrt(np.maximum(1 - ((np.arange(COLUMNS) - 35) / 22) ** 2, 0))
    return 1e-3 * (1 + 3 * chord)[None] * (1 + 0.5 * np.cos(2 * HALF_TURN))[:, None]


# physics.md C6, the column of band-limited methods
COEFFICIENTS = {
    "ram-lak": 0.90690,
    "shepp-logan": 0.70711,
    "cosine": 0.40154,
    "hamming": 0.30278,
    "hann": 0.27212,
}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_uniform_noise_in_closed_form(name):
    """T4: sigma_mu = C sigma_p / (a sqrt M)."""
    sigma_p, columns = 0.05, 512
    angles = np.arange(90) * np.pi / 90
    variance = np.full((90, 1, columns), sigma_p**2, np.float32)
    found = fbp_variance(variance, angles, center=255.5, pixel_size_mm=0.5, filter=name)
    expected = COEFFICIENTS[name] * sigma_p / (0.05 * np.sqrt(90))
    # the window of the gridding is 0.7 % off at zero frequency, half of that in sigma; the Nyquist frequency
    # itself is left out, 0.3 % of the variance of ram-lak
    assert np.sqrt(found[0, 256, 256]) == pytest.approx(expected, rel=7e-3)


@pytest.mark.parametrize("name", ["ram-lak", "hann"])
@pytest.mark.parametrize("blur", [None, BLUR])
def test_counting_noise_against_simulated_noise(name, blur):
    variance = uneven_variance()
    autocorrelation = None if blur is None else blur_autocorrelation(blur)
    square = np.zeros((COLUMNS, COLUMNS))
    for seed in range(8):
        slices = fbp(white_noise(variance, 64, seed, blur), HALF_TURN, filter=name, **OPTIONS)
        square += np.mean(slices.astype(float) ** 2, axis=0) / 8
    views = np.repeat(variance[:, None], 1, 1).astype(np.float32)
    predicted = fbp_variance(views, HALF_TURN, filter=name, autocorrelation=autocorrelation, **OPTIONS)[0]
    inside = radius() < 29
    # 512 slices of some 300 independent voxels each: 0.5 % without, about 1.5 % with correlation
    assert np.mean(square[inside] / predicted[inside]) == pytest.approx(1, abs=0.03)
    # and the map follows: 500 independent values in the neighbourhood of a voxel leave 3 %
    ratio = gaussian_filter(square, 3) / gaussian_filter(predicted, 3)
    assert np.std(ratio[inside]) < 0.03


def test_irregular_views_have_the_noise_of_their_weights():
    angles = np.concatenate([np.linspace(0, 1, 60), np.linspace(1.05, 3.1, 30)])
    variance = np.full((90, COLUMNS), 1e-3)
    square = sum(
        np.mean(fbp(white_noise(variance, 96, s), angles, **OPTIONS).astype(float) ** 2, axis=0) / 4
        for s in range(4)
    )
    predicted = fbp_variance(np.full((90, 1, COLUMNS), 1e-3, np.float32), angles, **OPTIONS)[0]
    inside = radius() < 29
    assert np.mean(square[inside] / predicted[inside]) == pytest.approx(1, abs=0.02)
    # in closed form: the sum of squared weights instead of pi^2 / views
    expected = np.sum(view_weights(angles) ** 2) * 1e-3 / 12 / 0.05**2
    # with 64 columns the Nyquist frequency, left out, is 2.3 %; the gridding adds 0.7 %
    assert predicted[32, 32] == pytest.approx(expected, rel=0.05)


def test_merging_views_changes_the_map_by_less_than_a_percent(monkeypatch):
    columns = 256
    angles = np.arange(360) * np.pi / 360
    chord = np.sqrt(np.maximum(1 - ((np.arange(columns) - 135) / 60) ** 2, 0))
    variance = (np.exp(4 * chord)[None] * (1 + 0.3 * np.sin(3 * angles))[:, None])[:, None].astype(np.float32)
    merged = fbp_variance(variance, angles, center=127.5, pixel_size_mm=1.0)[0]
    monkeypatch.setattr(noise, "ARC_PX", 1e-9)
    exact = fbp_variance(variance, angles, center=127.5, pixel_size_mm=1.0)[0]
    assert np.abs(merged / exact - 1)[radius(columns) < 115].max() < 0.01


def test_error_of_a_disc_mean_in_closed_form():
    """T5: SE = sigma_p sqrt(a [ln(pi R/a) + 0.65666] / (pi^2 M R^3))."""
    pixel_cm, disc, sigma_p, views, columns = 0.01, 20.0, 0.05, 180, 96
    angles = np.arange(views) * np.pi / views
    means = []
    inside = radius(columns) <= disc
    for seed in range(6):
        noise_images = white_noise(np.full((views, columns), sigma_p**2), 256, seed)
        slices = fbp(noise_images, angles, center=47.5, pixel_size_mm=10 * pixel_cm)
        means.append(slices[:, inside].mean(axis=1, dtype=float))
    size_cm = disc * pixel_cm
    expected = sigma_p * np.sqrt(
        pixel_cm * (np.log(np.pi * disc) + 0.65666) / (np.pi**2 * views * size_cm**3)
    )
    # 1536 slices: 2 % of the standard deviation; the voxelised rim adds 2 % more
    assert np.std(means) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("name", ["ram-lak", "hann"])
def test_correlation_between_voxels(name):
    variance = np.full((VIEWS, COLUMNS), 1e-3)
    slices = np.concatenate(
        [fbp(white_noise(variance, 64, s, BLUR), HALF_TURN, filter=name, **OPTIONS) for s in range(4)]
    ).reshape(4, 64, COLUMNS, COLUMNS)[:, :, 16:48, 16:48]
    predicted = voxel_autocorrelation(filter=name, autocorrelation=blur_autocorrelation(BLUR), radius=2)
    scale = np.mean(slices**2)
    for dz, dy, dx in ((0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 0, 2), (1, 0, 0), (1, 0, 1), (2, 0, 0)):
        near = slices[:, : 64 - dz, : 32 - dy, : 32 - dx]
        far = slices[:, dz:, dy:, dx:]
        # 256 correlated slices of 32 x 32 voxels: 0.01
        assert np.mean(near * far) / scale == pytest.approx(predicted[2 + dz, 2 + dy, 2 + dx], abs=0.02)


def test_voxel_autocorrelation_of_independent_pixels():
    found = voxel_autocorrelation()
    assert found.shape == (7, 7, 7)
    assert found[3, 3, 3] == 1
    assert np.all(found[[0, 1, 2, 4, 5, 6]] == 0)
    np.testing.assert_allclose(found, found[::-1, ::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), atol=1e-12)
    # neighbours of ramp-filtered noise are anti-correlated on the whole: the sum tends to zero
    assert abs(voxel_autocorrelation(radius=40)[40].sum()) < 0.05


def test_ring_response_is_the_mean_of_fbp_around_the_axis():
    center, column = 31.7, 45
    views = np.zeros((400, 1, COLUMNS), np.float32)
    views[:, :, column] = 1
    angles = np.arange(400) * np.pi / 400
    image = fbp(views, angles, center=center, pixel_size_mm=0.5)[0]
    place = radius()
    response = ring_response(COLUMNS, center=center, pixel_size_mm=0.5, radii_px=place.ravel())[:, column]
    rings = np.rint(place).astype(int).ravel()
    count = np.maximum(np.bincount(rings), 1)
    found, expected = (np.bincount(rings, values) / count for values in (image.ravel(), response))
    # the few voxels of a small ring, and the begin and end of the half turn
    np.testing.assert_allclose(found[4:30], expected[4:30], atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("angles", "tolerance"),
    [
        # half turns are a little low near the axis and where the views begin and end
        (HALF_TURN, 0.06),
        (HALF_TURN + 0.7, 0.06),
        (np.arange(2 * VIEWS) * np.pi / VIEWS, 0.06),
    ],
)
@pytest.mark.parametrize("blur", [None, BLUR])
def test_noise_shared_by_all_views_against_simulated_noise(angles, tolerance, blur):
    variance = 1e-4 * (1 + 0.5 * (np.arange(COLUMNS) - 31.5) / 32)[None]
    autocorrelation = None if blur is None else blur_autocorrelation(blur)
    square = np.zeros((COLUMNS, COLUMNS))
    for seed in range(12):
        shared = np.repeat(white_noise(variance, 128, seed, blur), angles.size, axis=0)
        square += np.mean(fbp(shared, angles, **OPTIONS).astype(float) ** 2, axis=0) / 12
    predicted = ring_variance(variance, angles=angles, autocorrelation=autocorrelation, **OPTIONS)[0]
    inside = (radius() > 5) & (radius() < 26)
    # 1536 draws of some 20 independent columns: 1 %, twice that with correlation
    assert np.mean(square[inside]) == pytest.approx(np.mean(predicted[inside]), rel=tolerance)
    for half in (np.s_[:30], np.s_[34:]):
        ratio = np.mean(square[half][inside[half]]) / np.mean(predicted[half][inside[half]])
        assert ratio == pytest.approx(1, abs=0.08)


def test_shared_noise_of_a_disc_mean_adds_over_columns():
    """Variance of a disc's mean = sum over columns of (mean ring response)^2 v."""
    place = radius()
    inside = place <= 20
    weights = ring_response(COLUMNS, radii_px=place[inside], **OPTIONS).mean(axis=0)
    predicted = np.sum(weights**2) * 1e-4
    means = []
    for seed in range(8):
        shared = np.repeat(white_noise(np.full((1, COLUMNS), 1e-4), 128, seed), VIEWS, axis=0)
        means.append(fbp(shared, HALF_TURN, **OPTIONS)[:, inside].mean(axis=1, dtype=float))
    # 1024 draws: 4.4 % of a variance, three times that
    assert np.var(means) == pytest.approx(predicted, rel=0.13)


ONES = np.ones((4, 2, 16), np.float32)
PLACE = {"center": 7.5, "pixel_size_mm": 0.1}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: fbp_variance(-ONES, np.arange(4), **PLACE), "variance: found -1"),
        (lambda: fbp_variance(ONES * np.nan, np.arange(4), **PLACE), "variance"),
        (lambda: fbp_variance(ONES, np.arange(5), **PLACE), "angles"),
        (
            lambda: fbp_variance(ONES, np.arange(4), autocorrelation=np.ones((3, 3)), **PLACE),
            "autocorrelation",
        ),
        (
            lambda: fbp_variance(ONES, np.arange(4), autocorrelation=np.ones((2, 3)), **PLACE),
            "autocorrelation",
        ),
        (lambda: ring_variance(-ONES[0], **PLACE), "open_beam_variance"),
        (lambda: ring_variance(ONES, **PLACE), "open_beam_variance"),
        (lambda: ring_variance(ONES[0], center=7.5, pixel_size_mm=0.0), "pixel_size_mm"),
        (lambda: ring_response(16, radii_px=np.array([np.nan]), **PLACE), "radii_px"),
        (lambda: voxel_autocorrelation(filter="none"), "filter"),
        (lambda: voxel_autocorrelation(radius=-1), "radius"),
    ],
)
def test_wrong_arguments_are_named(call, named):
    with pytest.raises(InputError, match=named):
        call()
