"""Lithium in the zones of the stack, from what it takes out of the beam: charge per zone, strip and time.

With the stack as found in the reference, a change a(z) = ∫Δμ dl of the line integral inside a zone multiplies the
sharp transmission there by exp(−a). Before the detector blurs it, the change of transmission is T₀ g with
g = exp(−a) − 1, so that g follows from the blurred difference by linear least squares: zones thinner than the
blur keep their charge, and what the blur carries over a boundary is given back. The curvature of g is held small
(Phillips, J. ACM 9, 1962; Tikhonov), which only matters where noise would decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.stack_model import FINE
from deltamu.recon.operando.zones import Zone

Float = NDArray[np.float64]
# standard deviation of the second difference of g from pixel to pixel that is expected of real profiles
_CURVATURE = 0.1
_MODEL_ERROR = 2e-3
_EMPTIEST = 0.05


@dataclass(frozen=True)
class ZoneBasis:
    """Hats over the fine rows of the zones.

    Attributes
    ----------
    geometry : StackGeometry
    zones : tuple of Zone
    """

    geometry: StackGeometry
    zones: tuple[Zone, ...]

    @cached_property
    def hats(self) -> Float:
        """(fine row, hat): share of the beam's path in the zone times a hat, about one hat per pixel."""
        return np.hstack([self._hats_of(zone) for zone in self.zones])

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """(hat,) number of the zone."""
        counts = [self._knots(zone).size for zone in self.zones]
        return np.repeat(np.arange(len(counts)), counts)

    def _knots(self, zone: Zone) -> Float:
        first, last = zone.rows(self.geometry)
        return np.linspace(first, last, max(2, int(np.ceil(last - first)) + 1))

    def _hats_of(self, zone: Zone) -> Float:
        """Hats of one zone; its faces are as spread as the interfaces of the stack, an end inside a layer is sharp."""
        model, knots = self.geometry.model, self._knots(zone)
        fine = model.fine_rows
        share = model.coverage[:, self.geometry.index(zone.layer)].copy()
        layer_first, layer_last = self.geometry.rows_of(zone.layer)
        if knots[0] > layer_first:
            share[fine < knots[0]] = 0
        if knots[-1] < layer_last:
            share[fine > knots[-1]] = 0
        inside = np.clip(fine, knots[0], knots[-1])
        hats = np.maximum(0, 1 - np.abs(inside[:, None] - knots) / (knots[1] - knots[0]))
        return np.asarray(share[:, None] * hats)

    @cached_property
    def lengths_mm(self) -> Float:
        """(hat,) integral of the hats along the stack."""
        return np.asarray(self.hats.sum(axis=0) * self.geometry.pixel_size_mm / FINE)

    @cached_property
    def curvature(self) -> Float:
        """Second differences within each zone, in units of what is expected."""
        rows = []
        for number in range(len(self.zones)):
            members = np.flatnonzero(self.owner == number)
            for left, middle, right in zip(members, members[1:], members[2:], strict=False):
                row = np.zeros(self.owner.size)
                row[[left, middle, right]] = 1, -2, 1
                rows.append(row / _CURVATURE)
        return np.array(rows).reshape(-1, self.owner.size)

    def operator(self, strip: int, reference: Float, sigma: Float) -> Float:
        """(hat, row) matrix that turns a change of a strip's profile into g.

        Parameters
        ----------
        strip : int
        reference, sigma : (row,) arrays
            Profile of the reference, noise of a difference.
        """
        model = self.geometry.model
        sharp = model.sharp(self.geometry.depths[strip])
        seen = model.seen(self.hats * sharp[:, None])
        weight = 1 / np.hypot(sigma, _MODEL_ERROR * reference)
        system = np.vstack([seen * weight[:, None], self.curvature])
        return np.asarray(np.linalg.pinv(system)[:, : reference.size] * weight)


