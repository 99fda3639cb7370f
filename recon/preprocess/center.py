"""Centre of rotation: six estimators at several heights, and what they agree on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights, take_heights
from deltamu.recon.preprocess.center_mass import centers_from_mass
from deltamu.recon.preprocess.center_overlap import as_offset_scan, centers_from_overlap
from deltamu.recon.preprocess.center_pairs import centers_from_pairs
from deltamu.recon.preprocess.center_phase import centers_from_phases
from deltamu.recon.preprocess.center_trial import centers_from_trials
from deltamu.recon.preprocess.center_wedge import centers_from_wedge

METHODS = (centers_from_pairs, centers_from_phases, centers_from_mass, centers_from_wedge)
SAME_SLICES = ("trial slices", "entropy of slices")
AGREEMENT_PX = 0.5
EDGE_PX = 1.0
HEIGHTS_FOR_TILT = 4


@dataclass(frozen=True)
class CenterCandidate:
    """One estimate.

    Attributes
    ----------
    method : str
    row : int
        Detector row in the middle of the rows that were averaged.
    center : float
        Columns.
    weight : float
        Trust against the other heights of the method, summing to 1 over them.
    """

    method: str
    row: int
    center: float
    weight: float


@dataclass(frozen=True)
class CenterResult:
    """The centre of rotation at the middle row, and how well it is known.

    Attributes
    ----------
    center : float
        Columns; the centre of column 0 is 0.
    spread : float
        Standard deviation of the methods that agree, columns; of all methods where fewer than half agree.
    candidates : tuple of CenterCandidate
    search : (lowest, highest)
        Columns.
    warnings : tuple of str
    tilt_deg, tilt_error_deg : float
        Roll of the axis in the image, positive when the centre grows with the row; and its standard error.
        The error is infinite where too few heights were seen.
    """

    center: float
    spread: float
    candidates: tuple[CenterCandidate, ...]
    search: tuple[float, float]
    warnings: tuple[str, ...]
    tilt_deg: float
    tilt_error_deg: float


def find_center(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    search: tuple[float, float] | None = None,
    rows: NDArray[np.integer] | None = None,
) -> CenterResult:
    """Find the column that the rotation axis projects to.

    Opposite views in real and in Fourier space, the centre of mass, the double wedge, and the absolute
    attenuation and the entropy of trial slices each look at eight heights. A method's answer is the weighted median over its heights; the result is the mean of the largest group of
    methods that agree within half a pixel. Where a full turn shows an object that goes on beyond one edge only, the
    axis is near that edge, and what counts is the strip in which opposite views overlap.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
    angles : (angle,) array
        Radians, any order, half a turn or more.
    search : (lowest, highest), optional
        Columns; a quarter of the width to either side of the middle by default.
    rows : (row,) array, optional
        Detector row of each row of `line_integrals`, when they are a selection.

    Raises
    ------
    InputError
        If shapes do not fit, the window leaves the detector, or no method has an answer.
    """
    heights = take_heights(line_integrals, angles, rows=rows, search=search)
    beside = as_offset_scan(heights, searched=search is not None)
    if beside is None:
        found = [*(method(heights) for method in METHODS), *centers_from_trials(heights)]
    else:
        heights = beside
        found = list(centers_from_overlap(heights))
    middle = (
        float(np.mean([0, line_integrals.shape[1] - 1]))
        if rows is None
        else float(np.mean(np.asarray(rows)[[0, -1]]))
    )
    estimates = {f.method: _over_heights(f.centers, f.weights, f.error) for f in found if _answers(f)}
    if not estimates:
        raise InputError("center: no method found one; expected views of an object, or give the centre")
    agreeing = _largest_agreement(estimates)
    tilt, tilt_error = _tilt([f for f in found if f.method in agreeing], heights.rows)
    if abs(tilt) > 3 * tilt_error:
        level = [_levelled(f, heights.rows, tilt, middle) for f in found]
        estimates = {f.method: _over_heights(f.centers, f.weights, f.error) for f in level if _answers(f)}
        agreeing = _largest_agreement(estimates)
    center, spread = _mean_of({name: estimates[name] for name in agreeing})
    if 2 * _witnesses(agreeing) < _witnesses(estimates) + 1:
        spread = max(spread, float(np.std([value for value, _ in estimates.values()])))
    return CenterResult(
        center, spread, _candidates(found, heights.rows), heights.search,
        _warnings(estimates, agreeing, center, heights, beside_middle=beside is not None), float(np.degrees(np.arctan(tilt))),
        float(np.degrees(np.arctan(tilt_error))),
    )  # fmt: skip


def _answers(found: HeightCenters) -> bool:
    return bool(np.any(np.isfinite(found.centers) & (found.weights > 0)))


def _over_heights(centers: Float, weights: Float, error: float) -> tuple[float, float]:
    """Weighted median over the heights and its uncertainty."""
    known = np.isfinite(centers) & (weights > 0)
    values, trust = centers[known], weights[known] / weights[known].sum()
    center = _weighted_median(values, trust)
    scatter = 1.4826 * _weighted_median(np.abs(values - center), trust)
    return center, float(np.hypot(1.25 * scatter * np.sqrt(np.sum(trust**2)), error))


def _weighted_median(values: Float, weights: Float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(0.5 * weights.sum(), reached, values[order]))


def _largest_agreement(estimates: dict[str, tuple[float, float]]) -> tuple[str, ...]:
    """Methods within half a pixel (or their uncertainty) of one of them; of equal groups the tighter."""
    groups = []
    for center, error in estimates.values():
        members = tuple(
            name for name, (value, own) in estimates.items()
            if abs(value - center) <= max(AGREEMENT_PX, 2 * float(np.hypot(own, error)))
        )  # fmt: skip
        precision = sum(1 / estimates[name][1] ** 2 for name in members)
        groups.append((_witnesses(members), precision, members))
    return max(groups)[2]


def _witnesses(methods: Iterable[str]) -> int:
    """Methods that do not look at the same trial slices."""
    return len({"slices" if name in SAME_SLICES else name for name in methods})


def _mean_of(estimates: dict[str, tuple[float, float]]) -> tuple[float, float]:
    centers, errors = (np.asarray(v) for v in zip(*estimates.values(), strict=True))
    weights = 1 / errors**2
    center = float(np.sum(weights * centers) / weights.sum())
    spread = np.sqrt(np.sum(weights * (centers - center) ** 2) / weights.sum())
    return center, float(max(spread, 1 / np.sqrt(weights.sum())))


def _tilt(found: list[HeightCenters], rows: Float) -> tuple[float, float]:
    """Change of the centre per row, and its standard error, from deviations from each method's median."""
    points = []
    for f in found:
        known = np.isfinite(f.centers) & (f.weights > 0)
        if np.count_nonzero(known) < HEIGHTS_FOR_TILT:
            continue
        weights = f.weights[known] / f.weights[known].sum() / f.error**2
        deviation = f.centers[known] - _weighted_median(f.centers[known], weights)
        points.append(np.stack([rows[known], deviation, weights]))
    if not points:
        return 0.0, np.inf
    row, deviation, weight = np.concatenate(points, axis=1)
    return _robust_line(row, deviation, weight)


