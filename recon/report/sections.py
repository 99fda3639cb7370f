"""Planes through the images of a study, read from disk without the rest of the volume."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.images import StudyImage, open_study_image, read_surface

Float32 = NDArray[np.float32]
LARGEST_PANEL_PX = 700


@dataclass(frozen=True)
class Section:
    """A plane with the positions of its edges.

    Attributes
    ----------
    values : (row, column) or (row, column, 3) array
        Image values, or colours.
    horizontal_mm, vertical_mm : (first edge, last edge)
        Positions of the left and right, of the top and bottom edge, mm.
    """

    values: NDArray[np.floating]
    horizontal_mm: tuple[float, float]
    vertical_mm: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Edges as matplotlib wants them for an image whose first row is at the top."""
        return (*self.horizontal_mm, self.vertical_mm[1], self.vertical_mm[0])

    def inside(self, radius_mm: float | None) -> NDArray[np.floating]:
        """Finite values within a distance of the origin; all of them without a radius."""
        height, width = self.values.shape[:2]
        y = np.linspace(*self.vertical_mm, height)[:, None]
        x = np.linspace(*self.horizontal_mm, width)[None, :]
        chosen = self.values[np.hypot(y, x) < (radius_mm or np.inf)]
        result: NDArray[np.floating] = chosen[np.isfinite(chosen)]
        return result

    @property
    def width_mm(self) -> float:
        """Horizontal extent."""
        return self.horizontal_mm[1] - self.horizontal_mm[0]

    @property
    def height_mm(self) -> float:
        """Vertical extent."""
        return self.vertical_mm[1] - self.vertical_mm[0]


@dataclass(frozen=True)
class CellFrame:
    """Where the cell lies in the grid of the study.

    Attributes
    ----------
    shape : (z, y, x)
    voxel_mm : float
    axis_mm : (y, x)
        Axis of the pellet; the middle of the grid when no layers were found.
    radius_mm : float or None
        Radius of the pellet.
    near_mm, far_mm : (y, x) arrays or None
        Height z of the two faces of the profile layer, near at the separator.
    """

    shape: tuple[int, int, int]
    voxel_mm: float
    axis_mm: tuple[float, float]
    radius_mm: float | None
    near_mm: Float | None
    far_mm: Float | None

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """(y, x) mask of the pellet."""
        return self.core(1.0)

    def core(self, fraction: float) -> NDArray[np.bool_]:
        """(y, x) mask of what lies within a fraction of the radius of the pellet."""
        axes = zip(self.shape[1:], self.axis_mm, strict=True)
        y, x = (np.arange(length) * self.voxel_mm - axis for length, axis in axes)
        radius = self.radius_mm or 0.5 * self.voxel_mm * min(self.shape[1:])
        return np.asarray(np.hypot(y[:, None], x[None, :]) < fraction * radius)

    @property
    def near_z_mm(self) -> float:
        """Mean height of the separator's side of the profile layer; the middle of the grid without layers."""
        return self._mean_height(self.near_mm)

    @property
    def far_z_mm(self) -> float:
        """Mean height of the collector's side of the profile layer."""
        return self._mean_height(self.far_mm)

    @property
    def middle_z_mm(self) -> float:
        """Mean height of the middle of the profile layer."""
        return 0.5 * (self.near_z_mm + self.far_z_mm)

    @property
    def toward_collector(self) -> float:
        """1 where z grows with depth, −1 where it falls."""
        return 1.0 if self.far_z_mm >= self.near_z_mm else -1.0

    def depth_of_z(self, z_mm: float) -> float:
        """Depth of a height on the axis."""
        return self.toward_collector * (z_mm - self.near_z_mm)

    def _mean_height(self, surface: Float | None) -> float:
        if surface is None:
            return 0.5 * (self.shape[0] - 1) * self.voxel_mm
        return float(np.nanmean(np.where(self.inside, surface, np.nan)))


def cell_frame(content: ReportContent) -> CellFrame:
    """Locate the cell in the grid of the study."""
    image = open_study_image(content, f"states/{content.reference}/attenuation")
    layer = content.layers.get(content.profile_layer or "", {})
    middle = tuple(0.5 * (n - 1) * image.voxel_mm for n in image.shape[1:])
    near, far = (read_surface(content, content.profile_layer, side) for side in ("near", "far"))
    axis = layer.get("axis_mm") or middle
    return CellFrame(
        image.shape, image.voxel_mm, (float(axis[0]), float(axis[1])), layer.get("radius_mm"), near, far
    )


