"""A motion between parts of two volumes: what only looks at the pellet need not interpolate its housing."""

from dataclasses import replace
from itertools import product

import numpy as np

from deltamu.recon.geometry import AffineTransform

Box = tuple[slice, slice]
# voxels beside a box that a cubic spline still feels: it forgets by 0.27 per voxel
SPLINE_MARGIN = 16


def moved_box(
    transform: AffineTransform,
    box: Box,
    rows: tuple[int, int],
    shape: tuple[int, int, int],
    voxel_size_mm: float,
) -> Box:
    """Columns (y, x) of the moving state that a box of the reference is interpolated from."""
    ends = (rows, (box[0].start, box[0].stop - 1), (box[1].start, box[1].stop - 1))
    moved = transform.apply(np.array(list(product(*ends)), float) * voxel_size_mm)[:, 1:] / voxel_size_mm
    low, high = np.floor(moved.min(axis=0)).astype(int), np.ceil(moved.max(axis=0)).astype(int)
    y, x = (
        slice(max(int(a) - SPLINE_MARGIN, 0), min(int(b) + SPLINE_MARGIN + 1, size))
        for a, b, size in zip(low, high, shape[1:], strict=True)
    )
    return y, x


def between_boxes(transform: AffineTransform, box: Box, source: Box, voxel_size_mm: float) -> AffineTransform:
    """Return the same motion between coordinates that begin at the corners of two boxes."""
    corner, other = (np.array([0.0, *(side.start * voxel_size_mm for side in b)]) for b in (box, source))
    z, y, x = np.array(transform.translation_mm) + corner - other
    cz, cy, cx = np.array(transform.center_mm) - corner
    return replace(
        transform,
        translation_mm=(float(z), float(y), float(x)),
        center_mm=(float(cz), float(cy), float(cx)),
    )
