"""Depth profiles of regions, slices at a depth, and the depth of a point."""

import threading
import tomllib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.depth import depth_of
from deltamu.recon.change.layer_stack import Layer, Surface
from deltamu.recon.errors import DeltamuError, InputError
from deltamu.recon.report.content import ProfileTable, ReportContent
from deltamu.recon.report.flattened import flattened_slices
from deltamu.recon.report.load import load_report_content
from deltamu.recon.report.sections import cell_frame
from deltamu.recon.volumes.open import open_map
from deltamu.viewers.depth_columns import ColumnSums, RegionProfile, column_sums
from deltamu.viewers.depth_regions import CORE, Columns, Mask
from deltamu.viewers.image_levels import open_levels
from deltamu.viewers.study_layers import study_layers

Float = NDArray[np.float64]
CORE_FRACTION = 0.8
FILMS = 512
# of count, sum and sum of squares
SUM_BYTES = 10
PREPARED_BYTES = 512 << 20


class DepthView:
    """The profile layer of one finished study.

    Parameters
    ----------
    output : Path
        Output folder of the study.

    Raises
    ------
    InputError
        If the study is not finished, or has no layers.
    """

    def __init__(self, output: Path) -> None:
        self.content: ReportContent = load_report_content(output)
        name = self.content.profile_layer
        if name is None or not self.content.changes:
            raise InputError(
                f"{output}: the study has no layer with a depth profile; name layers in study.toml"
            )
        self.layer = profile_layer(self.content, name)
        self.frame = cell_frame(self.content)
        self.columns = columns_of(self.content, self.layer, self.frame.shape)
        opened = study_layers(output)
        self.limits = next(layer.limits for layer in opened.layers if layer.role == "change") or (-1.0, 1.0)
        self.slice = lru_cache(FILMS)(self._slice)
        self._sums_of: dict[str, ColumnSums] = {}
        self._summing = threading.Lock()

    @property
    def depths_mm(self) -> tuple[float, float]:
        """First and last depth of the bins."""
        table = self._table(self.content.changes[0])
        return float(table.depth_mm[0]), float(table.depth_mm[-1])

    @property
    def bin_mm(self) -> float:
        """Width of a bin; the voxel where the table was rounded from it."""
        width = self._table(self.content.changes[0]).bin_mm
        voxel = self.layer.voxel_size_mm
        # the table keeps six decimals
        return voxel if abs(width - voxel) < 2e-6 else width

    def profile(self, change: str, region: str | Mask) -> RegionProfile:
        """Profile of a region: of the core as in the study's table, of others from the voxels.

        Parameters
        ----------
        region : {"core", "whole", "rim"} or (y, x) bool array over `columns`
        """
        if isinstance(region, str) and region == CORE:
            table = self._table(change)
            return RegionProfile(
                table.depth_mm,
                table.mean,
                table.standard_error,
                table.spread,
                table.count,
                "the study's table",
            )
        mask = self.columns.ring(region) if isinstance(region, str) else region
        return self.sums(change).profile(mask)

    def sums(self, change: str) -> ColumnSums:
        """Sums over the depth of every column, from which all profiles follow; made once, in one thread at a time."""
        with self._summing:
            if change not in self._sums_of:
                image = open_levels(self.content.image_path(f"changes/{change}/delta_mu"))
                self._sums_of[change] = column_sums(image.levels[0], self.layer, self.columns, self._edges())
            return self._sums_of[change]

    def prepare(self) -> None:
        """Make the sums of all changes, where they are small; whoever needs a damaged one is told of it then."""
        rows, columns = self.columns.shape
        if (
            len(self.content.changes) * rows * columns * (self._edges().size - 1) * SUM_BYTES
            <= PREPARED_BYTES
        ):
            with suppress(DeltamuError):
                for change in self.content.changes:
                    self.sums(change)

    def depth_at(self, point_mm: tuple[float, float, float]) -> float:
        """Depth of a point (z, y, x) below the separator's side of the layer, mm."""
        z, y, x = (p / self.layer.voxel_size_mm for p in point_mm)
        return float(depth_of(self.layer, z, y, x))

    def point_at(self, depth_mm: float, y_mm: float, x_mm: float) -> tuple[float, float, float]:
        """Point at a depth over a place (y, x)."""
        y, x = np.array(y_mm), np.array(x_mm)
        near = float(self.layer.near.height_mm(y, x))
        cosine = float(self.layer.near.normal_cosine(y, x))
        return near + self.layer.side * depth_mm / cosine, y_mm, x_mm

    def _slice(self, change: str, depth_mm: float) -> NDArray[np.float32]:
        """Change at a depth, flattened along the layer and averaged over a bin, (y, x) of the pellet."""
        edges = np.array([depth_mm - 0.5 * self.bin_mm, depth_mm + 0.5 * self.bin_mm])
        result: NDArray[np.float32] = flattened_slices(
            self.content, change, self.frame, edges_mm=edges
        ).values[0]
        return result

    def _edges(self) -> Float:
        """Edges of the bins; one of them is 0, as in the plan of the study."""
        first, last = self.depths_mm
        low, high = (round(d / self.bin_mm + 0.5 * side) for d, side in ((first, -1), (last, 1)))
        edges: Float = np.arange(low, high + 1, dtype=np.float64) * self.bin_mm
        return edges

    def _table(self, change: str) -> ProfileTable:
        return self.content.profiles[change]


def profile_layer(content: ReportContent, name: str) -> Layer:
    """Rebuild a layer with its fitted surfaces from the height maps of the store."""
    known = content.layers[name]
    voxel = float(content.summary["voxel_size_mm"])
    axis = (float(known["axis_mm"][0]), float(known["axis_mm"][1]))
    faces = [_surface(content.image_path(f"layers/{name}/{side}"), axis) for side in ("near", "far")]
    return Layer(name, int(known.get("label", 0)), faces[0], faces[1], float(known["radius_mm"]), voxel)


def columns_of(content: ReportContent, layer: Layer, shape: tuple[int, int, int]) -> Columns:
    """Columns of the grid that the pellet covers."""
    voxel, radius = layer.voxel_size_mm, layer.radius_mm
    spans = []
    for axis, length in zip(layer.axis_mm, shape[1:], strict=True):
        first = max(0, int(np.ceil((axis - radius) / voxel)))
        spans.append(slice(first, min(length, int(np.floor((axis + radius) / voxel)) + 1)))
    return Columns(spans[0], spans[1], voxel, layer.axis_mm, radius, _core_fraction(content))


def _surface(path: Path, axis_mm: tuple[float, float]) -> Surface:
    """Plane and paraboloid of a height map, which was made of them."""
    heights = open_map(path)
    y, x = (
        np.arange(n) * heights.pixel_size_mm - a for n, a in zip(heights.values.shape, axis_mm, strict=True)
    )
    v, u = (part.ravel() for part in np.broadcast_arrays(y[:, None], x[None, :]))
    design = np.stack([np.ones_like(v), v, u, v * v + u * u], axis=1)
    found = np.linalg.lstsq(design, np.asarray(heights.values, np.float64).ravel(), rcond=None)[0]
    return Surface((float(found[0]), float(found[1]), float(found[2]), float(found[3])), axis_mm)


def _core_fraction(content: ReportContent) -> float:
    try:
        return float(
            tomllib.loads(content.settings_text).get("profile", {}).get("core_fraction", CORE_FRACTION)
        )
    except (tomllib.TOMLDecodeError, TypeError, ValueError):
        return CORE_FRACTION
