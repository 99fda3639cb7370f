"""What a change says beyond its mean: where it sits, what limits the reaction, which voxels stand out."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import LayerStack
from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_shape import Estimate, profile_shape
from deltamu.recon.change.significance import ScoreCounts, Significance, count_scores, significant_voxels
from deltamu.recon.change.transport import compare_transport
from deltamu.recon.errors import InputError
from deltamu.recon.study.row_blocks import chunk_blocks
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.view_subsets import layer_rows
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]
# of the pellet's radius: the rim itself is left out
SCORE_RADIUS = 0.95
# voxels beside a face, where what interpolation leaves of the step is no noise
FACE_ROWS = 2
# discoveries in a layer without change that the report must warn of
FALSE_PART = 1e-3


def shape_facts(profile: DepthProfile, thickness_mm: float, covariance: Float) -> dict[str, Any]:
    """Centre of mass, front and share at the separator; null where the change is lost in the noise."""
    try:
        shape = profile_shape(profile, thickness_mm, covariance=covariance)
    except InputError:
        return {"center_of_mass_mm": None, "front_mm": None, "separator_half_share": None}
    return {
        **_estimate("center_of_mass", "_mm", shape.center_of_mass_mm),
        **_estimate("front", "_mm", shape.front_mm),
        "front_side": shape.front_side,
        **_estimate("separator_half_share", "", shape.separator_half_share),
    }


def _estimate(name: str, unit: str, found: Estimate | None) -> dict[str, float | None]:
    value, error = (found.value, found.standard_error) if found else (None, None)
    return {f"{name}{unit}": value, f"{name}_standard_error{unit}": error}


def transport_facts(profile: DepthProfile, thickness_mm: float, covariance: Float) -> dict[str, Any] | None:
    """Both hypotheses of slow transport; null where the profile has too few bins."""
    try:
        return asdict(compare_transport(profile, thickness_mm, covariance=covariance))
    except (InputError, np.linalg.LinAlgError):
        return None


def significance_facts(
    context: RunContext, change: str, stack: LayerStack, layers: Mapping[str, str]
) -> dict[str, Any]:
    """Discoveries among the voxels of layers, away from their faces, and those that a layer without change has.

    Parameters
    ----------
    layers : mapping of layer name to its role, "changing" or "inert"
    """
    level = context.study.profile.false_discovery_rate
    facts: dict[str, Any] = {"level": level}
    for name, role in layers.items():
        counts = _layer_scores(context, change, stack, name)
        if counts.voxels == 0:
            facts[name] = None
            continue
        found = significant_voxels(counts, level=level)
        facts[name] = {"role": role, **_significance(found)}
        if role == "inert" and found.changed_fraction > FALSE_PART:
            context.warn(
                f"{change}: {100 * found.changed_fraction:.1f} % of the voxels of the {name}, which must not change, stand out "
                "of their noise; σ leaves out streaks along edges that are sharper than the voxels"
            )
    return facts


def _significance(found: Significance) -> dict[str, Any]:
    return {
        "threshold_z": found.threshold_z,
        "changed_fraction": found.changed_fraction,
        "strict_threshold_z": found.strict_threshold_z,
        "strict_changed_fraction": found.strict_changed_fraction,
        "voxels": found.voxels,
    }


def _layer_scores(context: RunContext, change: str, stack: LayerStack, name: str) -> ScoreCounts:
    """Count the z scores of a layer, some rows at a time."""
    z_score = open_image(context.store / "changes" / change / "z_score")
    layer, voxel = stack[name], stack.voxel_size_mm
    y, x = (np.arange(n) * voxel - a for n, a in zip(z_score.shape[1:], stack.axis_mm, strict=True))
    chosen = np.hypot(y[:, None], x[None, :]) < SCORE_RADIUS * stack.radius_mm
    rows, columns = np.nonzero(chosen)
    near = layer.near.height_mm(rows * voxel, columns * voxel) * layer.side
    far = layer.far.height_mm(rows * voxel, columns * voxel) * layer.side
    ends = np.concatenate([near, far]) * layer.side / voxel
    first, stop = max(int(ends.min()), 0), min(int(ends.max()) + 2, z_score.shape[0])
    counts = count_scores(np.empty(0))
    for part in chunk_blocks(first, stop):
        along = np.arange(part.start, part.stop)[:, None] * voxel * layer.side
        inside = (along > near + FACE_ROWS * voxel) & (along < far - FACE_ROWS * voxel)
        counts = counts + count_scores(z_score[part][:, chosen][inside])
    return counts


def casing_floor(
    context: RunContext, change: str, plan: ProfilePlan, radii_mm: tuple[float, float] | None
) -> float | None:
    """Root mean square of the mean change of the housing, row by row beside the layer, cm⁻¹.

    None without radii. Two widths of the resolution are left out at both of its walls.
    """
    if radii_mm is None:
        return None
    layer = plan.layer
    y, x = (
        np.arange(n) * layer.voxel_size_mm - a for n, a in zip(plan.shape[1:], layer.axis_mm, strict=True)
    )
    radius = np.hypot(y[:, None], x[None, :])
    ring = (radius > radii_mm[0] + 2 * plan.fwhm_mm) & (radius < radii_mm[1] - 2 * plan.fwhm_mm)
    if not ring.any():
        return None
    delta_mu = open_image(context.store / "changes" / change / "delta_mu")
    first, stop = layer_rows(plan)
    means = []
    for part in chunk_blocks(first, stop):
        slab = delta_mu[part][:, ring]
        means += [float(row[np.isfinite(row)].mean(dtype=float)) for row in slab if np.isfinite(row).any()]
    return float(np.sqrt(np.mean(np.square(means)))) if means else None
