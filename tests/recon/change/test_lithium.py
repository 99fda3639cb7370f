import numpy as np
import pytest

from deltamu.recon.change.lithium import (
    Inventory,
    areal_charge,
    charge_closure,
    charge_density,
    inventory,
    lithium_concentration,
)
from deltamu.recon.errors import InputError

# tolerances of 1e-4: the reference numbers are given with four to five digits
DIGITS = 1e-4


def test_a_fully_discharged_sulfur_cathode() -> None:
    """T2: Δμ 1.5367 cm⁻¹ is 0.02470 mol/cm³, 661.9 mAh/cm³."""
    assert lithium_concentration(np.array([1.5367]), wavelength_angstrom=2.6)[0] == pytest.approx(
        0.02470, rel=2e-4
    )
    assert charge_density(np.array([1.5367]), wavelength_angstrom=2.6)[0] == pytest.approx(661.9, rel=2e-4)


@pytest.mark.parametrize(("share", "charge"), [(0.6152212, 4.6058), (0.2253475, 4.6058 - 2.9187)])
def test_the_charge_of_the_demo(share: float, charge: float) -> None:
    """T3: ∫Δμ dV over a pellet of 6 mm and 0.4 mm."""
    integral = 1.5367 * share * 0.28274 * 0.04
    found = inventory(integral, 0.01 * integral, wavelength_angstrom=2.6)
    assert found.charge_mAh == pytest.approx(charge, rel=3 * DIGITS)
    assert found.lithium_mol == pytest.approx(charge * 3.73114e-5, rel=3 * DIGITS)
    assert found.charge_standard_error_mAh == pytest.approx(0.01 * charge, rel=3 * DIGITS)


def test_areal_charge_of_a_profile(lithium_profiles) -> None:
    """16.29 mAh/cm² from 0.40 mm of u_dis."""
    depth = (np.arange(400) + 0.5) * 1e-3
    found = areal_charge(depth, 1.5367 * lithium_profiles["discharged"](depth / 0.4), wavelength_angstrom=2.6)
    assert found == pytest.approx(16.29, rel=5 * DIGITS)


def test_areal_charge_is_that_of_a_swollen_layer() -> None:
    """T10: a tenth thicker, a tenth less concentrated."""
    depth = (np.arange(40) + 0.5) * 0.01
    plain = areal_charge(depth, np.full(40, 1.5), wavelength_angstrom=2.6)
    assert areal_charge(1.1 * depth, np.full(40, 1.5 / 1.1), wavelength_angstrom=2.6) == pytest.approx(plain)


def test_enriched_lithium_needs_less_charge_for_the_same_change() -> None:
    natural = inventory(0.01, wavelength_angstrom=2.6).charge_mAh
    enriched = inventory(0.01, wavelength_angstrom=2.6, li6_fraction=0.95).charge_mAh
    # 1292 against 103.32 barn (table of cross sections)
    assert natural / enriched == pytest.approx(1292 / 103.32, rel=1e-3)


def test_closure_and_its_error() -> None:
    found = Inventory(0.0, 4.5, 0.0, 0.09)
    closure = charge_closure(found, 5.0, cycled_standard_error_mAh=0.1)
    assert closure.ratio == pytest.approx(0.9)
    assert closure.standard_error == pytest.approx(np.hypot(0.018, 0.9 * 0.02))
    assert charge_closure(Inventory(0, -2.0, 0, 0.1), -4.0).standard_error == pytest.approx(0.025)


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(InputError, match="cycled"):
        charge_closure(Inventory(0, 1.0, 0, 0), 0.0)
    with pytest.raises(InputError, match="equal steps"):
        areal_charge(np.array([0.0, 0.1, 0.3]), np.ones(3), wavelength_angstrom=2.6)
    with pytest.raises(InputError, match="no value"):
        areal_charge(np.array([0.0, 0.1]), np.array([1.0, np.nan]), wavelength_angstrom=2.6)
    with pytest.raises(InputError):
        inventory(0.01, wavelength_angstrom=-1.0)
