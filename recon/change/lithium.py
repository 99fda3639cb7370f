"""From a change of attenuation to lithium and charge.

Only where the change is lithium alone: swelling and moving boundaries change the attenuation of a voxel too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials.cross_sections import NATURAL_LI6_FRACTION
from deltamu.recon.materials.lithium import charge_per_attenuation, lithium_per_attenuation

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Inventory:
    """Lithium and charge that a volume integral of the change stands for.

    Attributes
    ----------
    lithium_mol, charge_mAh : float
        Positive where the attenuation grew.
    lithium_standard_error_mol, charge_standard_error_mAh : float
        Of the integral alone; cross section and isotope mix are taken as exact.
    """

    lithium_mol: float
    charge_mAh: float
    lithium_standard_error_mol: float
    charge_standard_error_mAh: float


@dataclass(frozen=True)
class Closure:
    """Imaged charge over cycled charge."""

    ratio: float
    standard_error: float


def lithium_concentration(
    delta_mu: NDArray[np.floating], *, wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION
) -> Float:
    """Change of the lithium concentration, mol/cm³, from a change of attenuation in cm⁻¹."""
    return np.asarray(delta_mu, np.float64) * lithium_per_attenuation(wavelength_angstrom, li6_fraction)


def charge_density(
    delta_mu: NDArray[np.floating], *, wavelength_angstrom: float, li6_fraction: float = NATURAL_LI6_FRACTION
) -> Float:
    """Charge per volume, mAh/cm³, from a change of attenuation in cm⁻¹."""
    return np.asarray(delta_mu, np.float64) * charge_per_attenuation(wavelength_angstrom, li6_fraction)


def areal_charge(
    depth_mm: NDArray[np.floating],
    delta_mu: NDArray[np.floating],
    *,
    wavelength_angstrom: float,
    li6_fraction: float = NATURAL_LI6_FRACTION,
) -> float:
    """Charge per area of the layer, mAh/cm²: the integral of a depth profile over equally wide bins.

    Raises
    ------
    InputError
        If the bins are not equally wide or a value is not finite (select the bins to integrate).
    """
    depth, values = np.asarray(depth_mm, np.float64), np.asarray(delta_mu, np.float64)
    steps = np.diff(depth)
    if depth.shape != values.shape or depth.size < 2 or np.ptp(steps) > 1e-6 * abs(steps[0]):
        raise InputError("areal charge: expected as many values as depths, at equal steps, two or more")
    if not np.all(np.isfinite(values)):
        raise InputError("areal charge: some bins have no value; select those with a finite mean")
    integral = float(values.sum() * 0.1 * steps[0])
    return integral * charge_per_attenuation(wavelength_angstrom, li6_fraction)


def inventory(
    integral_cm2: float,
    standard_error_cm2: float = 0.0,
    *,
    wavelength_angstrom: float,
    li6_fraction: float = NATURAL_LI6_FRACTION,
) -> Inventory:
    """Lithium and charge of a volume integral ∫Δμ dV.

    Parameters
    ----------
    integral_cm2, standard_error_cm2 : float
        Δμ in cm⁻¹ times volume in cm³. The wavelength must be the one at which μ is stated.
    """
    mol = lithium_per_attenuation(wavelength_angstrom, li6_fraction)
    mah = charge_per_attenuation(wavelength_angstrom, li6_fraction)
    return Inventory(
        integral_cm2 * mol, integral_cm2 * mah, standard_error_cm2 * mol, standard_error_cm2 * mah
    )


def charge_closure(found: Inventory, cycled_mAh: float, *, cycled_standard_error_mAh: float = 0.0) -> Closure:
    """Imaged charge over the charge that the cycler counted.

    Parameters
    ----------
    cycled_mAh : float
        With the sign of the change: positive where the layer took up lithium.

    Raises
    ------
    InputError
        If the cycled charge is 0 or not finite.
    """
    if not (np.isfinite(cycled_mAh) and cycled_mAh != 0):
        raise InputError(f"cycled charge: found {cycled_mAh} mAh, expected a number other than 0")
    ratio = found.charge_mAh / cycled_mAh
    relative = cycled_standard_error_mAh / cycled_mAh
    return Closure(ratio, float(np.hypot(found.charge_standard_error_mAh / cycled_mAh, ratio * relative)))
