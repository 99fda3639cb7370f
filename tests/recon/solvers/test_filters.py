"""Reconstruction filters."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.filters import FILTERS, filter_response, ramp_response


def test_the_ramp_is_absolute_frequency_without_its_offset():
    response = ramp_response(1024)
    frequency = np.arange(513) / 1024
    # cut off at 512 samples the kernel differs from |k| by its missing tail, 1/(pi^2 512) = 2e-4 at most
    np.testing.assert_allclose(response, frequency, atol=2.1e-4)
    # at zero frequency it is the tail itself, which cancels what lies beyond the padding
    assert response[0] == pytest.approx(1 / (np.pi**2 * 512), rel=0.01)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_starts_as_a_ramp_and_falls_to_its_end(name):
    relative = filter_response(name, 4096)[1:] / ramp_response(4096)[1:]
    assert relative[0] == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(relative) <= 1e-12)
    ends = {"ram-lak": 1, "shepp-logan": 2 / np.pi, "cosine": 0, "hamming": 0.08, "hann": 0, "parzen": 0}
    assert relative[-1] == pytest.approx(ends[name], abs=1e-9)


@pytest.mark.parametrize("name", FILTERS)
def test_nothing_passes_beyond_the_cutoff(name):
    response = filter_response(name, 400, cutoff=0.5)
    assert np.all(response[101:] == 0)
    assert np.all(response[1:100] > 0)


# sigma = C sigma_p / (pixel sqrt(views)) for band-limited interpolation
NOISE = {"ram-lak": 0.90690, "shepp-logan": 0.70711, "cosine": 0.40154, "hamming": 0.30278, "hann": 0.27212}


@pytest.mark.parametrize(("name", "coefficient"), NOISE.items())
def test_noise_coefficients_in_closed_form(name, coefficient):
    """T4: sigma = C sigma_p / (a sqrt M), C = pi sqrt(integral of H^2)."""
    response = filter_response(name, 8192)
    power = (response[0] ** 2 + response[-1] ** 2 + 2 * np.sum(response[1:-1] ** 2)) / 8192
    assert np.pi * np.sqrt(power) == pytest.approx(coefficient, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "cutoff"), [("ramlak", 1.0), ("hann", 0.0), ("hann", 1.1), ("hann", np.nan)]
)
def test_refuses_unknown_filters_and_cutoffs(name, cutoff):
    with pytest.raises(InputError):
        filter_response(name, 64, cutoff=cutoff)
