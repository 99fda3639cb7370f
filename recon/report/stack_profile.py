"""Mean of a change along the whole stack, measured from the face of the profile layer."""

from dataclasses import dataclass

import numpy as np

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.images import open_study_image
from deltamu.recon.report.sections import CellFrame

BLOCK_ROWS = 32
CORE_FRACTION = 0.8


@dataclass(frozen=True)
class StackProfile:
    """Mean of a change over the core of the pellet against the distance from the separator's face.

    Attributes
    ----------
    depth_mm, mean : (bin,) arrays
        Negative depths lie on the separator's side; NaN where no voxel has a value.
    """

    depth_mm: Float
    mean: Float


def stack_profile(content: ReportContent, change: str, frame: CellFrame) -> StackProfile:
    """Average a change over the core of the pellet in bins of one voxel along the stack.

    The distance is taken from the local height of the face, so that tilt and bow do not blur it.
    """
    if frame.near_mm is None or frame.far_mm is None:
        raise ValueError("the faces of the profile layer are not known")
    image = open_study_image(content, f"changes/{change}/delta_mu")
    core = frame.core(CORE_FRACTION)
    rows, columns = (slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(core))
    near, inside = frame.near_mm[rows, columns], core[rows, columns]
    bins = 2 * frame.shape[0] + 1
    total, count = np.zeros(bins), np.zeros(bins)
    for start in range(0, frame.shape[0], BLOCK_ROWS):
        values = image.read(slice(start, start + BLOCK_ROWS), rows, columns)
        heights = (start + np.arange(values.shape[0])) * frame.voxel_mm
        depth = frame.toward_collector * (heights[:, None, None] - near) / frame.voxel_mm
        used = inside & np.isfinite(values) & np.isfinite(depth) & (np.abs(depth) < frame.shape[0] - 1)
        index = np.rint(depth[used]).astype(np.int64) + frame.shape[0]
        total += np.bincount(index, weights=values[used].astype(np.float64), minlength=bins)
        count += np.bincount(index, minlength=bins)
    # a bin that tilt and bow fill only in part shows one side of the pellet
    enough = count > 0.5 * np.count_nonzero(inside)
    mean = np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float64)
    depth_mm = np.asarray((np.arange(bins) - frame.shape[0]) * frame.voxel_mm, np.float64)
    shown = slice(int(np.argmax(enough)), bins - int(np.argmax(enough[::-1])))
    return StackProfile(depth_mm[shown], mean[shown])
