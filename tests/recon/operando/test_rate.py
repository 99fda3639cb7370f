"""Rates against the filter of Savitzky and Golay, polynomials and the noise they leave."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_coeffs

from deltamu.recon.errors import InputError
from deltamu.recon.operando.rate import sliding_mean, sliding_rate


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equidistant_times_give_the_filter_of_savitzky_and_golay(order):
    times = 60.0 * np.arange(101)
    fit = sliding_rate(times, window_s=60.0 * 20, order=order)
    row = np.asarray(fit.weights[50].todense()).ravel()[40:61]
    expected = savgol_coeffs(21, order, deriv=1, delta=60.0, use="dot")
    # both invert the same small, well-scaled matrix in double precision
    np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.integers(1, 3), derivative=st.booleans())
def test_polynomials_pass_unchanged_through_uneven_times(seed, order, derivative):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(20, 120, 60))
    polynomial = np.polynomial.Polynomial(rng.uniform(-1, 1, order + 1), domain=[times[0], times[-1]])
    filter_of = sliding_rate if derivative else sliding_mean
    fit = filter_of(times, window_s=1500.0, order=order)
    truth = polynomial.deriv()(times) if derivative else polynomial(times)
    found = fit.apply(polynomial(times))
    assert fit.known.all()
    # uneven windows of few points condition the fit worse: 1e-8 of the size of the polynomial's values
    np.testing.assert_allclose(found, truth, atol=1e-8 * (1 / 1500 if derivative else 1))


def test_stated_noise_is_the_scatter_of_many_draws():
    times = 60.0 * np.arange(61)
    fit = sliding_rate(times, window_s=1800.0)
    draws = np.random.default_rng(1).normal(0, 0.01, (61, 4000))
    scatter = fit.apply(draws)[15:46].std(axis=1)
    # 4000 draws give a standard deviation to 1.1 %; 31 times, five of its sigma
    np.testing.assert_allclose(scatter, fit.sigma(np.full(61, 0.01))[15:46], rtol=0.056)


def test_a_gap_leaves_the_rate_unknown_and_nothing_else():
    times = np.concatenate([np.arange(50), np.arange(500, 550)]) * 60.0
    times = np.insert(times, 50, 275 * 60.0)
    fit = sliding_rate(times, window_s=1200.0)
    rate = fit.apply(2e-4 * times)
    assert np.flatnonzero(~np.isfinite(rate)).tolist() == [50]
    np.testing.assert_allclose(rate[fit.known], 2e-4, rtol=1e-9)


def test_what_cannot_be_filtered_is_refused():
    with pytest.raises(InputError, match="grow from frame to frame"):
        sliding_rate(np.array([0.0, 60.0, 60.0]), window_s=600.0)
    with pytest.raises(InputError, match="longer window"):
        sliding_rate(60.0 * np.arange(10), window_s=60.0)
    with pytest.raises(InputError, match="window_s"):
        sliding_rate(60.0 * np.arange(10), window_s=0.0)
    with pytest.raises(InputError, match="order"):
        sliding_rate(60.0 * np.arange(10), window_s=600.0, order=0)
