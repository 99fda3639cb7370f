"""Everything the report shows, checked once, before a figure is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Table = Mapping[str, Any]


@dataclass(frozen=True)
class ProfileTable:
    """The depth profile of one change as it stands in profiles/<change>.csv.

    Attributes
    ----------
    depth_mm, mean, standard_error, spread : (bin,) arrays
        Depth in mm from the separator; change of attenuation in cm⁻¹.
    count : (bin,) array
        Voxels per bin.
    eroded : (bin,) bool array
        True inside the layer after its blurred edges are left out.
    lithium_mol_cm3 : (bin,) array
        The mean as lithium per volume; NaN where no conversion was made.
    """

    change: str
    depth_mm: Float
    mean: Float
    standard_error: Float
    spread: Float
    count: Float
    eroded: NDArray[np.bool_]
    lithium_mol_cm3: Float

    def __post_init__(self) -> None:
        if self.depth_mm.size < 2:
            raise InputError(
                f"profiles/{self.change}.csv: found {self.depth_mm.size} bins, expected at least 2"
            )
        if not np.all(np.diff(self.depth_mm) > 0):
            raise InputError(f"profiles/{self.change}.csv: depth_mm must increase from row to row")

    @property
    def bin_mm(self) -> float:
        """Distance between neighbouring bins."""
        return float(np.median(np.diff(self.depth_mm)))

    def averaged_mm(self, thickness_mm: float) -> tuple[float, float]:
        """Depths between which the mean of the layer is taken; all of it where erosion leaves nothing."""
        kept = self.depth_mm[self.eroded]
        if kept.size == 0:
            return 0.0, thickness_mm
        return float(kept[0]) - 0.5 * self.bin_mm, float(kept[-1]) + 0.5 * self.bin_mm

    def charge_per_area(self, charge_per_attenuation: float, *, eroded_only: bool) -> float:
        """Charge per area of the core, mAh/cm²: all bins, or those without the margins that blur reaches.

        `charge_per_attenuation` in mAh/cm³ per cm⁻¹.
        """
        chosen = np.isfinite(self.mean) & (self.eroded | (not eroded_only))
        return float(self.mean[chosen].sum() * 0.1 * self.bin_mm * charge_per_attenuation)


@dataclass(frozen=True)
class ReportContent:
    """What `load_report_content` found in the output folder of a finished study.

    Attributes
    ----------
    output_dir : Path
        Folder with study.zarr, summary.json, profiles, diagnostics.json and study.toml.
    summary, diagnostics : mapping
        The two JSON files, keys as in docs/formats.md.
    settings_text : str
        study.toml as it was resolved.
    profiles : mapping of change to ProfileTable
        In the order of `changes`.
    """

    output_dir: Path
    summary: Table
    diagnostics: Table
    settings_text: str
    profiles: Mapping[str, ProfileTable] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the study."""
        return str(self.summary.get("name") or self.output_dir.name)

    @property
    def states(self) -> tuple[str, ...]:
        """States in the order of the study."""
        return tuple(self.summary["states"])

    @property
    def changes(self) -> tuple[str, ...]:
        """Changes `to-from` in the order of the study."""
        return tuple(self.summary.get("changes") or ())

    @property
    def reference(self) -> str:
        """The state to which the others are registered."""
        return str(self.summary.get("reference") or self.states[0])

    @property
    def moving_states(self) -> tuple[str, ...]:
        """The states that were registered, in the order of the study."""
        registered = self.summary.get("registration") or {}
        return tuple(state for state in self.states if state in registered and state != self.reference)

    @property
    def layers(self) -> Table:
        """What is known of each layer, by name."""
        found: Table = self.summary.get("layers") or {}
        return found

    @property
    def profile_layer(self) -> str | None:
        """The layer whose profile is reported; None in a study without layers."""
        named = self.summary.get("profile_layer")
        if named in self.layers:
            return str(named)
        return "cathode" if "cathode" in self.layers else next(iter(self.layers), None)

    @property
    def inert_layers(self) -> tuple[str, ...]:
        """The layers that are expected not to change; the noise is judged there."""
        stated = tuple(name for name, layer in self.layers.items() if layer.get("inert") is True)
        if stated or any("inert" in layer for layer in self.layers.values()):
            return stated
        return tuple(name for name in self.layers if "separator" in name or "collector" in name)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences that a reader must see first."""
        return tuple(str(warning) for warning in self.summary.get("warnings") or ())

    @property
    def is_simulated(self) -> bool:
        """Whether the truth is known."""
        return bool(self.summary.get("truth"))

    @property
    def starved_rows(self) -> tuple[int, int] | None:
        """First and last detector row in which some state was starved of neutrons; None where none was."""
        rows = [
            row
            for found in (self.diagnostics.get("states") or {}).values()
            for row in found.get("starved_rows") or ()
            if isinstance(row, int)
        ]
        return (min(rows), max(rows)) if rows else None

    @property
    def starved_heights_mm(self) -> tuple[float, float] | None:
        """The edges of those rows."""
        if self.starved_rows is None:
            return None
        voxel, (first, last) = float(self.summary["voxel_size_mm"]), self.starved_rows
        return (first - 0.5) * voxel, (last + 0.5) * voxel

    def change(self, name: str) -> Table:
        """Results of one change."""
        found: Table = self.summary["changes"][name]
        return found

    def image_path(self, image: str) -> Path:
        """Path of an image group in the store, for example `changes/discharged-pristine/delta_mu`."""
        return self.output_dir / "study.zarr" / image

    def has_image(self, image: str) -> bool:
        """Whether the store holds an image."""
        return (self.image_path(image) / "zarr.json").is_file()


def state_title(state: str) -> str:
    """Write a state's name as words."""
    return state.replace("_", " ")


def change_title(change: str) -> str:
    """Write `discharged-pristine` as `discharged − pristine`."""
    return " − ".join(state_title(state) for state in change.split("-"))
