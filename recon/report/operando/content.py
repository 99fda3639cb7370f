"""What the report of a series shows, read from the output of a finished run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import BlockArray, open_stack

Float = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesContent:
    """Results of a series.

    Attributes
    ----------
    output : Path
    summary : mapping
    arrays : mapping of name to array
        As in series.zarr/results.npz, see docs/formats.md.
    maps : BlockArray
        (map, row, column) ratios.
    settings_text : str
    """

    output: Path
    summary: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    maps: BlockArray
    settings_text: str

    @property
    def pixel_mm(self) -> float:
        """Size of a pixel."""
        return float(self.summary["frames"]["pixel_size_mm"])

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions."""
        return tuple(self.summary["regions"])

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the zones."""
        return tuple(self.summary["zones"])

    def label(self, name: str) -> str:
        """How a zone or a region is called."""
        for kind in ("zones", "regions"):
            if name in self.summary[kind]:
                return str(self.summary[kind][name]["label"])
        return "sum of the anode's side" if name == "balance" else name

    @property
    def has_cycler(self) -> bool:
        """Whether a cycler's record belongs to the series."""
        return "voltage_v" in self.arrays

    @property
    def interfaces_mm(self) -> Float:
        """Positions of the interfaces from the upper end of the frame."""
        return np.asarray((self.arrays["boundaries_px"] + 0.5) * self.pixel_mm)

    @property
    def shown_mm(self) -> tuple[float, float]:
        """Part of the height with something to see: the zones with a margin."""
        rows = [row for zone in self.summary["zones"].values() for row in zone["rows"]]
        height = float(self.summary["frames"]["rows"] * self.pixel_mm)
        if not rows:
            return 0.0, height
        return max((min(rows) + 0.5) * self.pixel_mm - 0.15, 0.0), min(
            (max(rows) + 0.5) * self.pixel_mm + 0.15, height
        )


def load_series_content(output: Path) -> SeriesContent:
    """Read the results of a finished series.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    try:
        summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
        with np.load(output / "series.zarr" / "results.npz") as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise InputError(
            f"{output}: holds no finished series ({error}); run `deltamu operando` first"
        ) from None
    maps = open_stack(output / "series.zarr" / "maps" / "ratio")
    text = (output / "series.toml").read_text(encoding="utf-8")
    return SeriesContent(output, summary, arrays, maps, text)
