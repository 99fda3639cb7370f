"""What the store holds of the layers: labels, depth, and maps of heights, thickness and normals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deltamu.recon.change.depth import depth_of_labels, height_map, label_maps, normal_maps, thickness_map
from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.laplace_layers import write_laplace
from deltamu.recon.study.row_blocks import row_blocks
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings_cell import LayerSettings
from deltamu.recon.study.storage import Done, write_piece
from deltamu.recon.volumes.image import finish_image
from deltamu.recon.volumes.open import write_map


def write_layers(context: RunContext, stack: LayerStack, layers: LayerSettings, settings: str) -> None:
    """Write the labels of all layers, the depth in the profile layer, and the maps of each."""
    if context.study.profile.depth == "laplace":
        write_laplace(context, stack, layers)
    else:
        _write_labels_and_depth(context, stack, layers.cathode, settings)
    shape = context.plan.state(context.study.reference).volume
    key, current = PieceKey("heights"), settings_hash(settings, "thickness and normals")
    if not context.is_current(key, current):
        write_piece(context.journal, key, current, lambda: Done(_write_maps(context, stack, shape), {}))


def _write_labels_and_depth(context: RunContext, stack: LayerStack, cathode: str, settings: str) -> None:
    reference = context.study.reference
    shape = context.plan.state(reference).volume
    labels = context.image(reference, "layers", "labels", unit="1", dtype=np.uint8)
    depth = context.image(reference, f"layers/{cathode}", "depth", unit="mm")
    maps = label_maps(stack, shape)
    for slab in range(labels.slabs):
        rows = (slab * labels.slab, min((slab + 1) * labels.slab, shape[0]))

        def compute(rows: tuple[int, int] = rows) -> tuple[Slabs, Mapping[str, Any]]:
            slab_shape = (rows[1] - rows[0], *shape[1:])
            found = np.empty(slab_shape, np.uint8), np.empty(slab_shape, np.float32)
            for part in row_blocks(*rows):
                own = slice(part[0] - rows[0], part[1] - rows[0])
                found[0][own] = maps.labels(part)
                found[1][own] = depth_of_labels(stack[cathode], part, found[0][own])
            return list(zip((labels, depth), found, strict=True)), {}

        context.piece(PieceKey("labels", "", slab), settings, compute)
    for image in (labels, depth):
        finish_image(image)


def _write_maps(context: RunContext, stack: LayerStack, shape: tuple[int, int, int]) -> list[Path]:
    files: list[Path] = []
    for name in stack.order:
        layer, voxel = stack[name], stack.voxel_size_mm
        normal = normal_maps(layer, shape[1:])
        maps = {
            "near": (height_map(layer.near, shape[1:], voxel), "mm"),
            "far": (height_map(layer.far, shape[1:], voxel), "mm"),
            "thickness": (thickness_map(layer, shape[1:]), "mm"),
            "normal_y": (normal[1], "1"),
            "normal_x": (normal[2], "1"),
        }
        for kind, (values, unit) in maps.items():
            path = context.store / "layers" / name / kind
            files += write_map(path, values, pixel_size_mm=voxel, unit=unit)
    return files
