"""Depth by Laplace's equation in a study: its images, and a profile along it."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.depth import labels_slab
from deltamu.recon.change.depth_image import DepthMeans, SectorSums, depth_means, sector_sums
from deltamu.recon.change.laplace_depth import LaplaceDepth, laplace_depth
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.errors import InputError, ResourceError
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.row_blocks import row_blocks
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings_cell import LayerSettings
from deltamu.recon.volumes.image import finish_image
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.read import read_volume

SECTORS = 12
# what the solution takes per voxel of the layer, and of the volume it lies in
LAYER_BYTES, BOX_BYTES = 200, 60


@dataclass(frozen=True, eq=False)
class LabelledLayers:
    """Label image of a study, and the depth in its profile layer, computed when it is first asked for."""

    labels: NDArray[np.uint8]
    layers: LayerSettings
    voxel_size_mm: float

    @cached_property
    def depth(self) -> LaplaceDepth:
        """Depth from the separator to the collector."""
        cathode, near, far = (
            self.layers.order.index(name) + 1
            for name in (self.layers.cathode, self.layers.separator, self.layers.collector)
        )
        return laplace_depth(self.labels, layer=cathode, near=near, far=far, voxel_size_mm=self.voxel_size_mm)


def read_labels(context: RunContext, stack: LayerStack) -> NDArray[np.uint8]:
    """Label image of the user, or of the fitted stack.

    Raises
    ------
    InputError
        If the image is not on the grid of the reference or holds other numbers than those of the layers.
    """
    grid = context.plan.state(context.study.reference)
    given = context.study.profile.labels
    if given is None:
        parts = [labels_slab(stack, rows, grid.volume) for rows in row_blocks(0, grid.volume[0])]
        return np.concatenate(parts)
    path = (context.study.folder / given).resolve()
    volume = read_volume(path, voxel_size_mm=grid.voxel_size_mm, unit="1")
    if volume.shape != grid.volume:
        raise InputError(
            f"profile.labels: {path}: found shape {volume.shape}, the reference has {grid.volume}"
        )
    values = np.asarray(volume[:])
    if np.any(values != np.rint(values)) or values.min() < 0 or values.max() > len(stack.order):
        raise InputError(
            f"profile.labels: {path}: found {values.min():g} to {values.max():g}; expected whole numbers, 0 outside "
            f"and 1 to {len(stack.order)} in the order of layers.order"
        )
    return values.astype(np.uint8)


def write_laplace(context: RunContext, stack: LayerStack, layers: LayerSettings) -> None:
    """Write the labels that were used, and depth and thickness along the field lines of the profile layer."""
    labels = read_labels(context, stack)
    _check_memory(context, labels, layers)
    labelled = LabelledLayers(labels, layers, stack.voxel_size_mm)
    settings = settings_hash(zlib.crc32(labels.tobytes()), layers, "laplace")
    images = [
        context.image(context.study.reference, f"layers/{layers.cathode}", name, unit="mm")
        for name in ("depth", "local_thickness")
    ]
    images.append(context.image(context.study.reference, "layers", "labels", unit="1", dtype=np.uint8))
    for slab in range(images[0].slabs):
        rows = slice(slab * images[0].slab, min((slab + 1) * images[0].slab, len(labels)))

        def compute(rows: slice = rows) -> tuple[Slabs, Mapping[str, Any]]:
            found = labelled.depth
            parts = (found.depth_mm[rows], found.thickness_mm[rows], labels[rows])
            return list(zip(images, parts, strict=True)), {}

        context.piece(PieceKey("labels", "", slab), settings, compute)
    for image in images:
        finish_image(image)


def _check_memory(context: RunContext, labels: NDArray[np.uint8], layers: LayerSettings) -> None:
    inside = labels == layers.order.index(layers.cathode) + 1
    rows = int(np.count_nonzero(inside.any(axis=(1, 2))))
    needed = (
        LAYER_BYTES * int(np.count_nonzero(inside)) + BOX_BYTES * rows * inside.shape[1] * inside.shape[2]
    )
    if needed > context.plan.memory_limit:
        raise ResourceError(
            f"profile.depth = 'laplace' needs about {needed / 2**30:.1f} GiB for this layer, the limit is "
            f"{context.plan.memory_limit / 2**30:.1f} GiB; raise --memory, bin the scans, or use depth = 'surface'"
        )


def laplace_table(context: RunContext, change: str, plan: ProfilePlan) -> str:
    """Profile of a change along the Laplace depth of the core of the pellet, as CSV."""
    layer, voxel = plan.layer, plan.layer.voxel_size_mm
    width = float(np.median(np.diff(plan.edges_mm)))
    edges = np.arange(0.0, layer.thickness_mm + 2 * width, width)
    found = _means(context, change, plan, edges)
    lines = [
        f"# change {change}, layer {layer.name}, depth along the field lines of Laplace's equation, voxel {voxel:g} mm",
        f"# depth in mm; mean, standard_error (scatter of {SECTORS} sectors) and spread in cm^-1",
        "depth_mm,mean,standard_error,spread,count",
    ]
    middle = 0.5 * (edges[1:] + edges[:-1])
    for row in zip(middle, found.mean, found.standard_error, found.spread, found.count, strict=True):
        if row[-1] > 0:
            error = f"{row[2]:.8g}" if np.isfinite(row[2]) else ""
            lines.append(f"{row[0]:.6f},{row[1]:.8g},{error},{row[3]:.8g},{row[4]}")
    return "\n".join(lines) + "\n"


def _means(context: RunContext, change: str, plan: ProfilePlan, edges: NDArray[np.float64]) -> DepthMeans:
    layer = plan.layer
    y, x = (
        np.arange(n) * layer.voxel_size_mm - a for n, a in zip(plan.shape[1:], layer.axis_mm, strict=True)
    )
    angle = np.arctan2(y[:, None], x[None, :])
    sector = np.floor((angle / (2 * np.pi) % 1.0) * SECTORS).astype(np.intp)
    sector[np.hypot(y[:, None], x[None, :]) >= plan.radius_mm] = -1
    parts = _slab_sums(context, change, layer.name, sector, edges, plan.shape[0])
    total = next(parts)
    for part in parts:
        total = total + part
    return depth_means(total)


def _slab_sums(
    context: RunContext,
    change: str,
    name: str,
    sector: NDArray[np.intp],
    edges: NDArray[np.float64],
    rows: int,
) -> Iterator[SectorSums]:
    depth = open_image(context.store / "layers" / name / "depth")
    delta_mu = open_image(context.store / "changes" / change / "delta_mu")
    for first, stop in row_blocks(0, rows):
        change_rows, depth_rows = (np.asarray(image[first:stop]) for image in (delta_mu, depth))
        yield sector_sums(change_rows, depth_rows, sector, edges, sectors=SECTORS)
