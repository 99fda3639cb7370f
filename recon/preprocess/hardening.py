"""Beam hardening: from the −ln T of a whole spectrum to line integrals at one wavelength.

A spectrum model inverts physics.md A5; a polynomial is fitted to known thicknesses. Both work on numpy and
cupy arrays, and both say how far −ln T was from what they make of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.materials.spectrum import GammaSpectrum

Float = NDArray[np.float64]

COLD_SPECTRUM = GammaSpectrum()
ARGYRODITE_RATIO_ANGSTROM = 0.131
# spacing of the table in absorption per angstrom: straight lines between its entries are good to 1e-7
STEP = 5e-4
# deepest below zero that noise in air may reach, as a fraction of what the model can invert
LOWEST = -0.5


class Hardening(Protocol):
    """Anything that turns −ln T of a spectrum into line integrals at the reference wavelength."""

    def table(self, deepest: float) -> tuple[Float, Float]:
        """Depths (−ln T without the inert parts) in increasing order, and the line integral at each."""


@dataclass(frozen=True)
class SpectrumHardening:
    """A gamma spectrum through an absorber whose scattering is in proportion to its absorption.

    Attributes
    ----------
    wavelength_angstrom : float
        Reference wavelength: that of the attenuation coefficients, and of their conversion into lithium.
    spectrum : GammaSpectrum
    scattering_ratio_angstrom : float
        Scattering over absorption per angstrom of what hardens the beam; 0.131 for Li6PS5Cl.
    """

    wavelength_angstrom: float
    spectrum: GammaSpectrum = COLD_SPECTRUM
    scattering_ratio_angstrom: float = ARGYRODITE_RATIO_ANGSTROM

    def __post_init__(self) -> None:
        if not (np.isfinite(self.wavelength_angstrom) and self.wavelength_angstrom > 0):
            raise InputError(
                f"wavelength_angstrom: found {self.wavelength_angstrom}, expected a positive number"
            )
        ratio = self.scattering_ratio_angstrom
        if not (np.isfinite(ratio) and ratio >= 0):
            raise InputError(f"scattering_ratio_angstrom: found {ratio}, expected zero or more")

    def table(self, deepest: float) -> tuple[Float, Float]:
        """Depths from noise below zero to `deepest`, and the line integral at each."""
        ratio = self.scattering_ratio_angstrom
        # from a path on, each angstrom adds at least the shortest wavelength
        longest = max(deepest, 0.0) / (ratio + self.spectrum.shortest_angstrom)
        lowest = LOWEST / self.spectrum.scale_angstrom
        path = STEP * np.arange(np.floor(lowest / STEP), np.ceil(longest / STEP) + 2)
        depth = self.spectrum.optical_depth(path, ratio * path)
        return depth, path * (ratio + self.wavelength_angstrom)


@dataclass(frozen=True)
class PolynomialHardening:
    """A line integral of Σ c_k (−ln T)^k; beyond the fitted depths it goes on in a straight line.

    Attributes
    ----------
    coefficients : tuple of float
        c_1, c_2, …; c_1 is 1 where line integrals are to be those of a thin sample.
    deepest : float
        Largest −ln T that was fitted.
    """

    coefficients: tuple[float, ...]
    deepest: float

    def __post_init__(self) -> None:
        if not self.coefficients or not np.all(np.isfinite(self.coefficients)):
            raise InputError(f"coefficients: found {self.coefficients}, expected at least one finite number")
        if not (np.isfinite(self.deepest) and self.deepest > 0):
            raise InputError(f"deepest: found {self.deepest}, expected a positive −ln T")
        slope = self._slope(np.linspace(0, self.deepest, 200))
        if not np.min(slope) > 0:
            raise InputError(
                f"coefficients: {self.coefficients} do not grow up to −ln T = {self.deepest:g}; expected a "
                "monotone polynomial: fit fewer coefficients, or over fewer thicknesses"
            )

    def _slope(self, depth: Float) -> Float:
        return np.asarray(np.polynomial.Polynomial([0.0, *self.coefficients]).deriv()(depth), np.float64)

    def table(self, deepest: float) -> tuple[Float, Float]:
        """Depths and line integrals; straight below zero and beyond the fit."""
        inside = np.linspace(0, self.deepest, 4096)
        value = np.polynomial.Polynomial([0.0, *self.coefficients])(inside)
        low, high = 20.0, max(deepest - self.deepest, 0.0) + 1.0
        below, above = self._slope(inside[[0, -1]])
        depth = np.concatenate([[-low], inside, [self.deepest + high]])
        return depth, np.concatenate([[-low * below], value, [value[-1] + high * above]])


@dataclass(frozen=True)
class HardeningFit:
    """A polynomial fitted to known thicknesses, and what it does to them.

    Attributes
    ----------
    hardening : PolynomialHardening
    thin_attenuation_per_cm : float
        Attenuation of a thin sample of the material.
    spread_before, spread_after : float
        Largest minus smallest attenuation coefficient of the thicknesses over their mean.
    """

    hardening: PolynomialHardening
    thin_attenuation_per_cm: float
    spread_before: float
    spread_after: float


def linearise(line_integrals: Any, hardening: Hardening, *, inert: Any = None) -> tuple[Any, Any]:
    """Undo the hardening of the beam.

    Parameters
    ----------
    line_integrals : array
        −ln T of the whole spectrum, numpy or cupy.
    hardening : Hardening
    inert : array that broadcasts to it, optional
        Line integral of parts that do not harden the beam (the casing, the sleeve): left out before and added
        again after. Treated as an absorber, they raise a change of lithium in the cell of physics.md by 5 %.

    Returns
    -------
    line_integrals : float32 array
        At the reference wavelength.
    slope : float32 array
        Their derivative to what came in: standard deviations grow by it.

    Raises
    ------
    InputError
        If a value is not finite, or so far below zero that it is no −ln T.
    """
    xp = array_module(line_integrals)
    depth = xp.asarray(line_integrals, np.float32, order="C")
    if inert is not None:
        depth = depth - xp.asarray(inert, np.float32)
    shallowest, deepest = (float(v) for v in (depth.min(), depth.max())) if depth.size else (0.0, 0.0)
    if not np.isfinite(shallowest + deepest):
        raise InputError("line_integrals: found values that are not finite, expected −ln T")
    depths, values = hardening.table(deepest)
    if shallowest < depths[0]:
        raise InputError(f"line_integrals: found {shallowest:.3g}, expected −ln T above {depths[0]:.3g}")
    slopes = np.gradient(values, depths)
    at = xp.asarray(depths)
    result = xp.interp(depth, at, xp.asarray(values)).astype(np.float32)
    slope = xp.interp(depth, at, xp.asarray(slopes)).astype(np.float32)
    return (result if inert is None else result + xp.asarray(inert, np.float32)), slope


def fit_hardening(
    thickness_cm: Sequence[float] | NDArray[np.floating],
    line_integrals: Sequence[float] | NDArray[np.floating],
    *,
    degree: int = 3,
) -> HardeningFit:
    """Fit a polynomial to known thicknesses of one material: the steps of a wedge, the chords of a known rod.

    The thickness is fitted as a polynomial of −ln T without a constant, each value with the same relative
    weight, and scaled so that a thin sample keeps its −ln T.

    Parameters
    ----------
    thickness_cm, line_integrals : (n,) arrays
    degree : int
        Number of coefficients.

    Returns
    -------
    HardeningFit

    Raises
    ------
    InputError
        If there are fewer thicknesses than coefficients, or they do not determine a monotone polynomial.

    References
    ----------
    G. T. Herman, Phys. Med. Biol. 24 (1979) 81.
    """
    path, depth = np.ravel(np.asarray(thickness_cm, float)), np.ravel(np.asarray(line_integrals, float))
    if path.shape != depth.shape or path.size < degree or degree < 1:
        raise InputError(
            f"thickness_cm: found {path.size} for {depth.size} line integrals and {degree} coefficients; "
            "expected as many of both, and not fewer than coefficients"
        )
    if not (np.all(np.isfinite(path * depth)) and np.min(path) > 0 and np.min(depth) > 0):
        raise InputError("thickness_cm, line_integrals: found values that are not positive and finite")
    powers = depth[:, None] ** np.arange(1, degree + 1)
    found = np.linalg.lstsq(powers / path[:, None], np.ones(path.size), rcond=None)[0]
    fit = PolynomialHardening(tuple(float(c) for c in found / found[0]), float(depth.max()))
    after, _ = linearise(depth, fit)
    return HardeningFit(
        fit, float(1 / found[0]), relative_spread(depth / path), relative_spread(after / path)
    )


def relative_spread(values: NDArray[np.floating]) -> float:
    """Largest minus smallest over the mean."""
    return float(np.ptp(values) / np.mean(values))
