"""From a change of attenuation to lithium and charge."""

from deltamu.recon.materials.cross_sections import NATURAL_LI6_FRACTION, lithium_cross_section

AVOGADRO_PER_MOL = 6.02214076e23
FARADAY_C_PER_MOL = 96485.33212
COULOMB_PER_MAH = 3.6
MOL_PER_MAH = COULOMB_PER_MAH / FARADAY_C_PER_MOL
BARN_CM2 = 1e-24


def lithium_cross_section_barn(
    wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION
) -> float:
    """Absorption plus scattering of one lithium atom.

    Parameters
    ----------
    wavelength_angstrom : float
    li6_fraction : float
        Fraction of the atoms that are 6Li.

    Returns
    -------
    float
        Barn; 103.32 for natural lithium at 2.6 angstrom.

    Raises
    ------
    InputError
        If an argument is outside its physical range.
    """
    return lithium_cross_section(li6_fraction).total_barn(wavelength_angstrom)


def kappa(wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION) -> float:
    """Attenuation of a unit of lithium concentration.

    Returns
    -------
    float
        cm⁻¹ per mol/cm³; 62.219 for natural lithium at 2.6 angstrom.
    """
    return AVOGADRO_PER_MOL * BARN_CM2 * lithium_cross_section_barn(wavelength_angstrom, li6_fraction)


def charge_per_attenuation(wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION) -> float:
    """Charge that a volume integral of attenuation change stands for.

    Returns
    -------
    float
        mAh per cm² (∫Δμ dV with Δμ in cm⁻¹ and V in cm³); the same number is mAh/cm³ per cm⁻¹.
        430.76 for natural lithium at 2.6 angstrom.
    """
    return 1.0 / (kappa(wavelength_angstrom, li6_fraction) * MOL_PER_MAH)


def lithium_per_attenuation(wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION) -> float:
    """Lithium that a volume integral of attenuation change stands for, mol per cm²."""
    return 1.0 / kappa(wavelength_angstrom, li6_fraction)
