"""Transmission ratios: closed forms and counting noise (physics reference, T13 and C11)."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.operando.ratio import optical_depth_change, ratio_of_change, transmission_ratio


@pytest.mark.parametrize(("delta_mu", "path_cm", "ratio"), [(-0.0898, 1.0, 1.09395), (1.5367, 0.6, 0.39771)])
def test_closed_forms(delta_mu, path_cm, ratio):
    # the reference states five decimals
    assert ratio_of_change(np.array(delta_mu * path_cm)) == pytest.approx(ratio, abs=6e-6)
    assert optical_depth_change(np.array(ratio)) == pytest.approx(delta_mu * path_cm, abs=2e-5)


def test_sigma_is_that_of_counts():
    now, before = 2.0e4, 3.0e4
    found = transmission_ratio(np.array(now), np.array(before), variance=now, reference_variance=before)
    assert found.sigma == pytest.approx(now / before * np.sqrt(1 / now + 1 / before), rel=1e-12)
    # 2e4 neutrons in region and reference each give 1 %
    same = transmission_ratio(np.array(2e4), np.array(2e4), variance=2e4, reference_variance=2e4)
    assert same.change_sigma == pytest.approx(0.01, rel=1e-12)


def test_sigma_is_the_scatter_of_poisson_counts():
    rng = np.random.default_rng(0)
    now, before = rng.poisson(4000, 20_000), rng.poisson(9000, 20_000)
    found = transmission_ratio(now, before, variance=now, reference_variance=before)
    # 20 000 draws give a standard deviation to 0.5 %; first-order propagation is good to 1/N here
    assert found.sigma.mean() == pytest.approx(np.std(now / before), rel=0.02)


def test_an_opaque_reference_is_refused():
    with pytest.raises(InputError, match="opaque"):
        transmission_ratio(np.ones(3), np.array([1.0, 0.0, 1.0]))
    with pytest.raises(InputError, match="negative"):
        transmission_ratio(np.ones(3), np.ones(3), variance=-1.0)
    assert np.isnan(optical_depth_change(np.array([0.0, -1.0]))).all()
