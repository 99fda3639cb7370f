"""A profile of a region as CSV."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deltamu.recon.atomic import write_text
from deltamu.viewers.depth_columns import RegionProfile


def write_profiles(path: Path, region: str, profiles: Mapping[str, RegionProfile]) -> Path:
    """Write the profiles of one region, one after the other, with their units in comments."""
    lines = [
        f"# region {region}; depth in mm from the separator",
        "# mean, standard_error and spread of the attenuation change in cm^-1",
        *(f"# {change}: standard errors from {profile.errors_from}" for change, profile in profiles.items()),
        "change,depth_mm,mean,standard_error,spread,count",
    ]
    for change, p in profiles.items():
        rows = np.column_stack([p.depth_mm, p.mean, p.standard_error, p.spread, p.count])[p.count > 0]
        lines += [f"{change}," + "{:.6f},{:.8g},{:.8g},{:.8g},{:.0f}".format(*row) for row in rows]
    return write_text(path, "\n".join(lines) + "\n")
