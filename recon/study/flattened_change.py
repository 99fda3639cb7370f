"""Every change laid flat along the profile layer, as an image (depth, y, x) of the store."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.flattening import flatten, flattened_rows
from deltamu.recon.change.layer_stack import Layer, LayerStack
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, layer_settings
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.study.settings import split_change
from deltamu.recon.study.subtraction import resolution_mm
from deltamu.recon.study.view_subsets import surface_facts
from deltamu.recon.volumes.image import Image, create_image, finish_image
from deltamu.recon.volumes.open import open_image
from deltamu.recon.volumes.volume import Volume

# of the resolution, beyond both surfaces
MARGIN_FWHM = 2.0


def flatten_changes(context: RunContext, stack: LayerStack, registered: Registered) -> None:
    """Write `changes/<change>/flattened`: steps of one voxel along the normal, from two widths before depth 0."""
    layer = stack[layer_settings(context).cathode]
    margin = MARGIN_FWHM * resolution_mm(context, stack)
    steps = np.arange(
        -np.ceil(margin / layer.voxel_size_mm),
        np.ceil((layer.thickness_mm + margin) / layer.voxel_size_mm) + 1,
    )
    for change in context.study.changes:
        settings = settings_hash(
            [registered.hashes[state] for state in split_change(change)], surface_facts(layer), steps.tolist()
        )
        _flatten(context, change, layer, steps * layer.voxel_size_mm, settings)


def _flatten(
    context: RunContext, change: str, layer: Layer, depth_mm: NDArray[np.float64], settings: str
) -> None:
    group = context.store / "changes" / change
    delta_mu = open_image(group / "delta_mu")
    image = create_image(
        group, "flattened", shape=(depth_mm.size, *delta_mu.shape[1:]), voxel_size_mm=layer.voxel_size_mm,
        unit="cm^-1", attributes={"axes": ["depth", "y", "x"], "first_depth_mm": float(depth_mm[0])},
    )  # fmt: skip
    context.images.add(group / "flattened")
    for slab in range(image.slabs):
        depths = depth_mm[slab * image.slab : (slab + 1) * image.slab]

        def compute(depths: NDArray[np.float64] = depths) -> tuple[Slabs, Mapping[str, Any]]:
            return _slab(image, delta_mu, layer, depths), {}

        context.piece(PieceKey("flattened", change, slab), settings, compute)
    context.progress("flattened", change, 1, 1)
    finish_image(image)


def _slab(image: Image, delta_mu: Volume, layer: Layer, depths: NDArray[np.float64]) -> Slabs:
    first, stop = flattened_rows(layer, depths, delta_mu.shape[0])
    return [(image, flatten(np.asarray(delta_mu[first:stop]), layer, depths, first_row=first))]
