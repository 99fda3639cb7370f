"""Zones of the stack in which lithium comes and goes, and regions of columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.strips import Strips

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Zone:
    """A layer, or what lies within a distance of one of its faces.

    Attributes
    ----------
    name, label : str
    layer : str
    near : str or None
        The neighbour at whose side the zone lies; None for the whole layer.
    reach_mm : float or None
    """

    name: str
    label: str
    layer: str
    near: str | None = None
    reach_mm: float | None = None

    def rows(self, geometry: StackGeometry) -> tuple[float, float]:
        """First and last row on the axis of the pellet, as fractions."""
        first, last = geometry.rows_of(self.layer)
        if self.near is None or self.reach_mm is None:
            return first, last
        reach = self.reach_mm / geometry.pixel_size_mm
        if geometry.index(self.near) < geometry.index(self.layer):
            return first, min(last, first + reach)
        return max(first, last - reach), last


@dataclass(frozen=True)
class Region:
    """Ranges of columns, as distances from the axis in mm."""

    name: str
    label: str
    columns_mm: tuple[tuple[float, float], ...]

    def weights(self, strips: Strips) -> Float:
        """(strip,) weights of a mean over the columns of the region.

        Raises
        ------
        InputError
            If no strip lies in it.
        """
        inside = np.zeros(strips.count, bool)
        for first, last in self.columns_mm:
            inside |= strips.inside(first, last)
        if not inside.any():
            raise InputError(
                f"region '{self.name}': found no columns of the pellet between "
                f"{' and '.join(f'{a:g} and {b:g} mm' for a, b in self.columns_mm)} from the axis; expected ranges "
                f"between {strips.edges_mm[0]:.2f} and {strips.edges_mm[-1]:.2f} mm"
            )
        return np.asarray(np.where(inside, strips.widths_mm, 0.0) / strips.widths_mm[inside].sum())

    @property
    def borders_mm(self) -> tuple[float, ...]:
        """All ends of the ranges."""
        return tuple(border for pair in self.columns_mm for border in pair)


def inert_rows(geometry: StackGeometry, zones: tuple[Zone, ...], *, margin_px: float) -> NDArray[np.bool_]:
    """Rows that are further from every zone than a margin, and from the ends of the frame."""
    rows = np.arange(geometry.model.rows, dtype=float)
    inert = np.ones(rows.size, bool)
    for zone in zones:
        first, last = zone.rows(geometry)
        inert &= (rows < first - margin_px) | (rows > last + margin_px)
    return inert