@dataclass(frozen=True)
class ZoneCharges:
    """Charge that came into zones since the reference, mAh.

    Attributes
    ----------
    times_s : (time,) array
    mah, sigma_mah : mapping of zone, or group of zones, to (time,) array
    strips_mah, strips_sigma_mah : mapping of zone to (time, strip) array
        The noise of each time by itself, without that of the reference, which all times share.
    """

    times_s: Float
    mah: Mapping[str, Float]
    sigma_mah: Mapping[str, Float]
    strips_mah: Mapping[str, Float]
    strips_sigma_mah: Mapping[str, Float]


def zone_charges(
    profiles: Float,
    variance: Float,
    reference: Float,
    reference_variance: Float,
    times_s: Float,
    *,
    geometry: StackGeometry,
    zones: tuple[Zone, ...],
    charge_per_attenuation: float,
    groups: Mapping[str, tuple[str, ...]] | None = None,
    refinements: int = 2,
) -> ZoneCharges:
    """Measure the charge of every zone at every time.

    Parameters
    ----------
    profiles, variance : (time, strip, row) arrays
        Transmission averaged over a window of time, and its variance.
    reference, reference_variance : (strip, row) arrays
    times_s : (time,) array
    geometry : StackGeometry
    zones : tuple of Zone
    charge_per_attenuation : float
        mAh/cm³ per cm⁻¹.
    groups : mapping of name to zones, optional
        Sums that get a σ of their own.
    refinements : int
        How often what the linear model leaves of the difference is worked off: within an interface a beam passes
        part of the zone only, and exp(−a/2) is not half of exp(−a).
    """
    basis = ZoneBasis(geometry, zones)
    picks = {zone.name: (basis.owner == number).astype(float) for number, zone in enumerate(zones)}
    for name, members in (groups or {}).items():
        picks[name] = np.asarray(sum(picks[member] for member in members))
    total = {name: np.zeros(times_s.size) for name in picks}
    square = {name: np.zeros(times_s.size) for name in picks}
    strips, own = (
        {name: np.zeros((times_s.size, geometry.strips.count)) for name in picks} for _ in range(2)
    )
    widths = geometry.strips.widths_mm
    for strip in _strips_with_matter(geometry):
        # mAh per mm of a, of a strip: mm² of ∫∫ a dz dx are 0.01 cm²
        per_hat = 0.01 * widths[strip] * basis.lengths_mm * charge_per_attenuation
        noise = np.sqrt(variance[:, strip].mean(axis=0) + reference_variance[strip])
        operator = basis.operator(strip, reference[strip], noise)
        g = _solved(basis, strip, profiles[:, strip] - reference[strip], operator, refinements)
        both = variance[:, strip] + reference_variance[strip]
        change = -np.log1p(g) - _log_bias(g, both @ (operator**2).T)
        for name, pick in picks.items():
            strips[name][:, strip] = change @ (pick * per_hat)
            total[name] += strips[name][:, strip]
            gain = ((pick * per_hat / (1 + g)) @ operator) ** 2
            square[name] += np.sum(gain * both, axis=1)
            own[name][:, strip] = np.sqrt(np.sum(gain * variance[:, strip], axis=1))
    sigma = {name: np.sqrt(values) for name, values in square.items()}
    return ZoneCharges(times_s, total, sigma, strips, own)


def _solved(basis: ZoneBasis, strip: int, difference: Float, operator: Float, refinements: int) -> Float:
    """G (time, hat) of differences (time, row)."""
    g = np.maximum(difference @ operator.T, _EMPTIEST - 1)
    sharp = basis.geometry.model.sharp(basis.geometry.depths[strip])
    for _ in range(refinements):
        change = sharp * np.expm1(np.log1p(g) @ basis.hats.T)
        left = difference - basis.geometry.model.seen(change.T).T
        g = np.maximum(g + left @ operator.T, _EMPTIEST - 1)
    return g


def _log_bias(g: Float, variance: Float) -> Float:
    """What noise of g adds to −ln(1 + g), to second order, bounded where that is no small correction."""
    relative = variance / (1 + g) ** 2
    return np.asarray(relative / 2 / (1 + relative))


def _strips_with_matter(geometry: StackGeometry) -> NDArray[np.int64]:
    """Strips whose middle lies over the pellet."""
    edge = geometry.strips.edges_mm[-1]
    return np.flatnonzero(np.abs(geometry.strips.middles_mm) < edge)
