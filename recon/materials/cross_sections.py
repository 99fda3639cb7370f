"""Neutron cross sections per atom: bound scattering, and absorption proportional to the wavelength."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from deltamu.recon.errors import InputError

# absorption cross sections are tabulated for neutrons of 2200 m/s
REFERENCE_WAVELENGTH_ANGSTROM = 1.798
NATURAL_LI6_FRACTION = 0.0759


@dataclass(frozen=True)
class CrossSection:
    """Cross section of one atom, barn.

    Attributes
    ----------
    scattering_barn : float
        Bound coherent plus incoherent scattering, taken as independent of the wavelength.
    absorption_barn_per_angstrom : float
        Slope of the absorption, which grows with the wavelength (1/v).
    """

    scattering_barn: float
    absorption_barn_per_angstrom: float

    def total_barn(self, wavelength_angstrom: float) -> float:
        """Scattering plus absorption at one wavelength."""
        check_wavelength(wavelength_angstrom)
        return self.scattering_barn + self.absorption_barn_per_angstrom * wavelength_angstrom


def check_wavelength(wavelength_angstrom: float) -> None:
    """Refuse a wavelength that no imaging beam has.

    Raises
    ------
    InputError
        If it is not between 0.1 and 30 angstrom.
    """
    if not 0.1 <= wavelength_angstrom <= 30:
        raise InputError(
            f"wavelength_angstrom: found {wavelength_angstrom}, expected 0.1 to 30 (a cold beam has about 3)"
        )


@cache
def element_cross_section(symbol: str) -> CrossSection:
    """Look up an element of natural isotope mix.

    Parameters
    ----------
    symbol : str
        Chemical symbol, for example "Cl".

    Raises
    ------
    InputError
        If there is no such element or its cross sections are unknown.

    References
    ----------
    V. F. Sears, Neutron News 3 (1992) 26, as tabulated by the package periodictable.
    """
    import periodictable

    try:
        neutron = periodictable.elements.symbol(symbol).neutron
    except ValueError:
        raise InputError(f"element: found {symbol!r}, expected a chemical symbol such as 'Li'") from None
    if neutron.total is None or neutron.absorption is None:
        raise InputError(f"element: the neutron cross sections of {symbol} are not tabulated")
    return _from_table(neutron.total, neutron.absorption)


@cache
def lithium_cross_section(li6_fraction: float = NATURAL_LI6_FRACTION) -> CrossSection:
    """Cross section of lithium of a stated isotope mix.

    The value of the natural element was measured by itself and is 1.3 % below the mean of the isotopes.
    The mix is therefore interpolated through three tabulated points, 7Li, the natural element and 6Li, so
    that each of them comes out as tabulated.

    Parameters
    ----------
    li6_fraction : float
        Fraction of the atoms that are 6Li; 0.0759 in nature, often 0.02 to 0.076 in commercial lithium.

    Raises
    ------
    InputError
        If the fraction is not between 0 and 1.
    """
    if not 0 <= li6_fraction <= 1:
        raise InputError(f"li6_fraction: found {li6_fraction}, expected 0 to 1 (natural lithium has 0.0759)")
    import periodictable

    lithium = periodictable.Li
    points = [lithium[7].neutron, lithium.neutron, lithium[6].neutron]
    known = (0.0, NATURAL_LI6_FRACTION, 1.0)
    scattering = float(np.interp(li6_fraction, known, [point.total for point in points]))  # type: ignore[arg-type]
    absorption = float(np.interp(li6_fraction, known, [point.absorption for point in points]))  # type: ignore[arg-type]
    return _from_table(scattering, absorption)


def _from_table(scattering_barn: float, absorption_at_reference: float) -> CrossSection:
    return CrossSection(
        float(scattering_barn), float(absorption_at_reference) / REFERENCE_WAVELENGTH_ANGSTROM
    )