def _robust_line(row: Float, value: Float, weight: Float) -> tuple[float, float]:
    for _ in range(3):
        mean_row, mean_value = np.average(row, weights=weight), np.average(value, weights=weight)
        moment = float(np.sum(weight * (row - mean_row) ** 2))
        slope = float(np.sum(weight * (row - mean_row) * (value - mean_value))) / moment
        residual = value - mean_value - slope * (row - mean_row)
        limit = 4 * 1.4826 * float(np.median(np.abs(residual))) + 1e-6
        error = np.sqrt(np.sum(weight**2 * (row - mean_row) ** 2 * residual**2)) / moment
        keep = np.abs(residual) <= limit
        row, value, weight = row[keep], value[keep], weight[keep]
    return slope, float(error)


def _levelled(found: HeightCenters, rows: Float, tilt: float, middle: float) -> HeightCenters:
    return HeightCenters(found.method, found.centers - tilt * (rows - middle), found.weights, found.error)


def _candidates(found: list[HeightCenters], rows: Float) -> tuple[CenterCandidate, ...]:
    listed = []
    for f in found:
        known = np.isfinite(f.centers) & (f.weights > 0)
        total = float(f.weights[known].sum()) or 1.0
        for row, center, weight in zip(rows[known], f.centers[known], f.weights[known], strict=True):
            listed.append(CenterCandidate(f.method, round(float(row)), float(center), float(weight) / total))
    return tuple(listed)


def _warnings(
    estimates: dict[str, tuple[float, float]],
    agreeing: tuple[str, ...],
    center: float,
    heights: Heights,
    *,
    beside_middle: bool,
) -> tuple[str, ...]:
    said = []
    for name, (value, error) in estimates.items():
        if name not in agreeing:
            said.append(
                f"center: {name} finds {value:.2f} ± {error:.2f} px, not {center:.2f} px as the others"
            )
    if _witnesses(agreeing) < 2:
        said.append(
            f"center: only one method ({agreeing[0]}) stands behind {center:.2f} px; look at the slices"
        )
    if beside_middle:
        said.append(
            f"center: an offset scan, the axis at {center:.2f} px beside the middle; `fbp(…, offset_detector=True)` reconstructs it"
        )
    elif len(estimates) < 3:
        said.append(
            f"center: only {len(estimates)} methods found an answer (is the object inside the field?)"
        )
    low, high = heights.search
    if min(center - low, high - center) < EDGE_PX:
        said.append(
            f"center: {center:.2f} px lies at the edge of the search {low:.1f} to {high:.1f} px; widen it"
        )
    return tuple(said)
