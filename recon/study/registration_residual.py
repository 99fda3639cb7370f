"""What is left between every registered state and the reference on the parts without change, as an image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.comparison import Registered, layer_settings, state_image
from deltamu.recon.study.held_parts import HeldParts
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import RunContext, Slabs
from deltamu.recon.volumes.image import finish_image

Array = NDArray[np.float32]


def write_residuals(
    context: RunContext, stack: LayerStack, registered: Registered
) -> dict[str, float | None]:
    """Write registered minus reference where the registration looked, NaN elsewhere.

    Parameters
    ----------
    stack : LayerStack
        The one that the masks of the registration were made from.

    Returns
    -------
    mapping of state to the rms of the residual in the registration's own mask in units of its noise, 1 where only
    noise is left; None where no voxel of it has a value.
    """
    parts = HeldParts(context, stack)
    return {state: _write_state(context, state, parts, registered) for state in registered.transforms}


def _write_state(context: RunContext, state: str, parts: HeldParts, registered: Registered) -> float | None:
    reference = context.study.reference
    image = context.image(reference, f"registered/{state}", "residual", unit="cm^-1")
    settings = settings_hash(
        registered.hashes[reference], registered.hashes[state], context.study.registration,
        layer_settings(context),
    )  # fmt: skip
    total, count = 0.0, 0
    for slab in range(image.slabs):

        def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
            rows = slice(slab * image.slab, min((slab + 1) * image.slab, parts.fixed.shape[0]))
            residual = _residual(context, state, parts, rows)
            squares = (residual / _noise(context, state, rows)) ** 2
            # the housing may have slipped against the parts whose motion this is
            known = np.isfinite(squares) & (np.asarray(parts.fixed[rows]) > 0)
            facts = {"sum": float(squares[known].sum(dtype=float)), "count": int(np.count_nonzero(known))}
            return [(image, residual)], facts

        facts = context.piece(PieceKey("residual", state, slab), settings, compute)
        total, count = total + facts["sum"], count + facts["count"]
    finish_image(image)
    return float(np.sqrt(total / count)) if count else None


def _residual(context: RunContext, state: str, parts: HeldParts, rows: slice) -> Array:
    found: Array = np.array(state_image(context, state)[rows], np.float32)
    found -= np.asarray(state_image(context, context.study.reference)[rows])
    held = np.asarray(parts.fixed[rows]) > 0
    if parts.housing is not None:
        held |= np.asarray(parts.housing[rows]) > 0
    found[~held] = np.nan
    return found


def _noise(context: RunContext, state: str, rows: slice) -> Array:
    """Standard deviation of the difference; NaN where it is 0 or not known."""
    own, others = (
        np.asarray(state_image(context, name, "sigma")[rows]) for name in (state, context.study.reference)
    )
    noise: Array = np.hypot(own, others)
    noise[noise <= 0] = np.nan
    return noise
