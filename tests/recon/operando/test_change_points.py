"""Change points of signals whose changes are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.operando.change_points import find_change_points, slope_change
from deltamu.recon.simulate.operando.charging import autoregressive

TIMES = 60.0 * np.arange(400)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), knee=st.integers(80, 320), rise=st.floats(2e-6, 1e-5))
def test_a_knee_is_found_once(seed, knee, rise):
    """Slopes of a voltage that differ by 7 to 36 mV/h under a noise of 0.5 mV."""
    rng = np.random.default_rng(seed)
    signal = 3.3 + 2e-5 * TIMES + rise * np.maximum(TIMES - TIMES[knee], 0) + 5e-4 * rng.standard_normal(400)
    found = find_change_points(TIMES, signal)
    assert len(found) == 1
    change = slope_change(TIMES, signal, found[0].time_s, window_s=2700.0, search_s=900.0)
    assert change is not None
    assert change.time_s == pytest.approx(TIMES[knee], abs=300 + 4 * change.sigma_s)


def test_noise_and_a_straight_line_have_none():
    """False alarms in 100 signals of white noise, and of noise that remembers itself for ten minutes."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        alarms += len(find_change_points(TIMES, 1e-5 * TIMES + 1e-3 * rng.standard_normal(400)))
        alarms += len(find_change_points(TIMES, 0.02 * autoregressive(TIMES, tau_s=600.0, rng=rng)))
    # the penalty of 60 for five numbers and a place lets through fewer than one in a thousand
    assert alarms <= 1


def test_a_change_of_noise_alone_is_found():
    rng = np.random.default_rng(1)
    signal = np.where(TIMES[200] > TIMES, 0.001, 0.02) * rng.standard_normal(400)
    assert [abs(point.index - 200) <= 4 for point in find_change_points(TIMES, signal)] == [True]


def test_values_that_are_missing_are_left_out():
    rng = np.random.default_rng(2)
    signal = 2e-5 * np.maximum(TIMES - TIMES[200], 0) + 1e-3 * rng.standard_normal(400)
    signal[50:90] = np.nan
    found = find_change_points(TIMES, signal)
    assert len(found) == 1
    assert abs(found[0].index - 200) < 15
    with pytest.raises(InputError, match="at least 21"):
        find_change_points(TIMES[:15], signal[:15])


def test_the_score_of_a_slope_change_is_its_scatter():
    """Equal slopes: the score of 300 draws has unit variance."""
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(300):
        change = slope_change(TIMES, rng.standard_normal(400), TIMES[200], window_s=2700.0, search_s=900.0)
        assert change is not None
        scores.append(change.score)
    # the memory of 45 residuals is taken from themselves: up to a fifth too wide or too narrow
    assert 0.75 < np.std(scores) < 1.2
