"""Drift over a scan, from views that were taken again at the same angle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.alignment import row_shifts

Float = NDArray[np.float64]

# encoders repeat a position to about a hundredth of a degree
SAME_ANGLE_DEG = 0.02
# what two views at one angle may differ by without a word
DRIFT_PERCENT, DRIFT_PX = 1.0, 0.25


@dataclass(frozen=True)
class RepeatedView:
    """The last of two views at one angle against the first.

    Attributes
    ----------
    first, last : int
        Their numbers.
    level_percent : float
        Mean line integral of the last over that of the first, minus one: dose, background, or a sample that changes.
    column_px, row_px : float
        By which the sample has moved; the columns NaN where it attenuates nothing.
    """

    first: int
    last: int
    level_percent: float
    column_px: float
    row_px: float


def repeated_pair(angles: NDArray[np.floating]) -> tuple[int, int] | None:
    """First and last view at one angle, of all angles the pair that lies farthest apart in the scan; None without any.

    Frames that follow one another at a standing stage are no repetition.
    """
    turned = np.mod(np.asarray(angles, np.float64), 2 * np.pi)
    order = np.argsort(turned, kind="stable")
    limit = np.radians(SAME_ANGLE_DEG)
    around = np.append(order, order[0])
    gaps = np.mod(np.diff(turned[around]), 2 * np.pi)
    same = np.flatnonzero((gaps < limit) | (2 * np.pi - gaps < limit))
    pairs = [(int(min(around[k], around[k + 1])), int(max(around[k], around[k + 1]))) for k in same]
    apart = [pair for pair in pairs if pair[1] - pair[0] > 1]
    return max(apart, key=lambda pair: pair[1] - pair[0]) if apart else None


def compare_repeated(
    views: tuple[int, int], first: NDArray[np.floating], last: NDArray[np.floating]
) -> RepeatedView:
    """Compare the line integrals (row, column) of two views at one angle.

    Raises
    ------
    InputError
        If the shapes differ or values are not finite.
    """
    pair = np.stack([np.asarray(first, np.float64), np.asarray(last, np.float64)])
    if pair.ndim != 3 or not np.all(np.isfinite(pair)):
        raise InputError(
            f"views {views}: found shape {pair.shape[1:]}, expected finite line integrals (row, column)"
        )
    mass = pair.sum(axis=(1, 2))
    if np.min(mass) <= 0:
        return RepeatedView(*views, float("nan"), float("nan"), float("nan"))
    center = (pair.sum(axis=1) @ np.arange(pair.shape[2])) / mass
    rows = row_shifts(pair.sum(axis=2))
    return RepeatedView(
        *views, 100 * float(mass[1] / mass[0] - 1), float(np.diff(center)[0]), float(np.diff(rows)[0])
    )


def drift_warnings(found: Mapping[str, Any]) -> list[str]:
    """Say by what the views of a `RepeatedView`, as a mapping, differ; nothing where they hardly do."""
    limits = {
        "level_percent": (DRIFT_PERCENT, "% in the mean line integral"),
        "column_px": (DRIFT_PX, "px along the columns"),
        "row_px": (DRIFT_PX, "px along the rows"),
    }
    large = [
        f"{found[key]:+.2g} {unit}"
        for key, (limit, unit) in limits.items()
        if found[key] is not None and abs(found[key]) > limit
    ]
    if not large:
        return []
    return [
        f"drift: view {found['last']} repeats view {found['first']} with {', '.join(large)}; the sample moved or changed, "
        "or the beam did"
    ]
