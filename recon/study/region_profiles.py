"""Means and depth profiles of the regions of the pellet, with standard errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.profile_plan import ProfilePlan
from deltamu.recon.change.profile_sums import ProfileSums
from deltamu.recon.change.regions import (
    RegionLayout,
    empty_region_sums,
    lay_out_regions,
    pellet_regions,
    region_means,
    region_slab_sums,
    ring_share,
)
from deltamu.recon.change.uncertainty import StateNoise, open_beam_readout_variance, subset_variance
from deltamu.recon.study.mask_file import read_mask_file
from deltamu.recon.study.row_blocks import chunk_blocks
from deltamu.recon.study.run_context import RunContext
from deltamu.recon.study.systematics import Systematics
from deltamu.recon.study.view_subsets import layer_rows
from deltamu.recon.volumes.open import open_image

Float = NDArray[np.float64]


def plan_regions(context: RunContext, plan: ProfilePlan) -> RegionLayout:
    """Lay out the usual regions of the pellet and those of the study."""
    options = context.study.profile
    masks = {name: read_mask(context, name, path) for name, path in options.regions.items()}
    return lay_out_regions(
        pellet_regions(plan, core_fraction=options.core_fraction, rings=options.rings, masks=masks)
    )


def read_mask(context: RunContext, name: str, path: str) -> NDArray[np.bool_]:
    """Read a mask (y, x) of the user, .npy or TIFF; relative to study.toml.

    Raises
    ------
    InputError
        If the file is missing, of another kind, or not two-dimensional.
    """
    file = (context.study.folder / path).resolve()
    return read_mask_file(file, setting=f"profile.regions.{name}", axes="(y, x)")


def measure_regions(
    context: RunContext, change: str, plan: ProfilePlan, layout: RegionLayout
) -> tuple[Float, Float]:
    """Mean change and number of voxels of every region and bin, both (region, bin)."""
    delta_mu = open_image(context.store / "changes" / change / "delta_mu")
    sums = empty_region_sums(plan, layout)
    first, stop = layer_rows(plan)
    for rows in chunk_blocks(first, stop):
        sums = sums + region_slab_sums(plan, layout, rows.start, delta_mu[rows])
    return region_means(sums, layout)


def region_facts(
    plan: ProfilePlan,
    layout: RegionLayout,
    means: tuple[Float, Float],
    sums: ProfileSums,
    noise: Sequence[StateNoise],
    systematics: Systematics,
    regional: Sequence[Float],
) -> dict[str, dict[str, Any]]:
    """Mean of every region over the depths of the layer's mean, with its standard error.

    Parameters
    ----------
    plan : ProfilePlan
        Of the whole pellet; `sums`, `noise` and `systematics` are those of its bins.
    regional : sequence of (subset, region, bin) arrays
        Of both states; empty where the views are not at hand.
    """
    chosen = plan.eroded if plan.eroded.any() else plan.within
    found = {}
    for index, name in enumerate(layout.names):
        count = np.where(chosen, means[1][index], 0.0)
        if not count.any():
            continue
        readout = count / count.sum()
        variance = sum(subset_variance(subsets[:, index], readout) for subsets in regional)
        part = restricted(sums, ring_share(plan, layout.mask(name)))
        variance += sum(open_beam_readout_variance(part, readout, state) for state in noise)
        error = float(np.hypot(np.sqrt(variance), systematics.readout_error(plan, readout)))
        found[name] = {
            "mean_delta_mu": float(np.nansum(readout * np.nan_to_num(means[0][index]))),
            "standard_error": error if regional else None,
            "voxels": int(count.sum()),
        }
    return found


def restricted(sums: ProfileSums, share: Float) -> ProfileSums:
    """Sums of the part of every ring that lies in a region, for the noise that is alike in every view."""
    rings = sums.rings * share
    return ProfileSums(
        rings.sum(axis=(1, 2)), sums.missing, sums.depth, sums.total, sums.squares, sums.variance, rings
    )


def region_table(
    change: str,
    plan: ProfilePlan,
    layout: RegionLayout,
    means: tuple[Float, Float],
    regional: Sequence[Float],
) -> str:
    """Depth profiles of all regions as CSV; the standard error is that of counting."""
    lines = [
        f"# change {change}, depth profiles of the regions of layer {plan.layer.name}",
        "# depth in mm from the separator; mean and counting_error in cm^-1; count in voxels",
        "region,depth_mm,mean,counting_error,count",
    ]
    for index, name in enumerate(layout.names):
        variance = sum((np.var(s[:, index], axis=0, ddof=1) / len(s) for s in regional), np.zeros(plan.bins))
        error = np.sqrt(variance) if regional else np.full(plan.bins, np.nan)
        for depth, mean, sigma, count in zip(
            plan.depth_mm, means[0][index], error, means[1][index], strict=True
        ):
            if count > 0:
                shown = f"{sigma:.8g}" if np.isfinite(sigma) else ""
                lines.append(f"{name},{depth:.6f},{mean:.8g},{shown},{count:.0f}")
    return "\n".join(lines) + "\n"


def split_rings(
    facts: Mapping[str, Any], layout_radius_mm: float, rings: int
) -> tuple[dict[str, Any], list[Any]]:
    """Separate the rings, which make a radial profile, from the other regions."""
    others = {name: fact for name, fact in facts.items() if not name.startswith("ring_")}
    radial = [
        {"radius_mm": (k + 0.5) / rings * layout_radius_mm, **facts[f"ring_{k + 1}"]}
        for k in range(rings)
        if f"ring_{k + 1}" in facts
    ]
    return others, radial
