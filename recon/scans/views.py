"""Which frames show one view: consecutive frames at one angle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

# consecutive frames closer than this were taken without turning
_STANDING_DEG = 1e-4


@dataclass(frozen=True)
class FrameGroups:
    """Frames of every view, in the stored order.

    Attributes
    ----------
    groups : tuple of tuple of int
    notes : tuple of str
    """

    groups: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]

    def of_views(self, per_frame: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over the frames of each view of something known for each frame."""
        return np.array([np.mean(per_frame[list(group)]) for group in self.groups])


def group_frames(degrees: NDArray[np.float64], *, frames_per_angle: int | None, label: str) -> FrameGroups:
    """Group frames by view.

    Parameters
    ----------
    degrees : (frame,) array
    frames_per_angle : int or None
        As the user states it; None recognises frames that all come in runs of one length at one angle.

    Raises
    ------
    InputError
        If the number of frames is no multiple of `frames_per_angle`, or the stage turned within a view.
    """
    count = degrees.size
    if frames_per_angle is None:
        length = _run_length(degrees)
        note = (f"recognised {length} frames per angle; they are combined",) if length > 1 else ()
        return FrameGroups(_consecutive(count, length), note)
    if count % frames_per_angle:
        raise InputError(
            f"frames_per_angle: {label} has {count} projections, no multiple of {frames_per_angle}"
        )
    spread = np.ptp(degrees.reshape(-1, frames_per_angle), axis=1)
    if np.any(spread > _STANDING_DEG):
        worst = int(np.argmax(spread))
        raise InputError(
            f"frames_per_angle: the {frames_per_angle} frames of view {worst} are {spread[worst]:.4g}° "
            "apart, expected one angle"
        )
    note = (f"{frames_per_angle} frames per angle are combined",) if frames_per_angle > 1 else ()
    return FrameGroups(_consecutive(count, frames_per_angle), note)


def _run_length(degrees: NDArray[np.float64]) -> int:
    """Length of the runs of equal angles if all are equally long, otherwise 1."""
    turning = np.flatnonzero(np.abs(np.diff(degrees)) > _STANDING_DEG) + 1
    lengths = np.diff(np.concatenate(([0], turning, [degrees.size])))
    return int(lengths[0]) if np.all(lengths == lengths[0]) and lengths.size > 1 else 1


def _consecutive(count: int, length: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(range(first, first + length)) for first in range(0, count, length))
