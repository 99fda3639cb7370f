"""A cold beam with a gamma-distributed spectrum, through which attenuation can be integrated in closed form.

The detected wavelength is l0 + Gamma(k, theta). Absorption is proportional to the wavelength, so that a path
with absorption integral A (per angstrom) and scattering integral S has the optical depth
S + l0 A + k ln(1 + theta A).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class GammaSpectrum:
    """Detected wavelengths of a cold neutron beam, angstrom.

    Attributes
    ----------
    shortest_angstrom : float
        l0, the short end.
    shape : float
        k of the gamma distribution.
    scale_angstrom : float
        theta of the gamma distribution.
    """

    shortest_angstrom: float = 0.8
    shape: float = 4.0
    scale_angstrom: float = 0.55

    def __post_init__(self) -> None:
        for name in ("shortest_angstrom", "shape", "scale_angstrom"):
            value = getattr(self, name)
            if not np.isfinite(value) or value <= 0:
                raise InputError(f"spectrum, {name}: found {value}, expected a number > 0")

    @property
    def mean_angstrom(self) -> float:
        """Mean wavelength: that of a thin sample's attenuation."""
        return self.shortest_angstrom + self.shape * self.scale_angstrom

    def optical_depth(self, absorption: NDArray[np.floating], scattering: NDArray[np.floating]) -> Float:
        """−ln of the transmission of the whole spectrum.

        Parameters
        ----------
        absorption : array
            Line integral of the absorption per angstrom, Å⁻¹.
        scattering : array of the same shape
            Line integral of the scattering.
        """
        path = np.asarray(absorption, float)
        hardened = self.shape * np.log1p(self.scale_angstrom * path)
        return np.asarray(scattering, float) + self.shortest_angstrom * path + hardened

    def effective_wavelength(self, absorption: NDArray[np.floating]) -> Float:
        """Wavelength that a little more lithium behind the path would see, angstrom."""
        path = np.asarray(absorption, float)
        return self.shortest_angstrom + self.shape * self.scale_angstrom / (1 + self.scale_angstrom * path)

    def absorption_integral(
        self, optical_depth: NDArray[np.floating], *, scattering_per_absorption_angstrom: float = 0.131
    ) -> Float:
        """Invert `optical_depth` for a material whose scattering is in proportion to its absorption.

        The optical depth of everything else in the beam must have been subtracted.

        Parameters
        ----------
        optical_depth : array
        scattering_per_absorption_angstrom : float
            rho = S/A, angstrom; 0.131 for Li6PS5Cl.

        Returns
        -------
        array
            A in Å⁻¹, to 1e-12. Newton's method from below never overshoots because the function is concave.

        Raises
        ------
        InputError
            If a depth is not finite or too negative to have a solution.
        """
        depth = np.asarray(optical_depth, float)
        rho = scattering_per_absorption_angstrom
        slope_at_zero = rho + self.mean_angstrom
        if not np.all(np.isfinite(depth)) or np.any(depth <= -0.9 * slope_at_zero / self.scale_angstrom):
            raise InputError("optical_depth: found values not finite or far below 0; expected −ln T")
        path = depth / slope_at_zero
        for _ in range(50):
            misfit = self.optical_depth(path, rho * path) - depth
            step = misfit / (rho + self.effective_wavelength(path))
            path = path - step
            if np.max(np.abs(step), initial=0.0) < 1e-12:
                break
        return path
