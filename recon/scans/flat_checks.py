"""Are these flats and darks what they are called?"""

import numpy as np

from deltamu.recon.errors import InputError
from deltamu.recon.scans.frames import Frames

# a beam does not change by half between flats and scan; another exposure or other files do that
_BRIGHTER = 1.5
# of the pixels; noise leaves fewer than these at exactly the highest value
_SATURATED = 0.01


def check_flats(
    flats: Frames, darks: Frames, first_frames: Frames, *, where: str = "scan", scale: float = 1.0
) -> None:
    """Refuse flats and darks that cannot be right.

    Parameters
    ----------
    flats, darks, first_frames : (k, row, column) arrays
        ADU; `first_frames` are one or a few projections, `darks` may be empty.
    where : str
        Of the scan, for messages.
    scale : float
        Exposure of a projection over that of a flat.

    Raises
    ------
    InputError
        If the flats are all zero or saturated, hold no light, are darker than the darks or than the
        projections, or the two are swapped.
    """
    if not np.any(flats):
        raise InputError(f"{where}: flats: all values are zero, expected frames with beam and without sample")
    _refuse_saturation(flats, where)
    flat, frame = _typical(flats), _typical(first_frames)
    dark = _typical(darks) if darks.size else 0.0
    if flat > dark:
        _refuse_dark_flat(flats, dark, where)
        _refuse_brighter_projections(flat - dark, frame - dark, scale, where)
        return
    if not darks.size:
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


def _refuse_saturation(flats: Frames, where: str) -> None:
    """Refuse flats that stop at the highest number of a camera of 8 to 16 bits."""
    highest = float(flats.max())
    if highest not in {2.0**bits - 1 for bits in (8, 10, 12, 14, 16)}:
        return
    share = float(np.mean(flats == highest))
    if share > _SATURATED:
        raise InputError(
            f"{where}: flats: {100 * share:.3g} % of the pixels read {highest:g} ADU, the most this camera can "
            "say: saturated; expected a shorter exposure of the open beam (state flat_exposure_s if it differs)"
        )


def _refuse_dark_flat(flats: Frames, dark: float, where: str) -> None:
    """Refuse a single frame that the shutter spoilt."""
    levels = np.median(flats, axis=(1, 2))
    worst = int(np.argmin(levels))
    if levels[worst] <= dark:
        raise InputError(
            f"{where}: flats: frame {worst} of {len(flats)} typically has {levels[worst]:.6g} ADU, not more than "
            f"the darks ({dark:.6g}); expected open beam: a closed shutter? Leave the frame out"
        )


def _refuse_brighter_projections(flat: float, frame: float, scale: float, where: str) -> None:
    if frame > _BRIGHTER * flat * scale:
        raise InputError(
            f"{where}: projections are brighter than flats: typically {frame:.6g} ADU above the darks, the "
            f"flats {flat:.6g}; expected at most the open beam: other files, or another exposure "
            "(state exposure_s and flat_exposure_s)?"
        )


def _typical(frames: Frames) -> float:
    return float(np.mean(np.median(frames, axis=(1, 2)), dtype=np.float64))
