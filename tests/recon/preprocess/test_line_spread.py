"""The wide tail of the line spread: measured on an edge, removed from transmission."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.line_spread import (
    FWHM_PER_SIGMA,
    LineSpreadTail,
    measure_tail,
    noise_without_tail,
    remove_tail,
)
from deltamu.recon.preprocess.noise import white_noise

TAIL = LineSpreadTail(0.05, 11.0)


def with_tail(image, tail):
    wide = gaussian_filter(np.asarray(image, float), tail.sigma_px, mode="nearest", truncate=6)
    return (1 - tail.fraction) * image + tail.fraction * wide


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 40), columns=st.integers(1, 50), fraction=st.floats(0, 0.3), fwhm=st.floats(3, 30))
def test_deconvolution_undoes_the_tail(rows, columns, fraction, fwhm):
    """Against scipy's Gaussian, in an image that ends in a level as wide as the tail reaches: what lies beyond the
    border is not known, and is taken to be like it."""
    tail = LineSpreadTail(fraction, fwhm)
    margin = int(np.ceil(6 * tail.sigma_px))
    image = np.pad(
        np.random.default_rng(rows * columns).uniform(0, 1, (rows, columns)), margin, constant_values=0.5
    )
    found = remove_tail(with_tail(image, tail), tail)
    assert found.shape == image.shape
    assert found.dtype == np.float32
    # a Gaussian of three pixels, sampled, is that of its transfer function to 3e-4 at the highest frequency
    np.testing.assert_allclose(found, image, atol=1e-3)


def test_a_level_is_left_alone():
    np.testing.assert_allclose(remove_tail(np.full((2, 9, 13), 0.7), TAIL), 0.7, atol=1e-6)


def edge(tail, core_px, *, slant=0.05, rows=96, columns=200, dark=0.02):
    """A slanted edge whose spread is the closed form: error functions of core and tail."""
    y, x = np.mgrid[:rows, :columns]
    distance = (x - columns / 2 - slant * (y - rows / 2)) / np.hypot(1, slant)
    core = special.ndtr(distance / (core_px / FWHM_PER_SIGMA))
    wide = special.ndtr(distance / tail.sigma_px)
    return dark + (1 - dark) * ((1 - tail.fraction) * core + tail.fraction * wide)


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_an_edge_gives_the_tail(turn):
    """Share to 3 % of itself, width to 5 %, under the noise of 6000 counts, whatever side is dark."""
    image = edge(TAIL, 2.0)
    noisy = image + np.random.default_rng(3).normal(0, 0.013, image.shape)
    found = measure_tail(np.rot90(noisy, turn))
    assert found.tail.fraction == pytest.approx(0.05, rel=0.1)
    assert found.tail.fwhm_px == pytest.approx(11.0, rel=0.15)
    assert found.core_fwhm_px == pytest.approx(2.0, rel=0.1)
    clean = measure_tail(np.rot90(image, turn))
    assert clean.tail.fraction == pytest.approx(0.05, rel=0.03)
    assert clean.tail.fwhm_px == pytest.approx(11.0, rel=0.05)


def test_an_edge_without_tail_has_none():
    found = measure_tail(edge(LineSpreadTail(0.0, 11.0), 2.0))
    assert found.tail.fraction < 0.002


def test_noise_after_removal():
    """The variance of a pixel and the covariance of neighbours are those of filtered white noise."""
    noise = white_noise(1.0, read_variance=0.0, gain_drift=0.0, origin="given")
    expected = noise_without_tail(noise, TAIL).autocorrelation
    assert expected.sum() == pytest.approx(1)
    white = np.random.default_rng(1).normal(size=(60, 128, 128))
    filtered = remove_tail(white, TAIL)
    middle = expected.shape[0] // 2
    # 1e6 independent pixels: 0.15 %; the border, where the edge repeats, is left out
    inside = filtered[:, 16:-16, 16:-16].astype(float)
    assert np.var(inside) == pytest.approx(expected[middle, middle], rel=0.01)
    assert np.mean(inside[:, :, 1:] * inside[:, :, :-1]) == pytest.approx(
        expected[middle, middle + 1], abs=0.004
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LineSpreadTail(0.6, 10.0), "tail_fraction"),
        (lambda: LineSpreadTail(0.1, 0.0), "tail_fwhm"),
        (lambda: measure_tail(np.ones((40, 40))), "edge"),
        (lambda: measure_tail(np.ones((4, 40))), "16"),
    ],
)
def test_wrong_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
