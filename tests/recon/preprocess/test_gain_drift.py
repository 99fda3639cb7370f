"""The drift of gains between the flats before and after a scan."""

import warnings

import numpy as np
import pytest

from deltamu.recon.preprocess.noise import gain_drift_between

SHAPE, LEVEL = (48, 64), 20_000.0


def flats(rng, gain, count=8):
    return rng.poisson(LEVEL * gain, (count, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("drift", [0.0, 0.002, 0.01])
def test_drift_between_two_sets_of_flats(drift):
    """after − before varies by the drift's variance; the scan in between differs by half of its deviation."""
    rng = np.random.default_rng(1)
    after = 1 + drift * rng.standard_normal(SHAPE)
    found = gain_drift_between(
        flats(rng, np.ones(SHAPE)), flats(rng, after), np.full(SHAPE, LEVEL, np.float32), np.ones(SHAPE, bool)
    )
    # 3072 pixels know a variance to 3 %; without drift, what is left of the counting noise's
    assert found == pytest.approx(drift / 2, rel=0.1, abs=5e-4)


def test_a_dead_pixel_neither_counts_nor_divides_by_zero():
    rng = np.random.default_rng(2)
    good = np.ones(SHAPE, bool)
    good[5, 7] = False
    level = np.full(SHAPE, LEVEL, np.float32)
    level[5, 7] = 0
    before, after = flats(rng, np.ones(SHAPE)), flats(rng, 1 + 0.01 * rng.standard_normal(SHAPE))
    before[:, 5, 7] = after[:, 5, 7] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gain_drift_between(before, after, level, good)
    assert found == pytest.approx(0.005, rel=0.1)
