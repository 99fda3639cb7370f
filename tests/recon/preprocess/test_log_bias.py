"""The logarithm of few counts: T11 of the closed forms, and what correction makes of it."""

import numpy as np
import pytest
from scipy.stats import poisson

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.noise import log_bias


def exact_bias(mean):
    """−E ln(N / mean) over the Poisson distribution, without the empty outcome."""
    counts = np.arange(1, int(mean + 12 * np.sqrt(mean)) + 20)
    weight = poisson.pmf(counts, mean)
    return float(-(weight @ np.log(counts / mean)) / weight.sum())


@pytest.mark.parametrize(("counts", "stated"), [(10, 0.0542), (30, 0.0171), (100, 0.00504)])
def test_the_closed_form(counts, stated):
    """T11: 1/(2N) + 5/(12N²)."""
    assert log_bias(counts) == pytest.approx(stated, abs=6e-5)
    # the next terms of the series, 3/(4 N³) and more, are 1 % at ten counts
    assert log_bias(counts) == pytest.approx(exact_bias(counts), rel=0.02)


def test_averaging_before_the_logarithm_takes_the_bias_away():
    """Nine pixels of ten counts: the mean of logarithms is off by 5 %, the logarithm of the mean by 0.6 %."""
    counts = np.random.default_rng(1).poisson(10, (200_000, 9))
    after = -np.log(np.maximum(counts, 0.5) / 10).mean()
    before = -np.log(counts.mean(axis=1) / 10).mean()
    assert after > 0.05
    # 200 000 means of ninety counts each: 0.0002
    assert before == pytest.approx(float(log_bias(90)), abs=8e-4)


@pytest.mark.parametrize("counts", [0, -1])
def test_no_counts_are_refused(counts):
    with pytest.raises(InputError, match="average before"):
        log_bias(counts)
