"""Tables A2 to A4 of the physics reference, computed from the same cross sections with other code."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.materials import cell_materials as cells
from deltamu.recon.materials.compositions import Material, compound, mixture
from deltamu.recon.materials.cross_sections import element_cross_section, lithium_cross_section
from deltamu.recon.materials.lithium import (
    MOL_PER_MAH,
    charge_per_attenuation,
    kappa,
    lithium_cross_section_barn,
    lithium_per_attenuation,
)

# half a unit of the last printed digit, and never finer than four digits
TOTAL_AT_2_6 = {
    "S": 1.79,
    "P": 3.56,
    "Cl": 65.2,
    "In": 282.9,
    "Al": 1.84,
    "Fe": 15.3,
    "Ni": 25.0,
    "Mn": 21.4,
    "Co": 59.4,
}


@pytest.mark.parametrize(("symbol", "barn"), TOTAL_AT_2_6.items())
def test_elements(symbol: str, barn: float) -> None:
    assert element_cross_section(symbol).total_barn(2.6) == pytest.approx(barn, rel=3e-3)


@pytest.mark.parametrize(
    ("fraction", "scattering", "at_2200_m_s", "total"),
    [
        (0.0759, 1.37, 70.5, 103.32),
        (1.0, 0.97, 940, 1360),
        (0.0, 1.40, 0.0454, 1.47),
        (0.95, 0.99, 893, 1292),
    ],
)
def test_lithium_isotopes(fraction: float, scattering: float, at_2200_m_s: float, total: float) -> None:
    section = lithium_cross_section(fraction)
    assert section.scattering_barn == pytest.approx(scattering, abs=6e-3)
    assert section.absorption_barn_per_angstrom * 1.798 == pytest.approx(at_2200_m_s, rel=6e-4)
    # printed to three digits
    assert section.total_barn(2.6) == pytest.approx(total, rel=3.5e-3)


@pytest.mark.parametrize(
    ("wavelength", "barn", "attenuation", "mah"),
    [
        (1.8, 71.95, 43.328, 618.57),
        (2.2, 87.63, 52.774, 507.86),
        (2.6, 103.32, 62.219, 430.76),
        (2.85, 113.12, 68.122, 393.43),
        (3.0, 119.00, 71.664, 373.99),
        (3.5, 138.61, 83.470, 321.09),
    ],
)
def test_conversion_factors(wavelength: float, barn: float, attenuation: float, mah: float) -> None:
    """T1 and table A4."""
    assert lithium_cross_section_barn(wavelength) == pytest.approx(barn, abs=6e-3)
    assert kappa(wavelength) == pytest.approx(attenuation, abs=6e-4)
    assert charge_per_attenuation(wavelength) == pytest.approx(mah, abs=6e-3)
    assert lithium_per_attenuation(wavelength) == pytest.approx(
        charge_per_attenuation(wavelength) * MOL_PER_MAH
    )


def test_charge_and_moles() -> None:
    """T1: 1 mAh = 3.73114e-5 mol, and its attenuation integral."""
    assert pytest.approx(3.73114e-5, rel=2e-6) == MOL_PER_MAH
    assert 1 / charge_per_attenuation(2.6) == pytest.approx(2.32147e-3, rel=3e-6)


@pytest.mark.parametrize(
    ("material", "at_1_8", "at_2_6", "at_3_0"),
    [
        (cells.lithium_metal(), 3.334, 4.787, 5.514),
        (cells.argyrodite(), 1.815, 2.568, 2.944),
        (cells.argyrodite(1.86), 2.059, 2.912, 3.338),
        (cells.argyrodite(1.64, 0.95), 19.99, 28.8, 33.2),
        (cells.sulfur_cathode(), 0.998, 1.363, 1.546),
        (cells.sulfur_cathode(1.0), 2.068, 2.900, 3.316),
        (cells.lithium_indium(0.0), 7.539, 10.845, 12.498),
        (cells.lithium_indium(0.6), 7.072, 10.169, 11.718),
        (cells.nmc811_composite(), 2.170, 2.971, 3.372),
        (cells.nmc811_composite(1 - 0.726), 1.545, 2.074, 2.338),
        (cells.aluminium(), 0.105, 0.111, 0.114),
        (cells.stainless_steel(), 1.169, 1.286, 1.345),
        (cells.polyimide(), 1.67, 1.68, 1.68),
        (cells.peek(), 2.29, 2.30, 2.30),
    ],
)
def test_attenuation_table(material: Material, at_1_8: float, at_2_6: float, at_3_0: float) -> None:
    """Table A3; it was printed to three or four digits, from compositions rounded to three."""
    found = [material.attenuation(wavelength) for wavelength in (1.8, 2.6, 3.0)]
    np.testing.assert_allclose(found, [at_1_8, at_2_6, at_3_0], rtol=5e-3)


def test_cathode_capacity() -> None:
    """T2: attenuation change and capacity of the composite at full discharge."""
    change = cells.sulfur_cathode(1.0).attenuation(2.6) - cells.sulfur_cathode().attenuation(2.6)
    assert change == pytest.approx(1.5367, abs=1e-4)
    assert change * charge_per_attenuation(2.6) == pytest.approx(661.9, abs=0.1)
    assert 2 * cells.cathode_sulfur_mol_per_cm3() == pytest.approx(0.02470, abs=6e-6)


def test_mixture_of_one_compound_is_the_compound() -> None:
    assert mixture("a", {"Al2O3": 7.0}, 3.9) == compound("a", "Al2O3", 3.9)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: element_cross_section("Xx"), "Xx"),
        (lambda: lithium_cross_section(7.59), "li6_fraction"),
        (lambda: kappa(0.0), "wavelength_angstrom"),
        (lambda: compound("a", "not a formula", 1.0), "not a formula"),
        (lambda: compound("a", "Al", -1.0), "density"),
        (lambda: Material("a", float("nan"), 0.0), "absorption_per_angstrom"),
    ],
)
def test_wrong_arguments_are_named(call, word: str) -> None:
    with pytest.raises(InputError, match=word):
        call()
