"""A finished series of radiographs at one time and one position along the stack."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.operando.content import SeriesContent, load_series_content

Float = NDArray[np.float64]
HOUR_S = 3600.0


@dataclass(frozen=True)
class SeriesReadout:
    """What a series holds at a time and a position; NaN where there is no value.

    Attributes
    ----------
    hours, voltage_v : float
    position_mm : float
        From the upper end of the frame, on the axis of the cell.
    zone : str
        Empty outside all zones.
    ratio, sigma : float
        Transmission relative to the reference and its standard error, mean over a region.
    """

    hours: float
    voltage_v: float
    position_mm: float
    zone: str
    ratio: float
    sigma: float

    @property
    def text(self) -> str:
        """Lines for a reader."""
        voltage = "" if np.isnan(self.voltage_v) else f"   {self.voltage_v:.3f} V"
        ratio = "–" if np.isnan(self.ratio) else f"{self.ratio:.4f} ± {self.sigma:.4f}"
        return (
            f"t = {self.hours:.3f} h{voltage}\n"
            f"position {self.position_mm:.3f} mm   {self.zone or 'outside the zones'}   Tr/Tr₀ {ratio}"
        )


class KymographView:
    """Kymographs of one finished series, and where their points lie in its frames.

    Parameters
    ----------
    output : Path
        Output folder of the series.

    Raises
    ------
    InputError
        If the series is not finished.
    """

    def __init__(self, output: Path) -> None:
        self.content: SeriesContent = load_series_content(output)

    @property
    def hours(self) -> Float:
        """Time of every frame."""
        return np.asarray(self.content.arrays["frame_times_s"], np.float64) / HOUR_S

    def frame_at(self, hours: float) -> int:
        """Frame that was taken nearest to a time."""
        return int(np.abs(self.hours - hours).argmin())

    def position_at(self, row_mm: float, column_mm: float) -> float:
        """Position on the axis of what lies at a place of the frame, mm; layers are followed along tilt and bow.

        Parameters
        ----------
        row_mm, column_mm : float
            Distance from the centre of the first pixel.
        """
        across, lower = self._offsets_mm
        return row_mm + 0.5 * self.content.pixel_mm - float(np.interp(column_mm, across, lower))

    def line_at(self, position_mm: float) -> Float:
        """Line across the frame at a position on the axis, (point, 2) rows and columns in mm as above."""
        across, lower = self._offsets_mm
        return np.stack([position_mm - 0.5 * self.content.pixel_mm + lower, across], axis=1)

    def read(self, region: str, hours: float, position_mm: float) -> SeriesReadout:
        """Read the kymograph of a region and the voltage."""
        arrays = self.content.arrays
        times_h = arrays[f"kymograph/{region}/times_s"] / HOUR_S
        time = int(np.abs(times_h - hours).argmin())
        row = int(np.floor(position_mm / self.content.pixel_mm))
        ratio, sigma = (arrays[f"kymograph/{region}/{name}"] for name in ("ratio", "sigma"))
        inside = 0 <= row < ratio.shape[1]
        return SeriesReadout(
            hours,
            float(arrays["voltage_v"][self.frame_at(hours)]) if self.content.has_cycler else float("nan"),
            position_mm,
            self._zone_at(position_mm),
            float(ratio[time, row]) if inside else float("nan"),
            float(sigma[time, row]) if inside else float("nan"),
        )

    def _zone_at(self, position_mm: float) -> str:
        row = position_mm / self.content.pixel_mm - 0.5
        zones = self.content.summary["zones"].values()
        return next((str(z["label"]) for z in zones if min(z["rows"]) <= row <= max(z["rows"])), "")

    @property
    def _offsets_mm(self) -> tuple[Float, Float]:
        """Columns, and how much lower than on the axis the layers lie there."""
        edges, offsets = self.content.arrays["strip_edges_mm"], self.content.arrays["offsets_px"]
        axis = float(self.content.summary["stack"]["axis_column"]) * self.content.pixel_mm
        across = 0.5 * (edges[1:] + edges[:-1]) + axis
        lower = np.asarray(offsets, np.float64) * self.content.pixel_mm
        known = np.isfinite(lower)
        return across[known], lower[known]
