"""Cells with a lithium-metal anode while they charge: lithium leaves the cathode and appears in named zones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials import cell_materials as materials
from deltamu.recon.materials.compositions import compound
from deltamu.recon.materials.lithium import MOL_PER_MAH, kappa
from deltamu.recon.simulate.operando.stack import (
    Array,
    Cumulative,
    Layer,
    Part,
    RayGrid,
    Surfaces,
    fading,
    fading_integral_mm,
    layer_starts,
    layered,
    line_integrals,
)

Float = NDArray[np.float64]
# mAh in every zone against time in seconds, relative to the start of the series
ZoneCharges = Callable[[Float], Mapping[str, Float]]

PELLET_MM = 5.0
PISTON_MM = 4.0
RIM_MM = 4.6
_SURFACES = Surfaces(PELLET_MM, tilt_across_deg=0.2, tilt_along_deg=0.03, bow_mm=0.005)


@dataclass(frozen=True)
class Zone:
    """A place where lithium appears or disappears.

    Attributes
    ----------
    inner_mm, outer_mm : float
        Radii of the hollow cylinder.
    shape : callable
        Cumulative of the profile along the axis, which need not be normalised.
    integral_mm : float
        Its value far above.
    """

    inner_mm: float
    outer_mm: float
    shape: Cumulative
    integral_mm: float

    @property
    def area_cm2(self) -> float:
        """Cross section."""
        return float(np.pi * (self.outer_mm**2 - self.inner_mm**2) / 100)

    def part(self, charge_mah: float, kappa_cm2_per_mol: float) -> Part:
        """Attenuation of a charge's lithium in this zone."""
        per_cm = charge_mah * MOL_PER_MAH * kappa_cm2_per_mol / (self.area_cm2 * self.integral_mm / 10)
        return Part(self.inner_mm, self.outer_mm, lambda z: per_cm * self.shape(z))


