"""The materials of solid-state cells and their cases, with densities usual for pressed pellets."""

from functools import cache

from deltamu.recon.materials.compositions import (
    Material,
    compound,
    concentrations,
    material_from_atoms,
    mixture,
)
from deltamu.recon.materials.cross_sections import NATURAL_LI6_FRACTION

LPSCL = "Li6PS5Cl"
LPSCL_PELLET_G_PER_CM3 = 1.64
LPSCL_CRYSTAL_G_PER_CM3 = 1.86
INDIUM_G_PER_CM3 = 7.31
# growth of the volume per indium atom from In to InLi (26.08 to 39.13 Å³)
INDIUM_EXPANSION = 0.5003
# S : C : Li6PS5Cl = 25 : 25 : 50 by mass with 18 % pores
SULFUR_CATHODE_G_PER_CM3 = 1.5837
SULFUR_CATHODE_MASS = {"S": 25.0, "C": 25.0, LPSCL: 50.0}
# polymers: hydrogen scatters less than the bound cross section at 2 to 3 angstrom
POLYMER_SCATTERING = 0.75


@cache
def argyrodite(
    density_g_per_cm3: float = LPSCL_PELLET_G_PER_CM3, li6_fraction: float = NATURAL_LI6_FRACTION
) -> Material:
    """Return the solid electrolyte Li6PS5Cl."""
    return compound("Li6PS5Cl", LPSCL, density_g_per_cm3, li6_fraction=li6_fraction)


@cache
def sulfur_cathode(lithiation: float = 0.0, li6_fraction: float = NATURAL_LI6_FRACTION) -> Material:
    """Return the sulfur composite with `lithiation` of its sulfur turned into Li2S at fixed volume."""
    atoms = concentrations(SULFUR_CATHODE_MASS, SULFUR_CATHODE_G_PER_CM3)
    atoms["Li"] += 2 * lithiation * cathode_sulfur_mol_per_cm3()
    return material_from_atoms("sulfur cathode", atoms, li6_fraction=li6_fraction)


@cache
def cathode_sulfur_mol_per_cm3() -> float:
    """Elemental sulfur per volume of the composite; each atom takes up two lithium."""
    share = SULFUR_CATHODE_MASS["S"] / sum(SULFUR_CATHODE_MASS.values())
    return concentrations({"S": 1.0}, share * SULFUR_CATHODE_G_PER_CM3)["S"]


@cache
def indium_mol_per_cm3() -> float:
    """Atoms of indium metal per volume."""
    return concentrations({"In": 1.0}, INDIUM_G_PER_CM3)["In"]


@cache
def lithium_indium(x: float, li6_fraction: float = NATURAL_LI6_FRACTION) -> Material:
    """Return two-phase Li_xIn, 0 ≤ x ≤ 1, which swells in proportion to x."""
    indium = indium_mol_per_cm3() / (1 + INDIUM_EXPANSION * x)
    return material_from_atoms("lithium indium", {"In": indium, "Li": x * indium}, li6_fraction=li6_fraction)


@cache
def lithium_metal(li6_fraction: float = NATURAL_LI6_FRACTION) -> Material:
    """Return lithium with the atom density of the natural metal, whatever the isotopes."""
    atoms = concentrations({"Li": 1.0}, 0.534)
    return material_from_atoms("lithium", atoms, li6_fraction=li6_fraction)


@cache
def stainless_steel() -> Material:
    """Return steel 316L."""
    mass = {"Fe": 65.5, "Cr": 17.0, "Ni": 12.0, "Mo": 2.5, "Mn": 2.0, "Si": 1.0}
    return mixture("stainless steel 316L", mass, 7.98)


@cache
def aluminium() -> Material:
    """Return aluminium."""
    return compound("aluminium", "Al", 2.70)


@cache
def polyimide() -> Material:
    """Return polyimide (Kapton)."""
    return compound("polyimide", "C22H10N2O5", 1.42, scattering_factor=POLYMER_SCATTERING)


@cache
def peek() -> Material:
    """Return polyether ether ketone."""
    return compound("PEEK", "C19H12O3", 1.32, scattering_factor=POLYMER_SCATTERING)


@cache
def nmc811_composite(
    lithium_per_formula: float = 1.0, li6_fraction: float = NATURAL_LI6_FRACTION
) -> Material:
    """Return LiNi0.8Mn0.1Co0.1O2 and Li6PS5Cl 70 : 30 by mass; charging takes lithium from the oxide."""
    oxide = "LiNi0.8Mn0.1Co0.1O2"
    atoms = concentrations({oxide: 70.0, LPSCL: 30.0}, 2.762)
    formula_units = atoms["Co"] / 0.1
    atoms["Li"] -= (1.0 - lithium_per_formula) * formula_units
    return material_from_atoms("NMC811 composite", atoms, li6_fraction=li6_fraction)
