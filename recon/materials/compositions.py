"""Attenuation coefficients of compounds and mixtures: what grows with the wavelength, and what does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.materials.cross_sections import (
    NATURAL_LI6_FRACTION,
    CrossSection,
    check_wavelength,
    element_cross_section,
    lithium_cross_section,
)
from deltamu.recon.materials.lithium import AVOGADRO_PER_MOL, BARN_CM2


@dataclass(frozen=True)
class Material:
    """Macroscopic attenuation of a homogeneous material.

    Attributes
    ----------
    name : str
    absorption_per_angstrom : float
        cm⁻¹ per angstrom of wavelength.
    scattering : float
        cm⁻¹, independent of the wavelength.
    """

    name: str
    absorption_per_angstrom: float
    scattering: float

    def __post_init__(self) -> None:
        for field in ("absorption_per_angstrom", "scattering"):
            value = getattr(self, field)
            if not np.isfinite(value) or value < 0:
                raise InputError(f"material {self.name!r}, {field}: found {value}, expected a number ≥ 0")

    def attenuation(self, wavelength_angstrom: float) -> float:
        """Attenuation coefficient at one wavelength, cm⁻¹."""
        check_wavelength(wavelength_angstrom)
        return self.scattering + self.absorption_per_angstrom * wavelength_angstrom


def material_from_atoms(
    name: str,
    atoms_mol_per_cm3: Mapping[str, float],
    *,
    li6_fraction: float = NATURAL_LI6_FRACTION,
    scattering_factor: float = 1.0,
) -> Material:
    """Sum the cross sections of atoms of known concentration.

    Parameters
    ----------
    name : str
    atoms_mol_per_cm3 : mapping of chemical symbol to mol/cm³
    li6_fraction : float
        Isotope mix of the lithium in it.
    scattering_factor : float
        Scales the bound scattering; 0.75 for polymers, whose hydrogen is not quite bound at 2 to 3 angstrom.

    Raises
    ------
    InputError
        If an element is unknown or a concentration is negative.
    """
    absorption = scattering = 0.0
    for symbol, concentration in atoms_mol_per_cm3.items():
        if concentration < 0:
            raise InputError(
                f"{name}: found {concentration} mol/cm³ of {symbol}, expected a concentration ≥ 0"
            )
        atom = _atom(symbol, li6_fraction)
        per_barn = AVOGADRO_PER_MOL * BARN_CM2 * concentration
        absorption += per_barn * atom.absorption_barn_per_angstrom
        scattering += per_barn * atom.scattering_barn
    return Material(name, absorption, scattering * scattering_factor)


def concentrations(mass_fractions: Mapping[str, float], density_g_per_cm3: float) -> dict[str, float]:
    """Atoms of a mixture of compounds.

    Parameters
    ----------
    mass_fractions : mapping of chemical formula to mass
        In any unit; only the ratios count.
    density_g_per_cm3 : float
        Of the mixture, pores included.

    Returns
    -------
    dict
        mol/cm³ per chemical symbol.

    Raises
    ------
    InputError
        If a formula cannot be read or the density is not positive.
    """
    if not density_g_per_cm3 > 0:
        raise InputError(f"density: found {density_g_per_cm3} g/cm³, expected a number > 0")
    total = sum(mass_fractions.values())
    atoms: dict[str, float] = {}
    for compound, mass in mass_fractions.items():
        formula_mass, counts = _parse(compound)
        moles = density_g_per_cm3 * mass / total / formula_mass
        for symbol, count in counts.items():
            atoms[symbol] = atoms.get(symbol, 0.0) + moles * count
    return atoms


def compound(
    name: str,
    formula: str,
    density_g_per_cm3: float,
    *,
    li6_fraction: float = NATURAL_LI6_FRACTION,
    scattering_factor: float = 1.0,
) -> Material:
    """Attenuation of one compound of known density."""
    atoms = concentrations({formula: 1.0}, density_g_per_cm3)
    return material_from_atoms(name, atoms, li6_fraction=li6_fraction, scattering_factor=scattering_factor)


def mixture(
    name: str,
    mass_fractions: Mapping[str, float],
    density_g_per_cm3: float,
    *,
    li6_fraction: float = NATURAL_LI6_FRACTION,
) -> Material:
    """Attenuation of a mixture of compounds given by mass and overall density."""
    return material_from_atoms(
        name, concentrations(mass_fractions, density_g_per_cm3), li6_fraction=li6_fraction
    )


def _atom(symbol: str, li6_fraction: float) -> CrossSection:
    return lithium_cross_section(li6_fraction) if symbol == "Li" else element_cross_section(symbol)


@cache
def _parse(compound_formula: str) -> tuple[float, dict[str, float]]:
    import periodictable

    try:
        formula = periodictable.formula(compound_formula)
    except Exception as error:
        raise InputError(
            f"formula: cannot read {compound_formula!r} ({error}); expected e.g. 'Li6PS5Cl'"
        ) from error
    counts = {str(element.symbol): float(count) for element, count in formula.atoms.items()}
    return float(formula.mass), counts