@dataclass(frozen=True)
class LithiumMetalCell:
    """NMC811 composite | argyrodite (| graphite) | lithium between steel collectors, in a PEEK sleeve.

    The lithium and its piston are narrower than the pellet; lithium that was squeezed out in the press stands
    around the piston as a rim.
    """

    charges: ZoneCharges
    current_ma_cm2: float
    graphite_mm: float = 0.0
    rim_start_mm: float = 0.05
    rim_height_mm: float = 0.20
    collector_mm: float = 0.90
    cathode_mm: float = 0.070
    separator_mm: float = 0.60
    lithium_mm: float = 0.100
    sleeve_mm: float = 6.5
    wavelength_angstrom: float = 2.6
    surfaces: Surfaces = _SURFACES

    def __post_init__(self) -> None:
        unknown = set(self.charges(np.zeros(1))) - set(self.zones)
        if unknown:
            raise InputError(f"zones: found {sorted(unknown)}, expected some of {', '.join(self.zones)}")

    @property
    def radius_mm(self) -> float:
        """Radius of the pellet."""
        return PELLET_MM

    @property
    def area_cm2(self) -> float:
        """Cross section of the cathode."""
        return float(np.pi * PELLET_MM**2 / 100)

    @property
    def current_ma(self) -> float:
        """Charge current."""
        return self.current_ma_cm2 * self.area_cm2

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The stack before charging, from row 0 on: the cathode's collector first."""
        at = self.wavelength_angstrom
        steel = materials.stainless_steel().attenuation(at)
        aluminium = materials.aluminium().attenuation(at)
        stack = [
            Layer("plunger_c", 2.0, aluminium),
            Layer("collector_c", self.collector_mm, steel),
            Layer("cathode", self.cathode_mm, materials.nmc811_composite().attenuation(at)),
            Layer("separator", self.separator_mm, materials.argyrodite().attenuation(at)),
            Layer("graphite", self.graphite_mm, _half_lithiated_graphite(at)),
            Layer("lithium", self.lithium_mm, materials.lithium_metal().attenuation(at)),
            Layer("collector_a", self.collector_mm, steel),
            Layer("plunger_a", 2.0, aluminium),
        ]
        return tuple(layer for layer in stack if layer.thickness_mm > 0)

    @cached_property
    def start_mm(self) -> float:
        """Height of the first layer; the middle of the stack between the plungers is at 0."""
        return -sum(layer.thickness_mm for layer in self.layers[1:-1]) / 2 - self.layers[0].thickness_mm

    @cached_property
    def starts_mm(self) -> dict[str, float]:
        """Heights at which the layers begin."""
        return layer_starts(self.start_mm, self.layers)

    @cached_property
    def zones(self) -> dict[str, Zone]:
        """Where lithium can go: P1 to P4 of the soft-short cell, and the inside of a graphite interlayer."""
        at = self.starts_mm
        anode = at.get("graphite", at["lithium"])
        rim = at["collector_a"] + self.rim_start_mm
        zones = {
            "cathode": self._slab(PELLET_MM, at["cathode"], self.cathode_mm),
            "plated": _fading_zone(anode, -0.25, decay_mm=0.050),
            "void": _fading_zone(at["collector_a"], -self.lithium_mm, decay_mm=0.040),
            "anode": _fading_zone(at["lithium"], self.lithium_mm, decay_mm=0.050),
            "rim": self._slab(RIM_MM, rim, self.rim_height_mm, inner_mm=PISTON_MM),
        }
        if self.graphite_mm:
            zones["graphite"] = self._slab(PISTON_MM, at["graphite"], self.graphite_mm)
        return zones

    def _slab(self, radius_mm: float, start_mm: float, height_mm: float, inner_mm: float = 0.0) -> Zone:
        return Zone(inner_mm, radius_mm, layered(start_mm, [Layer("", height_mm, 1.0)]), height_mm)

    def line_integrals(self, grid: RayGrid, time_s: float) -> Array:
        """Line integrals (row, column) of the cell at a time."""
        at = self.wavelength_angstrom
        total = line_integrals(grid, [*self._static_parts(), *self._changed_parts(time_s)])
        sleeve = grid.chord_cm(PELLET_MM, self.sleeve_mm) * materials.peek().attenuation(at)
        return total + sleeve.astype(np.float32)

    def _static_parts(self) -> list[Part]:
        names = [layer.name for layer in self.layers]
        below = names.index("separator") + 1
        wide, narrow = self.layers[:below], self.layers[below:]
        narrow_start = self.starts_mm[narrow[0].name]
        rim = Layer("rim", self.lithium_mm + self.rim_start_mm, self._lithium)
        return [
            Part(0.0, PELLET_MM, layered(self.start_mm, wide)),
            Part(0.0, PISTON_MM, layered(narrow_start, narrow)),
            Part(PISTON_MM, RIM_MM, layered(self.starts_mm["lithium"], [rim])),
        ]

    @property
    def _lithium(self) -> float:
        return materials.lithium_metal().attenuation(self.wavelength_angstrom)

    def _changed_parts(self, time_s: float) -> list[Part]:
        factor = kappa(self.wavelength_angstrom)
        charges = self.charges(np.array([time_s]))
        return [
            self.zones[name].part(float(charge[0]), factor)
            for name, charge in charges.items()
            if charge[0] != 0
        ]


def _fading_zone(start_mm: float, depth_mm: float, *, decay_mm: float) -> Zone:
    shape = fading(start_mm, depth_mm, decay_mm=decay_mm)
    return Zone(0.0, PISTON_MM, shape, fading_integral_mm(depth_mm, decay_mm=decay_mm))


def _half_lithiated_graphite(wavelength_angstrom: float) -> float:
    """Attenuation of graphite that the press has lithiated half way to LiC6."""
    graphite = compound("graphite", "C", 2.26).attenuation(wavelength_angstrom)
    full = compound("LiC6", "LiC6", 2.21).attenuation(wavelength_angstrom)
    return 0.5 * (graphite + full)
