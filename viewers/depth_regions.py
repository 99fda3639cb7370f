"""Regions of the pellet that a depth profile is averaged over: masks over (y, x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Mask = NDArray[np.bool_]
CORE, WHOLE, RIM = "core", "whole", "rim"
AREAS = ("polygon", "rectangle", "ellipse")


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns (y, x) of a grid around the pellet.

    Attributes
    ----------
    rows, columns : slice
        Of y and x.
    voxel_size_mm : float
    axis_mm : (y, x)
    radius_mm : float
    core_fraction : float
        Of the radius that the study averages.
    """

    rows: slice
    columns: slice
    voxel_size_mm: float
    axis_mm: tuple[float, float]
    radius_mm: float
    core_fraction: float

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def radius(self) -> NDArray[np.float64]:
        """Distance of every column from the axis, mm."""
        y, x = self.positions_mm
        distance: NDArray[np.float64] = np.hypot(y[:, None] - self.axis_mm[0], x[None, :] - self.axis_mm[1])
        return distance

    @property
    def positions_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Heights y and x of the rows and the columns."""
        voxel = self.voxel_size_mm
        y = np.arange(self.rows.start, self.rows.stop) * voxel
        return y, np.arange(self.columns.start, self.columns.stop) * voxel

    def ring(self, region: str) -> Mask:
        """Mask of `core`, `whole` or `rim`."""
        radius, core = self.radius, self.core_fraction * self.radius_mm
        masks = {CORE: radius < core, WHOLE: radius < self.radius_mm}
        masks[RIM] = masks[WHOLE] & ~masks[CORE]
        if region not in masks:
            raise InputError(f"region: found '{region}', expected {', '.join(masks)}")
        return masks[region]

    def shapes(self, vertices_mm: Sequence[NDArray[Any]], kinds: Sequence[str]) -> Mask:
        """Mask of the pellet inside drawn shapes.

        Parameters
        ----------
        vertices_mm : sequence of (vertex, y and x) arrays
            Corners of the box for an ellipse.
        kinds : sequence of str
            `polygon`, `rectangle` or `ellipse`; lines and paths have no inside.

        Raises
        ------
        InputError
            If no shape has an inside that meets the pellet.
        """
        inside = np.zeros(self.shape, bool)
        for vertices, kind in zip(vertices_mm, kinds, strict=True):
            if kind in AREAS:
                inside |= self._ellipse(vertices) if kind == "ellipse" else self._polygon(vertices)
        return self.checked(inside, "the drawn region")

    def checked(self, inside: Mask, name: str) -> Mask:
        """Cut a mask to the pellet.

        Raises
        ------
        InputError
            If nothing is left.
        """
        found = inside & self.ring(WHOLE)
        if not found.any():
            raise InputError(f"{name} does not meet the pellet; draw a polygon, rectangle or ellipse over it")
        return found

    def _polygon(self, vertices: NDArray[Any]) -> Mask:
        from matplotlib.path import Path

        y, x = self.positions_mm
        points = np.stack(np.broadcast_arrays(y[:, None], x[None, :]), axis=-1).reshape(-1, 2)
        return Path(np.asarray(vertices, float)).contains_points(points).reshape(self.shape)

    def _ellipse(self, corners: NDArray[Any]) -> Mask:
        """Inside of the ellipse in a box given by four corners, which may be turned."""
        corners = np.asarray(corners, float)
        middle = corners.mean(axis=0)
        sides = np.stack([corners[1] - corners[0], corners[3] - corners[0]]) / 2
        y, x = self.positions_mm
        points = np.stack(np.broadcast_arrays(y[:, None], x[None, :]), axis=-1) - middle
        if abs(np.linalg.det(sides)) < 1e-12:
            return np.zeros(self.shape, bool)
        local = points @ np.linalg.inv(sides)
        return np.asarray((local**2).sum(axis=-1) < 1)
