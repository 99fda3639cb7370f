"""What every estimator of the centre looks at: sinograms at a few heights, views in order of angle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.stripe_filters import without_dead_columns

Float = NDArray[np.float64]

HEIGHTS = 8
SEARCH_FRACTION = 0.25
# fewer columns do not say which of them is a defect
COLUMNS_FOR_REPAIR = 100
MOST_REPAIRED = 0.04


@dataclass(frozen=True)
class Heights:
    """Sinograms averaged over neighbouring rows.

    Attributes
    ----------
    sinograms : (height, angle, column) float64 array
    rows : (height,) array
        Detector row in the middle of each.
    angles : (angle,) array
        Radians.
    search : (lowest, highest)
        Columns between which the centre is looked for.
    """

    sinograms: Float
    rows: Float
    angles: Float
    search: tuple[float, float]

    def __post_init__(self) -> None:
        views, columns = self.sinograms.shape[1:]
        if self.angles.shape != (views,):
            raise InputError(
                f"angles: found {self.angles.size} for {views} views; expected one angle per view"
            )
        if views < 4 or columns < 16:
            raise InputError(
                f"line_integrals: found {views} views of {columns} columns; a centre needs 4 of 16"
            )
        if not np.all(np.isfinite(self.angles)):
            raise InputError("angles: found values that are not finite; expected radians")
        low, high = self.search
        if not 0 <= low < high <= columns - 1:
            raise InputError(
                f"search: found {self.search}, expected 0 <= lowest < highest <= {columns - 1} columns"
            )


@dataclass(frozen=True)
class HeightCenters:
    """What one method found.

    Attributes
    ----------
    method : str
    centers : (height,) array
        Columns; NaN where the method has no answer.
    weights : (height,) array
        Trust in each height against the others of the same method.
    error : float
        What the method cannot be trusted below, columns.
    """

    method: str
    centers: Float
    weights: Float
    error: float


def take_heights(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    rows: NDArray[np.integer] | None,
    search: tuple[float, float] | None,
) -> Heights:
    """Average rows into at most eight heights, and interpolate columns that do not respond.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or the search window leaves the detector.
    """
    if line_integrals.ndim != 3 or 0 in line_integrals.shape:
        raise InputError(f"line_integrals: found shape {line_integrals.shape}, expected (angle, row, column)")
    positions = np.arange(line_integrals.shape[1]) if rows is None else np.asarray(rows)
    if positions.shape != (line_integrals.shape[1],):
        raise InputError(f"rows: found {positions.size} for {line_integrals.shape[1]} rows of line_integrals")
    bounds = np.linspace(0, len(positions), min(HEIGHTS, len(positions)) + 1).round().astype(int)
    starts, stops = bounds[:-1], bounds[1:]
    sinograms = np.stack(
        [line_integrals[:, a:b].mean(axis=1, dtype=np.float64) for a, b in zip(starts, stops, strict=True)]
    )
    if not np.all(np.isfinite(sinograms)):
        raise InputError("line_integrals: found values that are not finite")
    if sinograms.shape[2] >= COLUMNS_FOR_REPAIR:
        sinograms = np.stack([_repaired(sinogram) for sinogram in sinograms])
    middle = [float(positions[a:b].mean()) for a, b in zip(starts, stops, strict=True)]
    columns = sinograms.shape[2]
    half = SEARCH_FRACTION * columns
    window = search or ((columns - 1) / 2 - half, (columns - 1) / 2 + half)
    window = (float(window[0]), float(window[1]))
    return Heights(sinograms, np.asarray(middle), np.asarray(angles, float).ravel(), window)


def _repaired(sinogram: Float) -> Float:
    """Interpolate dead columns; where many stand out, it is the object that they show."""
    found = without_dead_columns(sinogram.astype(np.float32)).astype(np.float64)
    changed = np.any(np.abs(found - sinogram) > 1e-5, axis=0)
    return found if changed.mean() <= MOST_REPAIRED else sinogram


def half_turn(angles: Float) -> NDArray[np.int64]:
    """Indices of the views of one half turn [start, start + pi), in order of angle, one per direction."""
    turned = np.mod(angles - angles.min(), 2 * np.pi)
    turned[2 * np.pi - turned < 1e-6] = 0.0
    order = np.argsort(turned, kind="stable")
    order = order[turned[order] < np.pi - 1e-6]
    _, first = np.unique(np.round(turned[order] / 1e-6), return_index=True)
    return np.asarray(order[first], np.int64)


def refine_minimum(values: Float, index: int) -> float:
    """Position of the minimum of equidistant values near `index`, by a parabola through five of them."""
    first = min(max(index - 2, 0), max(len(values) - 5, 0))
    around = values[first : first + 5]
    if len(around) < 3:
        return float(index)
    position = np.arange(len(around)) + first - index
    curvature, slope, _ = np.polyfit(position, around, 2)
    if not curvature > 0:
        return float(index)
    return float(index + np.clip(-slope / (2 * curvature), -1.5, 1.5))
