"""Filtering and upsampling of views on what it does to sines, edges and noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.solvers.filters import filter_response
from deltamu.recon.solvers.view_filter import ViewFilter


def columns_filter(columns=64, before=0, after=0, *, edge=False, row_steps=1):
    return ViewFilter(columns, before, after, "ram-lak", 1.0, edge, row_steps)


def read_between(fine, position):
    """Linear interpolation between samples at half the pitch, as the back-projection does it."""
    return np.interp(2 * position, np.arange(fine.size), fine)


def filtered_directly(view, position):
    """The ramp's band-limited kernel summed at any position, Kak and Slaney 1988, equation 61."""
    t = position[:, None] - np.arange(view.size)
    kernel = 0.5 * np.sinc(t) - 0.25 * np.sinc(t / 2) ** 2
    return kernel @ view


@settings(max_examples=30, deadline=None)
@given(columns=st.integers(1, 50), before=st.integers(0, 9), after=st.integers(0, 9), seed=st.integers(0, 99))
def test_covers_what_was_asked_for(columns, before, after, seed):
    view = np.random.default_rng(seed).normal(size=(2, 3, columns)).astype(np.float32)
    for steps, height in ((1, 3), (2, 5), (4, 9)):
        fine = columns_filter(columns, before, after, row_steps=steps)(view, np.zeros(2))
        assert fine.shape == (2, height, 2 * (before + columns + after) - 1)


def test_reading_between_columns_keeps_every_amplitude():
    """Averaged over where it is read, a sine has its amplitude; linear interpolation alone would lose 19 % near Nyquist."""
    columns, position = 256, np.linspace(60, 190, 4001)
    window = np.exp(-(((np.arange(columns) - 127.5) / 30) ** 2))
    for frequency in (0.05, 0.2, 0.35, 0.45):
        view = window * np.cos(2 * np.pi * frequency * np.arange(columns))
        fine = columns_filter(columns)(view[None, None].astype(np.float32), np.zeros(1))[0, 0]
        read, exact = read_between(fine, position), filtered_directly(view, position)
        carrier = np.exp(-2j * np.pi * frequency * position)
        # the amplitude at its own frequency is restored to a part in a thousand
        assert abs(read @ carrier) == pytest.approx(abs(exact @ carrier), rel=1e-3)


def test_values_at_the_samples_before_compensation_is_the_ramp():
    """A smooth view needs no compensation: at and between its samples the exact convolution is found."""
    columns = 128
    view = np.exp(-(((np.arange(columns) - 60) / 12) ** 2))
    fine = columns_filter(columns, 5, 7)(view[None, None].astype(np.float32), np.zeros(1))[0, 0]
    position = np.arange(fine.size) / 2 - 5
    exact = filtered_directly(view, position)
    np.testing.assert_allclose(fine, exact, atol=2e-3 * exact.max())


def test_a_slanted_line_is_filtered_along_its_slope():
    """A view that only depends on the distance across the slanted axis is filtered like one without slope."""
    rows, columns, slope = 64, 96, 0.25
    row, column = np.indices((rows, columns))
    norm = np.hypot(1, slope)
    across = ((column - 47.5) + slope * (row - 31.5)) / norm
    view = np.exp(-((across / 4) ** 2)).astype(np.float32)
    fine = columns_filter(columns, row_steps=2)(view[None], np.array([slope]))[0]
    sample = np.arange(-100, 101)
    straight = np.exp(-((sample / 4.0) ** 2))
    middle = fine[62:65:2, ::2]
    position = ((np.arange(columns) - 47.5)[None] + slope * (np.array([31, 32]) - 31.5)[:, None]) / norm
    exact = filtered_directly(straight, position.ravel() + 100).reshape(position.shape)
    near = np.abs(position) < 12
    np.testing.assert_allclose(middle[near], exact[near], atol=0.01 * exact.max())


def test_repeated_edges_are_what_the_gridding_path_repeats():
    """A view that continues as a constant loses its rim: a constant has no ramp but at the ends."""
    view = np.ones((1, 1, 64), np.float32)
    zero, edge = (columns_filter(edge=e)(view, np.zeros(1))[0, 0] for e in (False, True))
    assert zero[0] > 0.1
    # padded to a circle of constants, only the ramp's own zero frequency is left
    assert np.abs(edge).max() <= 1.01 * filter_response("ram-lak", columns_filter().padded)[0]


@pytest.mark.parametrize("steps", [2, 4])
def test_rows_are_read_between_with_their_amplitude(steps):
    """A cosine along the rows, symmetric at both ends, is what the mirror continues exactly."""
    rows, columns = 33, 32
    profile = np.exp(-(((np.arange(columns) - 15.5) / 4) ** 2))
    frequency = 13 / 64  # a whole number of half waves
    wave = np.cos(2 * np.pi * frequency * np.arange(rows))
    view = (wave[:, None] * profile).astype(np.float32)
    fine = columns_filter(columns, row_steps=steps)(view[None], np.zeros(1))[0]
    flat = columns_filter(columns)(profile[None, None].astype(np.float32), np.zeros(1))[0, 0]
    gain = 1 / np.sinc(frequency / steps) ** 2
    expected = (
        gain * np.cos(2 * np.pi * frequency * np.arange(steps * (rows - 1) + 1) / steps)[:, None] * flat
    )
    np.testing.assert_allclose(fine, expected, atol=1e-4 * expected.max())
