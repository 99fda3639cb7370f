"""The Li-S cell during its discharge: a reaction front runs through the cathode at constant current."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials import cell_materials as materials
from deltamu.recon.materials.lithium import COULOMB_PER_MAH, FARADAY_C_PER_MOL
from deltamu.recon.simulate.operando.stack import (
    Array,
    Layer,
    Part,
    RayGrid,
    Surfaces,
    chord_mm,
    layer_starts,
    layered,
    line_integrals,
)
from deltamu.recon.simulate.profiles import discharged, mean

Float = NDArray[np.float64]
_SURFACES = Surfaces(3.0, tilt_across_deg=0.3, tilt_along_deg=0.05, bow_mm=0.015)


@dataclass(frozen=True)
class FrontCell:
    """A sulfur cathode that a logistic front converts from the separator on; lengths in mm.

    u(x, r) = U / (1 + exp((x − x_f(r)) / w)) with x = d / t_c and x_f(r) = x_f − curvature (r/R)²; x_f follows
    from the charge. The level U behind the front is such that 1.63 mA/cm² pass the cathode in ten hours.
    """

    radius_mm: float = 3.0
    sleeve_mm: float = 4.0
    housing_mm: float = 6.0
    plunger_mm: float = 0.18
    collector_mm: float = 0.90
    indium_mm: float = 0.300
    indium_x: float = 0.60
    separator_mm: float = 0.50
    cathode_mm: float = 0.40
    level: float = field(default_factory=lambda: mean(discharged))
    width: float = 0.08
    curvature: float = 0.08
    current_ma_cm2: float = 1.63
    wavelength_angstrom: float = 2.6
    surfaces: Surfaces = _SURFACES

    def __post_init__(self) -> None:
        if not 0 < self.level <= 1:
            raise InputError(f"level: found {self.level}, expected a fraction above 0 and at most 1")

    @property
    def area_cm2(self) -> float:
        """Cross section of the pellet."""
        return float(np.pi * self.radius_mm**2 / 100)

    @property
    def current_ma(self) -> float:
        """Discharge current."""
        return self.current_ma_cm2 * self.area_cm2

    @property
    def lithium_mol_cm3(self) -> float:
        """Lithium that full conversion adds to the cathode."""
        return 2 * materials.cathode_sulfur_mol_per_cm3()

    @property
    def capacity_mah(self) -> float:
        """Charge of full conversion, U = 1."""
        volume = self.area_cm2 * self.cathode_mm / 10
        return self.lithium_mol_cm3 * volume * FARADAY_C_PER_MOL / COULOMB_PER_MAH

    @property
    def duration_s(self) -> float:
        """Time in which the front passes the whole cathode."""
        return 3600 * self.level * self.capacity_mah / self.current_ma

    @property
    def sharp_velocity_um_h(self) -> float:
        """V = i / (F Δn U)."""
        rate = self.current_ma_cm2 * 1e-3 / (FARADAY_C_PER_MOL * self.lithium_mol_cm3 * self.level)
        return rate * 1e4 * 3600

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The pristine stack in the bore, from row 0 on: the anode first."""
        at = self.wavelength_angstrom
        steel = materials.stainless_steel().attenuation(at)
        aluminium = materials.aluminium().attenuation(at)
        anode_mm = self.indium_mm * (1 + materials.INDIUM_EXPANSION * self.indium_x)
        return (
            Layer("plunger_a", 2.0, aluminium),
            Layer("collector_a", self.collector_mm, steel),
            Layer("anode", anode_mm, materials.lithium_indium(self.indium_x).attenuation(at)),
            Layer("separator", self.separator_mm, materials.argyrodite().attenuation(at)),
            Layer("cathode", self.cathode_mm, materials.sulfur_cathode(0.0).attenuation(at)),
            Layer("collector_c", self.collector_mm, steel),
            Layer("plunger_c", 2.0, aluminium),
        )

    @cached_property
    def start_mm(self) -> float:
        """Height of the first layer; the middle of the stack between the plungers is at 0."""
        between = sum(layer.thickness_mm for layer in self.layers[1:-1])
        return -between / 2 - self.layers[0].thickness_mm

    @cached_property
    def uptake(self) -> float:
        """Attenuation that full conversion adds, cm⁻¹."""
        full, pristine = materials.sulfur_cathode(1.0), materials.sulfur_cathode(0.0)
        return full.attenuation(self.wavelength_angstrom) - pristine.attenuation(self.wavelength_angstrom)

    @cached_property
    def cathode_start_mm(self) -> float:
        """Height of the separator|cathode interface."""
        return layer_starts(self.start_mm, self.layers)["cathode"]

    def charge_mah(self, time_s: float) -> float:
        """Charge since the beginning of the discharge."""
        return self.current_ma * time_s / 3600

    def front_position(self, time_s: float) -> float:
        """x_f on the axis of the pellet; far outside before the start and after the end."""
        share = np.clip(self.charge_mah(time_s) / (self.level * self.capacity_mah), 0, 1)
        positions, filled = self._filling
        return float(np.interp(share, filled, positions))

    @cached_property
    def _filling(self) -> tuple[Float, Float]:
        """x_f against the mean of u/U over the pellet, tabulated."""
        positions = np.linspace(-1.0, 2.1, 6201)
        nodes, weights = np.polynomial.legendre.leggauss(24)
        radius2, weights = 0.5 * (nodes + 1), weights / 2
        local = positions[:, None] - self.curvature * radius2
        return positions, logistic_mean(local, self.width) @ weights

    def line_integrals(self, grid: RayGrid, time_s: float) -> Array:
        """Line integrals (row, column) of the cell at a time."""
        at = self.wavelength_angstrom
        total = line_integrals(grid, [Part(0.0, self.radius_mm, layered(self.start_mm, self.layers))])
        total += self._uptake_integrals(grid, time_s)
        sleeve = grid.chord_cm(self.radius_mm, self.sleeve_mm) * materials.polyimide().attenuation(at)
        housing = grid.chord_cm(self.sleeve_mm, self.housing_mm) * materials.aluminium().attenuation(at)
        return total + (sleeve + housing).astype(np.float32)

    def _uptake_integrals(self, grid: RayGrid, time_s: float) -> Array:
        """What the front has added, on the rows that can see the cathode."""
        reach = self.cathode_mm + 0.1
        near = np.abs(grid.heights_mm - self.cathode_start_mm - self.cathode_mm / 2) < reach
        rows = slice(int(np.argmax(near)), int(near.size - np.argmax(near[::-1])))
        added = np.zeros((grid.heights_mm.size, grid.across_mm.size), np.float32)
        if time_s <= 0 or not near.any():
            return added
        depth, radius2, weights = self._depths(grid, rows)
        u = self._row_mean(depth, self.front_position(time_s) - self.curvature * radius2, grid.row_mm)
        chord = grid.chord_cm(0.0, self.radius_mm).astype(np.float32)
        added[rows] = grid.spread(self.uptake * (u @ weights)) * chord
        return added

    def _depths(self, grid: RayGrid, rows: slice) -> tuple[Float, Float, Float]:
        nodes = grid.nodes_mm
        along, weights = grid.points_mm(nodes)
        shift = self.surfaces.displacement_mm(nodes[:, None], along)
        depth = grid.heights_mm[rows, None, None] - shift - self.cathode_start_mm
        return depth, (nodes[:, None] ** 2 + along**2) / self.radius_mm**2, weights

    def _row_mean(self, depth_mm: Float, front: Float, row_mm: float) -> Float:
        """Mean of u over the height of a row, the part inside the cathode."""
        low = np.clip((depth_mm - row_mm / 2) / self.cathode_mm, 0, 1)
        high = np.clip((depth_mm + row_mm / 2) / self.cathode_mm, 0, 1)
        rise = logistic_integral(high, front, self.width) - logistic_integral(low, front, self.width)
        return np.asarray(self.level * rise * self.cathode_mm / row_mm)

    def region_lithiation(self, depth_mm: Float, time_s: float, columns_mm: tuple[float, float]) -> Float:
        """Lithiation against depth as a radiograph sees it: mean over the chords of a range of columns.

        Parameters
        ----------
        depth_mm : (n,) array
            From the separator.
        columns_mm : (first, last)
            Distances from the axis.
        """
        nodes, weights = np.polynomial.legendre.leggauss(16)
        across = np.mean(columns_mm) + 0.5 * np.ptp(columns_mm) * nodes
        half = chord_mm(across, self.radius_mm) / 2
        radius2 = (across[:, None] ** 2 + (half[:, None] * nodes) ** 2) / self.radius_mm**2
        weight = (weights * half)[:, None] * weights
        front = self.front_position(time_s) - self.curvature * radius2
        u = self.level / (1 + np.exp((depth_mm[:, None, None] / self.cathode_mm - front) / self.width))
        return np.asarray(np.tensordot(u, weight / weight.sum(), 2))

    def region_front_mm(self, time_s: float, columns_mm: tuple[float, float]) -> float:
        """Depth at which the chord-averaged u of a region changes fastest: where it is steepest."""
        middle = self.front_position(time_s) * self.cathode_mm
        depth = np.linspace(middle - 0.15 * self.cathode_mm, middle + 0.05 * self.cathode_mm, 2001)
        slope = np.gradient(self.region_lithiation(depth, time_s, columns_mm), depth)
        return float(depth[np.argmin(slope)])


def logistic_integral(x: Float, front: Float, width: float) -> Float:
    """∫₀ˣ dx / (1 + exp((x − front)/width)), stable for any argument."""
    return np.asarray(width * (np.logaddexp(0, front / width) - np.logaddexp(0, (front - x) / width)))


def logistic_mean(front: Float, width: float) -> Float:
    """Mean of 1 / (1 + exp((x − front)/width)) over 0 < x < 1."""
    return logistic_integral(np.asarray(1.0), np.asarray(front, float), width)
