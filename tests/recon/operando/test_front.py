"""Reaction fronts: closed forms (physics reference, C11 and T12) and simulated radiographs."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.operando.front import (
    FrontPath,
    front_by_half_height,
    front_by_maximum_rate,
    front_velocity,
    sharp_front_velocity_um_h,
)
from deltamu.recon.operando.rate import sliding_mean, sliding_rate
from deltamu.recon.simulate.operando.camera import Drift, SeriesCamera
from deltamu.recon.simulate.operando.front_cell import FrontCell, logistic_mean
from deltamu.recon.simulate.presets import BEAMS, Instrument, Preset


@pytest.mark.parametrize(("position", "mean"), [(0.2, 0.206308), (0.5, 0.5), (0.8, 0.793692)])
def test_mean_of_a_logistic_front(position, mean):
    # the reference states six decimals
    assert logistic_mean(np.array(position), 0.08) == pytest.approx(mean, abs=6e-7)


@pytest.mark.parametrize(("level", "velocity"), [(0.6152, 12.28), (1.0, 7.554)])
def test_velocity_of_a_sharp_front(level, velocity):
    # the reference states four digits
    found = sharp_front_velocity_um_h(0.5, lithium_mol_cm3=0.02470, level=level)
    assert found == pytest.approx(velocity, rel=6e-4)


def test_largest_rate_of_a_logistic_front_is_in_its_middle():
    """dU/dt = U x_f' / (4w) at x = x_f."""
    width, level, speed = 0.08, 0.6, 1e-5
    x, times = np.linspace(-0.5, 1.5, 401), 60.0 * np.arange(400)
    front = 0.3 + speed * times
    u = level / (1 + np.exp((x - front[:, None]) / width))
    rate = sliding_rate(times, window_s=600.0).apply(u)[200]
    assert x[np.argmax(rate)] == pytest.approx(front[200], abs=0.5 * (x[1] - x[0]))
    # a window of 0.006 in x against a width of 0.08: (0.006/0.08)²/12 of curvature is lost
    assert rate.max() == pytest.approx(level * speed / (4 * width), rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    speed_um_h=st.floats(5, 120), pixel_mm=st.floats(0.008, 0.030), sign=st.sampled_from([1, -1]),
    start_mm=st.floats(0.02, 0.08),
)  # fmt: skip
def test_a_moving_front_is_followed(speed_um_h, pixel_mm, sign, start_mm):
    duration_s = 0.25 / speed_um_h * 1e3 * 3600
    times = np.linspace(0, duration_s, 300)
    depth = np.arange(-0.2, 0.6, pixel_mm)
    position = start_mm + speed_um_h * times / 3.6e6
    change = sign * 0.5 / (1 + np.exp((depth - position[:, None]) / 0.032))
    sigma = np.full(change.shape, 1e-4)
    rate = sliding_rate(times, window_s=duration_s / 20)
    path = front_by_maximum_rate(
        rate.apply(change), rate.sigma(sigma), depth, times, limits_mm=(-0.1, 0.5), fit=rate, sign=sign
    )
    # a parabola through the top of sech² on pixels of up to 30 µm
    assert np.nanmax(np.abs(path.depth_mm - position)[30:-30]) < 0.002
    found = front_velocity(path, between_mm=(start_mm + 0.03, start_mm + 0.22))
    assert found.um_per_h == pytest.approx(speed_um_h, rel=0.02)
    mean = sliding_mean(times, window_s=duration_s / 20)
    half = front_by_half_height(
        mean.apply(change), mean.sigma(sigma), depth, times, limits_mm=(-0.2, 0.5), fit=mean, sign=sign
    )
    # linear between pixels of up to 30 µm, on a profile whose half height shifts with the plateau's end
    assert np.nanmax(np.abs(half.depth_mm - position)[60:-30]) < 0.006


def test_noise_alone_has_no_front():
    rng = np.random.default_rng(3)
    times, depth = 60.0 * np.arange(200), np.arange(0, 0.4, 0.027)
    sigma = np.full((200, depth.size), 1e-3)
    rate = sliding_rate(times, window_s=1200.0)
    path = front_by_maximum_rate(
        rate.apply(rng.normal(0, 1e-3, sigma.shape)), rate.sigma(sigma), depth, times, limits_mm=(0.0, 0.4), fit=rate
    )  # fmt: skip
    assert not np.isfinite(path.depth_mm).any()
    with pytest.raises(InputError, match="is there a front"):
        front_velocity(path, between_mm=(0.0, 0.4))


def test_the_interval_of_a_line_is_students():
    """Independent positions of known noise: 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(5)
    times, hits = 3600.0 * np.arange(20), 0
    for _ in range(400):
        depth = 0.01 * np.arange(20) + rng.normal(0, 0.002, 20)
        path = FrontPath(times, depth, np.full(20, 0.002), None, "maximum rate")
        low, high = front_velocity(path, between_mm=(-1, 1)).interval_um_per_h
        hits += low <= 10.0 <= high
    # the interval errs to the safe side (noise scaled up, never down): 94 to 99.5 % of 400
    assert 376 <= hits <= 398


@functools.cache
def clean_region() -> tuple[np.ndarray, np.ndarray, FrontCell, tuple[float, float]]:
    """Transmission (frame, row) of the middle of the cell during its discharge, without noise."""
    cell, columns = FrontCell(), 8
    times = (np.arange(610) - 10 + 0.5) * 60.0
    preset = Preset(rows=64, columns=columns, views=610, pixel_size_mm=0.027, counts=6000, fine=2)
    camera = SeriesCamera(cell, preset, BEAMS["ideal"], Instrument(), times, Drift(0, 0, 0), 1)
    rows = np.stack([camera.transmission(frame).mean(axis=1) for frame in range(times.size)])
    half = 0.027 * columns / 2
    return rows, times, cell, (-half - 0.3 * 0.027, half - 0.3 * 0.027)


@pytest.mark.slow
def test_fifty_discharges():
    """1.63 mA/cm², 27 µm pixels: within 10 µm and 3 %, and intervals that hold the truth."""
    clean, times, cell, region = clean_region()
    depth = (np.arange(64) - 31.5) * 0.027 - cell.cathode_start_mm - cell.surfaces.bow_mm * 2 / 3
    truth = np.array([cell.region_front_mm(time, region) for time in times])
    passage = (truth > 0.15 * cell.cathode_mm) & (truth < 0.85 * cell.cathode_mm)
    true_velocity = np.polyfit(times[passage] / 3600, 1e3 * truth[passage], 1)[0]
    rate, hits, counts = sliding_rate(times, window_s=1800.0), 0, 6000 * 96 / 1.3
    for seed in range(50):
        drawn = np.random.default_rng(seed).poisson(clean * counts) / counts
        change, sigma = -np.log(drawn / drawn[:10].mean(axis=0)), 1 / np.sqrt(drawn * counts)
        path = front_by_maximum_rate(
            rate.apply(change), rate.sigma(sigma), depth, times, limits_mm=(0.0, cell.cathode_mm), fit=rate
        )
        assert np.sqrt(np.mean((path.depth_mm - truth)[passage] ** 2)) < 0.010
        found = front_velocity(path, between_mm=(0.15 * cell.cathode_mm, 0.85 * cell.cathode_mm))
        assert found.um_per_h == pytest.approx(true_velocity, rel=0.03)
        hits += found.interval_um_per_h[0] <= true_velocity <= found.interval_um_per_h[1]
    # 95 % of 50; fewer than 44 happens by chance in less than 1 % of the cases
    assert hits >= 44
