"""Local current densities against currents that are known."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.operando.current_distribution import current_distribution
from deltamu.recon.operando.strips import Strips
from deltamu.recon.operando.zone_charge import ZoneCharges

RADIUS = 3.0
STRIPS = Strips(np.array([-3.1, -3.0, -2.9, -1.5, 0.0, 1.5, 2.9, 3.0, 3.1]), 200.0, 0.02)
TIMES = 1200.0 * np.arange(15)


def charges(density: np.ndarray, noise: float = 0.0, seed: int = 0) -> ZoneCharges:
    """A constant current density (strip,) in mA/cm²."""
    clean = TIMES[:, None] / 3600 * density * STRIPS.chord_areas_cm2(RADIUS)
    strips = clean + noise * np.random.default_rng(seed).standard_normal(clean.shape)
    sigma = np.full(clean.shape, noise)
    total = strips.sum(axis=1)
    return ZoneCharges(TIMES, {"a": total}, {"a": np.zeros(15)}, {"a": strips}, {"a": sigma})


def test_areas_make_up_the_disc():
    assert STRIPS.chord_areas_cm2(RADIUS).sum() == pytest.approx(0.09 * np.pi, rel=1e-12)
    # half a disc lies beyond its middle
    assert STRIPS.chord_areas_cm2(RADIUS)[4:].sum() == pytest.approx(0.045 * np.pi, rel=1e-12)


def test_a_constant_current_comes_back_in_every_strip():
    density = np.linspace(-0.5, 1.0, STRIPS.count)
    found = current_distribution(charges(density), "a", STRIPS, radius_mm=RADIUS, window_s=6000)
    # the strips of the blur beyond the pellet are left out
    np.testing.assert_allclose(found.edges_mm, [[-2.9, -1.5], [-1.5, 0], [0, 1.5], [1.5, 2.9]])
    np.testing.assert_allclose(found.ma_cm2, np.tile(density[2:6], (15, 1)), atol=1e-12)


def test_sigma_is_the_scatter_of_draws():
    density = np.ones(STRIPS.count)
    drawn = [
        current_distribution(charges(density, 0.01, seed), "a", STRIPS, radius_mm=RADIUS, window_s=6000)
        for seed in range(300)
    ]
    scatter = np.std([found.ma_cm2[7] for found in drawn], axis=0)
    # 300 draws give a standard deviation to 4 %
    np.testing.assert_allclose(scatter, drawn[0].sigma_ma_cm2[7], rtol=0.17)


def test_too_few_times_are_refused():
    with pytest.raises(InputError, match="expected a longer window"):
        current_distribution(charges(np.ones(8)), "a", STRIPS, radius_mm=RADIUS, window_s=1000)
