import numpy as np
import pytest
from scipy import integrate, stats

from deltamu.recon.errors import InputError
from deltamu.recon.materials.cell_materials import argyrodite
from deltamu.recon.materials.spectrum import GammaSpectrum

SPECTRUM = GammaSpectrum()


def test_argyrodite_of_six_millimetres() -> None:
    """T9: the optical depth and its inverse."""
    material = argyrodite()
    absorption, scattering = 0.6 * material.absorption_per_angstrom, 0.6 * material.scattering
    depth = SPECTRUM.optical_depth(np.array(absorption), np.array(scattering))
    assert depth == pytest.approx(1.6060, abs=1e-4)
    inverse = SPECTRUM.absorption_integral(depth, scattering_per_absorption_angstrom=scattering / absorption)
    assert inverse == pytest.approx(0.56412, abs=5e-5)
    assert inverse == pytest.approx(absorption, rel=1e-10)


def test_against_the_integral_over_the_spectrum() -> None:
    """The closed form is the logarithm of a quadrature over wavelengths."""
    density = stats.gamma(SPECTRUM.shape, SPECTRUM.shortest_angstrom, SPECTRUM.scale_angstrom).pdf
    for path in (0.1, 1.0, 4.0):
        transmission, _ = integrate.quad(
            lambda wavelength, a=path: density(wavelength) * np.exp(-wavelength * a), 0.8, 60
        )
        assert SPECTRUM.optical_depth(np.array(path), np.array(0.0)) == pytest.approx(
            -np.log(transmission), rel=1e-7
        )


def test_thin_sample_sees_the_mean_wavelength() -> None:
    assert SPECTRUM.mean_angstrom == pytest.approx(3.0)
    np.testing.assert_allclose(
        SPECTRUM.effective_wavelength(np.array([0, 0.5, 1.5])), [3.0, 2.526, 2.006], atol=6e-4
    )


def test_inverse_over_its_range() -> None:
    depth = np.linspace(-0.5, 12, 200)
    path = SPECTRUM.absorption_integral(depth, scattering_per_absorption_angstrom=0.33)
    np.testing.assert_allclose(SPECTRUM.optical_depth(path, 0.33 * path), depth, atol=1e-11)


def test_refuses_what_has_no_solution() -> None:
    with pytest.raises(InputError, match="optical_depth"):
        SPECTRUM.absorption_integral(np.array([np.nan]))
    with pytest.raises(InputError, match="shape"):
        GammaSpectrum(shape=-1)
