"""Are these flats and darks what they are called?"""

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames


def check_flats(flats: Frames, darks: Frames, first_frames: Frames, *, where: str = "scan") -> None:
    """Refuse flats and darks that cannot be right.

    Parameters
    ----------
    flats, darks, first_frames : (k, row, column) arrays
        ADU; `first_frames` are one or a few projections, `darks` may be empty.

    Raises
    ------
    InputError
        If the flats are all zero, hold no light, are darker than the darks, or the two are swapped.
    """
    if not np.any(flats):
        raise InputError(f"{where}: flats: all values are zero, expected frames with beam and without sample")
    if not darks.size:
        return
    flat, dark, frame = (_typical(frames) for frames in (flats, darks, first_frames))
    if flat > dark:
        return
    found = f"the typical flat has {flat:.6g} ADU, the typical dark {dark:.6g}"
    if flat == dark:
        raise InputError(
            f"{where}: flats and darks: {found}: no light in the flats; are they the same files?"
        )
    # with beam, projections lie between darks and flats; above both there is no telling which is wrong
    if flat < frame <= 1.2 * dark:
        raise InputError(
            f"{where}: flats and darks: {found}, projections {frame:.6g}: swapped; "
            "exchange `flats` and `darks`"
        )
    raise InputError(f"{where}: flats are darker than darks: {found}; expected frames with beam as flats")


def _typical(frames: Frames) -> float:
    return float(np.mean(np.median(frames, axis=(1, 2)), dtype=np.float64))
