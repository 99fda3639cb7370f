"""The three planes through a point, from any level of a pyramid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# axis that is cut, axis downwards, axis to the right
PLANES = {"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)}
AXES = ("z", "y", "x")
# a plane with more pixels along a side is taken from a coarser level
LARGEST_PX = 640


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Levels of an image with their place.

    Attributes
    ----------
    levels : tuple of (z, y, x) array-likes
    voxel_size_mm : float
        Of the finest level.
    """

    levels: tuple[Any, ...]
    voxel_size_mm: float

    @property
    def extent_mm(self) -> tuple[float, ...]:
        """Centres of the last voxels along (z, y, x)."""
        return tuple((n - 1) * self.voxel_size_mm for n in self.levels[0].shape)

    def index(self, point_mm: tuple[float, ...], level: int = 0) -> tuple[int, ...]:
        """Voxel of a level that a point lies in; the nearest one outside."""
        size = self.voxel_size_mm * 2**level
        origin = self.voxel_size_mm * (2**level - 1) / 2
        shape = self.levels[level].shape
        return tuple(
            int(np.clip(np.floor((p - origin) / size + 0.5), 0, n - 1))
            for p, n in zip(point_mm, shape, strict=True)
        )

    def value(self, point_mm: tuple[float, ...]) -> float:
        """Value of the voxel of the finest level that a point lies in."""
        return float(self.levels[0][self.index(point_mm)])

    def plane_level(self, largest: int = LARGEST_PX) -> int:
        """Finest level whose planes are not larger than that; the coarsest where all are."""
        fitting = (k for k, level in enumerate(self.levels) if max(level.shape) <= largest)
        return next(fitting, len(self.levels) - 1)

    def plane(self, name: str, point_mm: tuple[float, ...], level: int, window: "Window") -> NDArray[Any]:
        """Read the plane `xy`, `xz` or `yz` through a point, inside a window."""
        cut = PLANES[name][0]
        first, last = self.index(window.first_mm, level), self.index(window.last_mm, level)
        key: list[Any] = [slice(a, b + 1) for a, b in zip(first, last, strict=True)]
        key[cut] = self.index(point_mm, level)[cut]
        return np.asarray(self.levels[level][tuple(key)])


@dataclass(frozen=True)
class Window:
    """A box that planes are cut to.

    Attributes
    ----------
    first_mm, last_mm : (z, y, x)
        Centres of the voxels in its corners.
    voxel_size_mm : float
    """

    first_mm: tuple[float, ...]
    last_mm: tuple[float, ...]
    voxel_size_mm: float

    def place(self, plane: str, point_mm: tuple[float, ...]) -> tuple[float, float]:
        """Where a point lies in the picture of a plane, as fractions (down, right)."""
        down, right = (
            (point_mm[a] - self.first_mm[a] + 0.5 * self.voxel_size_mm) / self._width(a)
            for a in PLANES[plane][1:]
        )
        return down, right

    def point(self, plane: str, down: float, right: float, at_mm: tuple[float, ...]) -> tuple[float, ...]:
        """Return the point at a place in the picture of the plane through `at_mm`."""
        found = list(at_mm)
        for axis, fraction in zip(PLANES[plane][1:], (down, right), strict=True):
            found[axis] = self.first_mm[axis] - 0.5 * self.voxel_size_mm + fraction * self._width(axis)
        return tuple(found)

    def _width(self, axis: int) -> float:
        return self.last_mm[axis] - self.first_mm[axis] + self.voxel_size_mm


def window_around(image: Pyramid, axis_mm: tuple[float, float] | None, half_width_mm: float | None) -> Window:
    """All of z, and y and x as far from an axis as given; everything where nothing is given."""
    ends = image.extent_mm
    if axis_mm is None or half_width_mm is None:
        return Window((0.0, 0.0, 0.0), ends, image.voxel_size_mm)
    voxel = image.voxel_size_mm
    low = [
        float(np.clip(np.floor((a - half_width_mm) / voxel) * voxel, 0, e))
        for a, e in zip(axis_mm, ends[1:], strict=True)
    ]
    high = [
        float(np.clip(np.ceil((a + half_width_mm) / voxel) * voxel, 0, e))
        for a, e in zip(axis_mm, ends[1:], strict=True)
    ]
    return Window((0.0, *low), (ends[0], *high), voxel)
