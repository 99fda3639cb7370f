"""How much a result depends on the region that is averaged, and how many voxels changed at all."""

from collections.abc import Mapping

import numpy as np

from deltamu.recon.report.content import Float, ReportContent
from deltamu.recon.report.flattened import FlattenedSlices, flattened_slices
from deltamu.recon.report.scores import score_statistics
from deltamu.recon.report.sections import CellFrame

FALSE_DISCOVERY_RATE = 0.05


def region_means(content: ReportContent, change: str, frame: CellFrame) -> Mapping[str, float | None]:
    """Mean change (cm⁻¹) over the depths of the mean of the layer, in discs, in the rim and in halves."""
    if frame.radius_mm is None:
        return {}
    edges = np.array(content.profiles[change].averaged_mm(abs(frame.far_z_mm - frame.near_z_mm)))
    slices = flattened_slices(content, change, frame, edges_mm=edges)
    y, x = _positions(slices)
    radius = np.hypot(y, x) / frame.radius_mm
    disc = radius < 0.8
    regions = {
        "r < 0.5 R": radius < 0.5,
        "r < 0.8 R": disc,
        "r < 0.95 R": radius < 0.95,
        "rim, 0.8 R to 0.95 R": (radius >= 0.8) & (radius < 0.95),
        "x < 0, r < 0.8 R": disc & (x < 0),
        "x > 0, r < 0.8 R": disc & (x > 0),
        "y < 0, r < 0.8 R": disc & (y < 0),
        "y > 0, r < 0.8 R": disc & (y > 0),
    }
    known = np.isfinite(slices.values[0])
    return {
        name: float(slices.values[0][chosen & known].mean(dtype=float)) if (chosen & known).any() else None
        for name, chosen in regions.items()
    }


def changed_fraction(content: ReportContent, change: str, frame: CellFrame) -> float | None:
    """Fraction of the voxels of the profile layer that changed, with 5 % false discoveries."""
    if content.profile_layer is None or "label" not in content.layers[content.profile_layer]:
        return None
    found = score_statistics(content, change, frame, layers=[content.profile_layer])
    return None if found is None else found.changed_fraction(FALSE_DISCOVERY_RATE)


def _positions(slices: FlattenedSlices) -> tuple[Float, Float]:
    """Position (mm) of every column of the slices, from the axis."""
    height, width = slices.values.shape[1:]
    y0, y1 = slices.vertical_mm
    x0, x1 = slices.horizontal_mm
    y = y0 + (y1 - y0) * (np.arange(height) + 0.5) / height
    x = x0 + (x1 - x0) * (np.arange(width) + 0.5) / width
    return np.repeat(y[:, None], width, axis=1), np.repeat(x[None, :], height, axis=0)
