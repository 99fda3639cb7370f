"""Means and depth profiles of the regions of the pellet, with standard errors."""

from collections.abc import Mapping
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
from deltamu.recon.change.uncertainty import open_beam_readout_variance, subset_variance
from deltamu.recon.study.error_sources import ErrorSources
from deltamu.recon.study.exact_errors import region_readout
from deltamu.recon.study.mask_file import read_mask_file
from deltamu.recon.study.profile_facts import known
from deltamu.recon.study.row_blocks import chunk_blocks
from deltamu.recon.study.run_context import RunContext
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
    errors: ErrorSources,
) -> dict[str, dict[str, Any]]:
    """Mean of every region over the depths of the layer's mean, with its standard error.

    Parameters
    ----------
    plan : ProfilePlan
        Of the whole pellet; `sums` are those of its bins.
    errors : ErrorSources
    """
    chosen = plan.eroded if plan.eroded.any() else plan.within
    found = {}
    for index, name in enumerate(layout.names):
        count = np.where(chosen, means[1][index], 0.0)
        if not count.any():
            continue
        readout = count / count.sum()
        found[name] = {
            "mean_delta_mu": float(np.nansum(readout * np.nan_to_num(means[0][index]))),
            **_region_errors(plan, layout, name, readout, sums, errors),
            "voxels": int(count.sum()),
        }
    return found


def _region_errors(
    plan: ProfilePlan,
    layout: RegionLayout,
    name: str,
    readout: Float,
    sums: ProfileSums,
    errors: ErrorSources,
) -> dict[str, float | None]:
    """Standard error of the mean of a region, its counting part and the same from subsets of the views."""
    if not errors.regional:
        return {"standard_error": None}
    index = layout.names.index(name)
    scatter = sum(subset_variance(subsets[:, index], readout) for subsets in errors.regional)
    exact = errors.exact
    if exact is None or (of_mean := f"{region_readout(name)} mean") not in exact.counting:
        part = restricted(sums, ring_share(plan, layout.mask(name)))
        counting = scatter
        alike = sum(open_beam_readout_variance(part, readout, state) for state in errors.noise[1])
    else:
        counting, alike = float(exact.counting[of_mean][0]), float(exact.open_beam[of_mean][0])
    return {
        "standard_error": float(
            np.hypot(np.sqrt(counting + alike), errors.systematics[1].readout_error(plan, readout))
        ),
        "counting_error": float(np.sqrt(counting)),
        "counting_error_jackknife": float(np.sqrt(scatter)),
        "open_beam_error": float(np.sqrt(alike)),
    }


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
    errors: ErrorSources,
) -> str:
    """Depth profiles of all regions as CSV, with the parts of their errors that are noise."""
    lines = [
        f"# change {change}, depth profiles of the regions of layer {plan.layer.name}",
        "# depth in mm from the separator; mean and errors in cm^-1; count in voxels",
        "region,depth_mm,mean,counting_error,count,counting_error_jackknife,open_beam_error",
    ]
    for index, name in enumerate(layout.names):
        columns = np.column_stack(
            [plan.depth_mm, means[0][index], means[1][index], *_noise_columns(errors, plan, layout, name)]
        )
        for depth, mean, count, *parts in columns[means[1][index] > 0]:
            counting, scatter, alike = (known(part) for part in parts)
            lines.append(f"{name},{depth:.6f},{mean:.8g},{counting},{count:.0f},{scatter},{alike}")
    return "\n".join(lines) + "\n"


def _noise_columns(
    errors: ErrorSources, plan: ProfilePlan, layout: RegionLayout, name: str
) -> tuple[Float, Float, Float]:
    """Errors of the bins of a region: counting, the same from subsets of the views, open beam; NaN where not known."""
    unknown = np.full(plan.bins, np.nan)
    if not errors.regional:
        return unknown, unknown, unknown
    index = layout.names.index(name)
    scatter = np.sqrt(sum(np.var(s[:, index], axis=0, ddof=1) / len(s) for s in errors.regional))
    exact, readout = errors.exact, region_readout(name)
    if exact is None or readout not in exact.counting:
        return scatter, scatter, unknown
    return np.sqrt(exact.counting[readout]), scatter, np.sqrt(exact.open_beam[readout])


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
