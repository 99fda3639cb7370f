"""The simulated series: which cell, how it is charged, how it is recorded, and what an experimenter would write down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.simulate.operando.camera import OperandoCell
from deltamu.recon.simulate.operando.charging import FrontDischarge, InterlayerStages, SoftShort
from deltamu.recon.simulate.operando.front_cell import FrontCell
from deltamu.recon.simulate.operando.lithium_metal import PELLET_MM, PISTON_MM, RIM_MM, LithiumMetalCell
from deltamu.recon.simulate.presets import Preset

Float = NDArray[np.float64]
KINDS = ("soft-short", "interlayer", "front", "healthy")
_REST_FRAMES = 10
_FRAME_S = 60.0
_ALUMINIUM_SEEN_MM = 0.3
_PELLET_CM2 = np.pi * PELLET_MM**2 / 100


class Electrochemistry(Protocol):
    """What the cycler sees."""

    @property
    def events(self) -> dict[str, float]:
        """True times in seconds."""

    def voltage(self, times_s: Float) -> Float:
        """Volt."""

    def current(self, times_s: Float) -> Float:
        """Milliampere, positive on charge."""


@dataclass(frozen=True)
class SeriesDesign:
    """Everything about one simulated series; times count from when the current was switched on.

    Attributes
    ----------
    kind : str
    cell : OperandoCell
    process : Electrochemistry
    preset : Preset
        Its number of views is that of the frames.
    stack : mapping of layer to thickness in mm
        As assembled, along the rows.
    core_radius_mm : float
        Of the narrowest layer.
    zones, regions : tuples of tables as in series.toml
    front : table or None
    """

    kind: str
    cell: OperandoCell
    process: Electrochemistry
    preset: Preset
    stack: Mapping[str, float]
    core_radius_mm: float
    zones: tuple[dict[str, Any], ...]
    regions: tuple[dict[str, Any], ...]
    front: dict[str, Any] | None = None
    wavelength_angstrom: float = 2.6
    frame_s: float = _FRAME_S
    rest_frames: int = field(default=_REST_FRAMES)

    @property
    def times_s(self) -> Float:
        """Middles of the exposures."""
        return np.asarray((np.arange(self.preset.views) - self.rest_frames + 0.5) * self.frame_s)


def find_design(kind: str, *, seed: int = 1) -> SeriesDesign:
    """Look up a simulated series.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if kind == "front":
        return _front(seed)
    if kind == "interlayer":
        return _interlayer(seed)
    if kind in ("soft-short", "healthy"):
        return _soft_short(seed, short=kind == "soft-short")
    raise InputError(f"operando: found {kind!r}, expected one of {', '.join(KINDS)}")


def _frames(duration_s: float) -> int:
    return round(duration_s / _FRAME_S) + _REST_FRAMES


def _front(seed: int) -> SeriesDesign:
    cell = FrontCell(collector_mm=0.5)
    duration = np.floor(cell.duration_s / _FRAME_S) * _FRAME_S
    process = FrontDischarge(cell.current_ma, float(cell.duration_s), seed=seed)
    stack = {layer.name: layer.thickness_mm for layer in cell.layers}
    stack["plunger_a"] = stack["plunger_c"] = _ALUMINIUM_SEEN_MM
    return SeriesDesign(
        "front", cell, process, Preset(104, 512, _frames(duration), 0.027, 6000, 2), stack, cell.radius_mm,
        zones=({"name": "cathode", "layer": "cathode"},),
        regions=({"name": "middle", "columns_mm": [[-1.5, 1.5]]}, {"name": "side", "columns_mm": [[1.8, 2.6]]}),
        front={"layer": "cathode", "near": "separator", "region": "middle", "lithium_mol_cm3": cell.lithium_mol_cm3,
               "level": cell.level},
    )  # fmt: skip


def _metal_stack(cell: LithiumMetalCell) -> dict[str, float]:
    """The stack as seen: lithium that was squeezed out reaches a little over the piston."""
    stack = {}
    for layer in cell.layers:
        thickness = layer.thickness_mm
        if layer.name == "collector_a":
            stack["rim"] = cell.rim_start_mm
            thickness -= cell.rim_start_mm
        stack[layer.name] = _ALUMINIUM_SEEN_MM if layer.name.startswith("plunger") else thickness
    return stack


def _soft_short(seed: int, *, short: bool) -> SeriesDesign:
    density = 0.25
    onset = 4.5 * 3600 if short else float("inf")
    process = SoftShort(density * _PELLET_CM2, seed=seed, short_s=onset)
    cell = LithiumMetalCell(process.zone_charges, density, collector_mm=0.5)
    return SeriesDesign(
        "soft-short" if short else "healthy", cell, process,
        Preset(160, 1056, _frames(process.duration_s), 0.0135, 1500, 2), _metal_stack(cell), PISTON_MM,
        zones=(
            {"name": "cathode", "label": "P1 cathode", "layer": "cathode"},
            {"name": "plated", "label": "P2 separator|lithium", "layer": "separator", "near": "lithium",
             "reach_mm": 0.25},
            {"name": "contact", "label": "P3 lithium|steel", "layer": "lithium"},
            {"name": "rim", "label": "P4 at the steel", "layer": "collector_a", "near": "rim", "reach_mm": 0.25},
        ),
        regions=(
            {"name": "region_1", "label": "Region I, behind the pin", "columns_mm": [[-3.6, 3.6]]},
            {"name": "region_2", "label": "Region II, beside the pin",
             "columns_mm": [[-RIM_MM + 0.05, -PISTON_MM - 0.05], [PISTON_MM + 0.05, RIM_MM - 0.05]]},
        ),
    )  # fmt: skip


def _interlayer(seed: int) -> SeriesDesign:
    density = 0.8
    process = InterlayerStages(density * _PELLET_CM2, seed=seed)
    cell = LithiumMetalCell(process.zone_charges, density, collector_mm=0.5, graphite_mm=0.030)
    return SeriesDesign(
        "interlayer", cell, process, Preset(160, 1056, _frames(process.duration_s), 0.0135, 1500, 2),
        _metal_stack(cell), PISTON_MM,
        zones=(
            {"name": "cathode", "label": "cathode", "layer": "cathode"},
            {"name": "plated", "label": "separator|graphite", "layer": "separator", "near": "graphite",
             "reach_mm": 0.25},
            {"name": "interlayer", "label": "graphite", "layer": "graphite"},
            {"name": "anode", "label": "lithium", "layer": "lithium"},
        ),
        regions=({"name": "region_1", "label": "Region I, behind the pin", "columns_mm": [[-3.6, 3.6]]},),
    )  # fmt: skip
