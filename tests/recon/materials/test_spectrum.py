import numpy as np
import pytest
from scipy import integrate, stats

from deltamu.recon.errors import InputError
from deltamu.recon.materials.cell_materials import argyrodite
from deltamu.recon.materials.lithium import kappa
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


# A5: absorption per angstrom and cm, scattering per cm, attenuation at paths of 0, 0.1, 0.3, 0.6 and 1 cm
HARDENED = {
    "Li": (1.8167, 0.0634, (5.513, 5.326, 5.012, 4.648, 4.288)),
    "LPSCl": (0.9402, 0.1231, (2.944, 2.892, 2.798, 2.677, 2.542)),
    "S cathode pristine": (0.4379, 0.2245, (1.538, 1.527, 1.505, 1.475, 1.438)),
    "S cathode discharged": (1.0212, 0.2449, (3.309, 3.248, 3.138, 2.998, 2.845)),
    "In": (4.1328, 0.1005, (12.50, 11.60, 10.34, 9.142, 8.150)),
    "SS316L": (0.1461, 0.906, (1.344, 1.343, 1.341, 1.337, 1.332)),
    "NMC70": (0.9504, 0.500, (3.351, 3.298, 3.203, 3.079, 2.942)),
}


@pytest.mark.parametrize("name", HARDENED)
def test_attenuation_falls_with_the_path(name: str) -> None:
    """To the digits of the table: coefficients with four digits give four."""
    absorption, scattering, expected = HARDENED[name]
    paths = np.array([1e-6, 0.1, 0.3, 0.6, 1.0])
    found = SPECTRUM.optical_depth(absorption * paths, scattering * paths) / paths
    np.testing.assert_allclose(found, expected, rtol=6e-4)


def test_lithium_looks_weaker_behind_absorber() -> None:
    """A5: the conversion of a small change at absorption integrals of 0 to 1.5, and of a full discharge on the axis."""
    behind = np.array([0, 0.25, 0.5, 1, 1.5])
    effective = SPECTRUM.effective_wavelength(behind)
    np.testing.assert_allclose(effective, [3.0, 2.734, 2.526, 2.219, 2.006], atol=6e-4)
    np.testing.assert_allclose(
        [kappa(float(at)) for at in effective], [71.66, 65.38, 60.46, 53.23, 48.18], rtol=6e-4
    )
    for diameter, apparent in ((0.6, 1.523), (1.0, 1.407)):
        seen = [
            SPECTRUM.optical_depth(np.array(a * diameter), np.array(s * diameter)) / diameter
            for a, s, _ in (HARDENED["S cathode discharged"], HARDENED["S cathode pristine"])
        ]
        assert seen[0] - seen[1] == pytest.approx(apparent, abs=1e-3)


def test_inverse_over_its_range() -> None:
    depth = np.linspace(-0.5, 12, 200)
    path = SPECTRUM.absorption_integral(depth, scattering_per_absorption_angstrom=0.33)
    np.testing.assert_allclose(SPECTRUM.optical_depth(path, 0.33 * path), depth, atol=1e-11)


def test_refuses_what_has_no_solution() -> None:
    with pytest.raises(InputError, match="optical_depth"):
        SPECTRUM.absorption_integral(np.array([np.nan]))
    with pytest.raises(InputError, match="shape"):
        GammaSpectrum(shape=-1)
