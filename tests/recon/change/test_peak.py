from dataclasses import replace

import numpy as np
import pytest

from deltamu.recon.change.peak import find_peak, noise_floor
from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.errors import InputError


def profile_of(mean: np.ndarray, depth: np.ndarray, error: float = 0.01) -> DepthProfile:
    inside = (depth > 0) & (depth < 0.4)
    eroded = (depth > 0.06) & (depth < 0.34)
    count = np.full(depth.size, 100)
    same = np.full(depth.size, error)
    return DepthProfile(depth, depth, mean, same, same, count, eroded, inside, 0.0, 0.0)


DEPTH = np.arange(-4, 20) * 0.027 + 0.0135


def test_the_peaks_of_the_demo_are_found_between_the_bins(lithium_profiles) -> None:
    """Peaks at x = 0.350 and 0.6336 of 0.40 mm (physics of the cell), bins of 27 µm."""
    for state, depth, height in (("discharged", 0.14, 1.3062), ("charged", 0.25344, 0.5146)):
        mean = 1.5367 * lithium_profiles[state](DEPTH / 0.4)
        peak = find_peak(profile_of(mean, DEPTH))
        # a cubic over seven bins against a Gaussian and a logistic
        assert peak.depth_mm == pytest.approx(depth, abs=0.005)
        assert peak.delta_mu == pytest.approx(height, rel=0.02)
        assert peak.fitted


def test_a_negative_change_has_a_negative_peak(lithium_profiles) -> None:
    mean = 1.5367 * (lithium_profiles["charged"](DEPTH / 0.4) - lithium_profiles["discharged"](DEPTH / 0.4))
    peak = find_peak(profile_of(mean, DEPTH))
    assert peak.delta_mu == pytest.approx(-1.0373, rel=0.02)
    assert peak.depth_mm == pytest.approx(0.2994 * 0.4, abs=0.006)


def test_errors_match_repeated_noise() -> None:
    rng = np.random.default_rng(0)
    clean = 1.3 - 20 * (DEPTH - 0.2) ** 2
    peaks = [find_peak(profile_of(clean + 0.01 * rng.standard_normal(DEPTH.size), DEPTH)) for _ in range(400)]
    # 400 draws: 3.5 %, and the noise moves the window now and then
    assert np.std([p.depth_mm for p in peaks]) == pytest.approx(peaks[0].depth_standard_error_mm, rel=0.25)
    assert np.std([p.delta_mu for p in peaks]) == pytest.approx(peaks[0].standard_error, rel=0.25)


def test_the_error_of_the_surface_belongs_to_the_depth() -> None:
    clean = 1.3 - 20 * (DEPTH - 0.2) ** 2
    alone = find_peak(profile_of(clean, DEPTH))
    both = find_peak(profile_of(clean, DEPTH), surface_error_mm=0.003)
    assert both.depth_standard_error_mm == pytest.approx(np.hypot(alone.depth_standard_error_mm, 0.003))


def test_a_slope_without_a_turning_point_gives_its_largest_bin() -> None:
    peak = find_peak(profile_of(DEPTH + 1, DEPTH))
    assert not peak.fitted
    assert peak.depth_mm in DEPTH
    assert peak.depth_standard_error_mm == pytest.approx(0.0135)


def test_three_bins_are_enough_for_a_parabola() -> None:
    depth = np.array([0.08, 0.17, 0.26])
    peak = find_peak(profile_of(1 - 10 * (depth - 0.15) ** 2, depth))
    assert peak.depth_mm == pytest.approx(0.15, abs=1e-9)
    assert peak.delta_mu == pytest.approx(1.0, abs=1e-9)


def test_the_noise_floor_is_the_rms_of_the_eroded_bins() -> None:
    mean = np.where(DEPTH < 0.06, 7.0, 0.03)
    assert noise_floor(profile_of(np.where(DEPTH > 0.34, 7.0, mean), DEPTH)) == pytest.approx(0.03)


def test_a_profile_without_values_is_refused() -> None:
    empty = profile_of(np.full(DEPTH.size, np.nan), DEPTH)
    with pytest.raises(InputError, match="no bin"):
        find_peak(empty)
    with pytest.raises(InputError, match="no bin"):
        noise_floor(replace(empty, eroded=np.zeros(DEPTH.size, bool)))
