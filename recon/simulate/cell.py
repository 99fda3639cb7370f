"""The lithium-sulfur cell: its geometry, its materials and its three states of charge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.materials import cell_materials as materials
from deltamu.recon.materials.compositions import Material
from deltamu.recon.materials.lithium import MOL_PER_MAH
from deltamu.recon.simulate import profiles

Float = NDArray[np.float64]
LAYERS = ("plunger_a", "collector_a", "anode", "separator", "cathode", "collector_c", "plunger_c")


@dataclass(frozen=True)
class Cell:
    """A pressed pellet between two collectors, in a sleeve, in a housing; lengths in mm.

    The frame of the sample has its z axis on the axis of the bore and its origin in the middle of the stack.
    """

    radius_mm: float = 3.0
    sleeve_mm: float = 4.0
    housing_mm: float = 6.0
    collector_mm: float = 0.90
    indium_mm: float = 0.300
    separator_mm: float = 0.50
    cathode_mm: float = 0.40
    pristine_indium_x: float = 0.60
    tilt_deg: float = 0.3
    tilt_azimuth_deg: float = 40.0
    bow_mm: float = 0.015
    roughness_mm: float = 0.005
    roughness_length_mm: float = 0.100
    grain_rms: float = 0.03
    grain_length_mm: float = 0.025
    texture_rms: float = 0.15
    texture_length_mm: float = 0.080
    pressure_gradient: float = 0.10
    stack_shift_mm: float = 0.0
    featureless: bool = False

    @property
    def area_cm2(self) -> float:
        """Cross section of the pellet."""
        return float(np.pi * self.radius_mm**2 / 100)

    @property
    def anode_mm(self) -> float:
        """Thickness of the anode as assembled."""
        return self.anode_thickness(self.pristine_indium_x)

    def anode_thickness(self, x: float) -> float:
        """Thickness of the anode at Li_xIn."""
        return self.indium_mm * (1 + materials.INDIUM_EXPANSION * x)

    @property
    def normal(self) -> Float:
        """Unit vector along the stack, (z, y, x): the layers are tilted in the bore."""
        tilt, azimuth = np.radians([self.tilt_deg, self.tilt_azimuth_deg])
        return np.array([np.cos(tilt), np.sin(tilt) * np.sin(azimuth), np.sin(tilt) * np.cos(azimuth)])

    @property
    def cathode_start_mm(self) -> float:
        """Height of the separator|cathode interface above the middle of the stack, pristine."""
        return self.separator_start_mm + self.separator_mm

    @property
    def separator_start_mm(self) -> float:
        """Height of the anode|separator interface above the middle of the stack, pristine."""
        stack = 2 * self.collector_mm + self.anode_mm + self.separator_mm + self.cathode_mm
        return -stack / 2 + self.collector_mm + self.anode_mm

    @property
    def capacity_mah(self) -> float:
        """Charge of the full conversion of the sulfur."""
        lithium = 2 * materials.cathode_sulfur_mol_per_cm3()
        return lithium * self.area_cm2 * self.cathode_mm / 10 / MOL_PER_MAH

    def layer_thickness_mm(self, plunger_mm: float) -> dict[str, float]:
        """Thickness of the layers as assembled; `plunger_mm` of each plunger is inside the field."""
        inner = (self.collector_mm, self.anode_mm, self.separator_mm, self.cathode_mm, self.collector_mm)
        return dict(zip(LAYERS, (plunger_mm, *inner, plunger_mm), strict=True))

    def indium_x(self, mean_lithiation: float) -> float:
        """Composition of the anode at a mean lithiation of the cathode: one gains what the other loses."""
        moved = 2 * materials.cathode_sulfur_mol_per_cm3() * self.cathode_mm * mean_lithiation
        return self.pristine_indium_x - moved / (materials.indium_mol_per_cm3() * self.indium_mm)


@dataclass(frozen=True)
class CellState:
    """The cell at one state of charge.

    Attributes
    ----------
    name : str
    profile : callable
        Lithiation of the cathode against x, 0 at the separator, 1 at the collector.
    indium_x : float
        Composition of the anode, Li_xIn.
    anode_mm : float
        Its thickness.
    shift_mm : float
        How far separator, cathode and collector C have moved towards the anode.
    """

    name: str
    profile: profiles.Profile
    indium_x: float
    anode_mm: float
    shift_mm: float


STATE_PROFILES: Mapping[str, profiles.Profile] = profiles.TRUTHS["broad"]


def cell_state(cell: Cell, name: str, *, profile: profiles.Profile | None = None) -> CellState:
    """Work out a state of charge from the profile of its cathode.

    Raises
    ------
    InputError
        If the stack would move further than the anode has shrunk.
    """
    uptake = STATE_PROFILES[name] if profile is None else profile
    x = cell.indium_x(profiles.mean(uptake))
    thickness = cell.anode_thickness(x)
    shift = cell.stack_shift_mm if thickness < cell.anode_mm - 1e-12 else 0.0
    if shift > cell.anode_mm - thickness + 1e-12:
        raise InputError(
            f"stack_shift_mm: found {shift}, but the anode shrinks by {cell.anode_mm - thickness:.4f} mm only"
        )
    return CellState(name, uptake, x, thickness, shift)


def mean_lithiation(state: CellState) -> float:
    """Fraction of the sulfur that has become Li2S."""
    return profiles.mean(state.profile)


def charge_mah(cell: Cell, to: CellState, origin: CellState) -> float:
    """Charge that went into the cathode between two states, mAh."""
    return cell.capacity_mah * (mean_lithiation(to) - mean_lithiation(origin))


@dataclass(frozen=True)
class CellMaterials:
    """What a beam sees of each part: one number per channel, cm⁻¹ (absorption of a spectrum: cm⁻¹ Å⁻¹).

    Attributes
    ----------
    parts : mapping of part to (channel,) array
    uptake : (channel,) array
        What full lithiation adds to the cathode.
    """

    parts: Mapping[str, Float]
    uptake: Float
    channels: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", int(self.uptake.size))


Channels = Callable[[Material], Float]


def single_wavelength(wavelength_angstrom: float) -> Channels:
    """One channel: the attenuation coefficient at a wavelength."""
    return lambda material: np.array([material.attenuation(wavelength_angstrom)])


def absorption_and_scattering(material: Material) -> Float:
    """Two channels: absorption per angstrom, and scattering."""
    return np.array([material.absorption_per_angstrom, material.scattering])


def cell_materials(state: CellState, channels: Channels) -> CellMaterials:
    """Collect the attenuation of all parts of the cell in a state."""
    pristine, full = materials.sulfur_cathode(0.0), materials.sulfur_cathode(1.0)
    parts = {
        "plunger_a": materials.aluminium(),
        "collector_a": materials.stainless_steel(),
        "anode": materials.lithium_indium(state.indium_x),
        "separator": materials.argyrodite(),
        "cathode": pristine,
        "collector_c": materials.stainless_steel(),
        "plunger_c": materials.aluminium(),
        "sleeve": materials.polyimide(),
        "housing": materials.aluminium(),
    }
    return CellMaterials(
        {name: channels(part) for name, part in parts.items()}, channels(full) - channels(pristine)
    )