def layer_surfaces(content: ReportContent) -> dict[str, tuple[Float, Float]]:
    """Read the near and far surface (y, x) in mm of every layer that has both in the store."""
    found = {
        name: (read_surface(content, name, "near"), read_surface(content, name, "far"))
        for name in content.layers
    }
    return {name: (near, far) for name, (near, far) in found.items() if near is not None and far is not None}


def cross_section(
    image: StudyImage,
    frame: CellFrame,
    z_mm: float,
    *,
    half_width_mm: float | None = None,
    thickness_mm: float = 0.0,
) -> Section:
    """Read the plane perpendicular to the axis at height z, averaged over a thickness.

    Positions are measured from the axis of the pellet.
    """
    voxel = image.voxel_mm
    y, x = (_window(n, a, voxel, half_width_mm) for n, a in zip(image.shape[1:], frame.axis_mm, strict=True))
    values = mean_without_nan(image.read(_slab(image.shape[0], z_mm, voxel, thickness_mm), y, x), axis=0)
    return _thinned(values, _edges(x, frame.axis_mm[1], voxel), _edges(y, frame.axis_mm[0], voxel))


def axial_section(
    image: StudyImage, frame: CellFrame, *, half_width_mm: float | None = None, thickness_mm: float = 0.0
) -> Section:
    """Read the plane through the axis of the pellet (all z, all x), averaged over a thickness."""
    voxel = image.voxel_mm
    y = _slab(image.shape[1], frame.axis_mm[0], voxel, thickness_mm)
    x = _window(image.shape[2], frame.axis_mm[1], voxel, half_width_mm)
    values = mean_without_nan(image.read(slice(None), y, x), axis=1)
    return _thinned(values, _edges(x, frame.axis_mm[1], voxel), _edges(slice(0, image.shape[0]), 0.0, voxel))


def mean_without_nan(values: Any, axis: int) -> Float32:
    """Mean over an axis of what is not NaN; NaN where nothing is left."""
    values = np.asarray(values)
    valid = np.isfinite(values)
    count = np.count_nonzero(valid, axis=axis)
    total = np.sum(values, axis=axis, where=valid, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _slab(length: int, position_mm: float, voxel_mm: float, thickness_mm: float) -> slice:
    """Return the voxels within half a thickness of a position, at least the nearest one."""
    middle, half = position_mm / voxel_mm, 0.5 * thickness_mm / voxel_mm
    first = int(np.clip(np.ceil(middle - half), 0, length - 1))
    last = int(np.clip(np.floor(middle + half), 0, length - 1))
    if last < first:
        first = last = int(np.clip(round(middle), 0, length - 1))
    return slice(first, last + 1)


def _window(length: int, center_mm: float, voxel_mm: float, half_width_mm: float | None) -> slice:
    if half_width_mm is None:
        return slice(0, length)
    first = int(np.clip(np.floor((center_mm - half_width_mm) / voxel_mm), 0, length - 1))
    last = int(np.clip(np.ceil((center_mm + half_width_mm) / voxel_mm), first + 1, length))
    return slice(first, last)


def _edges(window: slice, origin_mm: float, voxel_mm: float) -> tuple[float, float]:
    return ((window.start - 0.5) * voxel_mm - origin_mm, (window.stop - 0.5) * voxel_mm - origin_mm)


def _thinned(
    values: Float32, horizontal_mm: tuple[float, float], vertical_mm: tuple[float, float]
) -> Section:
    """Average blocks of pixels that no panel could show; leaves out an incomplete last block."""
    block = max(1, -(-max(values.shape) // LARGEST_PANEL_PX))
    rows, columns = (n // block for n in values.shape)
    if block == 1 or rows == 0 or columns == 0:
        return Section(values, horizontal_mm, vertical_mm)
    blocks = values[: rows * block, : columns * block].reshape(rows, block, columns, block)
    pixel = [
        (edges[1] - edges[0]) / n
        for edges, n in zip((horizontal_mm, vertical_mm), values.shape[::-1], strict=True)
    ]
    return Section(
        mean_without_nan(blocks.swapaxes(1, 2).reshape(rows, columns, block * block), axis=2),
        (horizontal_mm[0], horizontal_mm[0] + columns * block * pixel[0]),
        (vertical_mm[0], vertical_mm[0] + rows * block * pixel[1]),
    )
