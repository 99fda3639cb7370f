"""A state from a volume that was reconstructed elsewhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.recon.study.checkpoint import PieceKey
from deltamu.recon.study.journal import settings_hash
from deltamu.recon.study.run_context import PIECES_VERSION, RunContext, Slabs
from deltamu.recon.volumes.image import finish_image
from deltamu.recon.volumes.volume import Volume

# the second difference of white noise has six times its variance
_SECOND_DIFFERENCE_GAIN = np.sqrt(6.0)
_MAD_TO_SIGMA = 1.4826


def import_state(context: RunContext, name: str, volume: Volume, fingerprint: str) -> str:
    """Copy a volume into the store, slab by slab, with an estimate of its noise; return the hash of its source.

    The noise of a volume made elsewhere is not known; sigma is the robust spread of second differences along the
    axis in each slice, smoothed over slices. That sees what differs from slice to slice, not what slices share.
    """
    settings = settings_hash(PIECES_VERSION, "import", fingerprint, context.study.states[name])
    images = [context.image(name, f"states/{name}", part, unit="cm^-1") for part in ("attenuation", "sigma")]
    total = images[0].slabs
    for slab in range(total):

        def compute(slab: int = slab) -> tuple[Slabs, Mapping[str, Any]]:
            first = slab * images[0].slab
            stop = min(first + images[0].slab, images[0].shape[0])
            padded = slice(max(first - 1, 0), min(stop + 1, volume.shape[0]))
            rows = np.asarray(volume[padded, :, :], np.float32)
            sigma = np.full(rows.shape, noise_between_slices(rows), np.float32)
            own = slice(first - padded.start, stop - padded.start)
            return [(images[0], rows[own]), (images[1], sigma[own])], {}

        context.piece(PieceKey("import", name, slab), settings, compute)
        context.progress("import", name, slab + 1, total)
    for image in images:
        finish_image(image)
    context.warn(
        f"{name}: reconstructed elsewhere; its noise is estimated from neighbouring slices, "
        "and errors of means from the spread between sectors of the sample"
    )
    return settings


def noise_between_slices(rows: NDArray[np.float32]) -> float:
    """Estimate the noise of a stack of slices, (z, y, x), from what is neither smooth in z nor an edge.

    Robust spread (median absolute deviation) of the second difference along z, or within the slice when there
    are fewer than three.
    """
    if rows.shape[0] >= 3:
        difference = rows[2:] - 2 * rows[1:-1] + rows[:-2]
    else:
        difference = ndimage.convolve1d(rows, [1.0, -2.0, 1.0], axis=2)
    finite = difference[np.isfinite(difference)]
    if finite.size == 0:
        return 0.0
    return float(_MAD_TO_SIGMA * np.median(np.abs(finite)) / _SECOND_DIFFERENCE_GAIN)
