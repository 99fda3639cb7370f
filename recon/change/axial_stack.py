"""Place a nominal stack of layers on the mean profile along the axis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import ndtr

from deltamu.recon.change.columns import SLAB_ROWS
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
THICKNESS_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class AxialProfile:
    """Mean attenuation of the core of the pellet along z.

    Attributes
    ----------
    z_mm, mean, weight : (row,) arrays
        Weight is one over the variance of the mean, with a floor; it is low in starved layers.
    """

    z_mm: Float
    mean: Float
    weight: Float


@dataclass(frozen=True, eq=False)
class AxialFit:
    """Positions of the layers on the profile.

    Attributes
    ----------
    edges_mm : (layer + 1,) array
        Ascending z.
    levels : (layer + 2,) array
        cm⁻¹, with what lies before the first and beyond the last layer; NaN where out of the field.
    cost : float
        Weighted sum of squared residuals.
    """

    edges_mm: Float
    levels: Float
    cost: float


def _planes(volume: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Every slice of a volume; several are read at a time, because a chunk of a stored image holds several."""
    for begin in range(0, volume.shape[0], SLAB_ROWS):
        yield from enumerate(np.asarray(volume[begin : begin + SLAB_ROWS]), begin)


def axial_profile(
    volume: Any, *, voxel_size_mm: float, axis_mm: tuple[float, float], radius_mm: float
) -> AxialProfile:
    """Average the slices over a core of the pellet, row by row."""
    y, x = (np.arange(size) * voxel_size_mm for size in volume.shape[1:])
    core = np.hypot(y[:, None] - axis_mm[0], x[None, :] - axis_mm[1]) < radius_mm
    mean, spread = np.zeros(volume.shape[0]), np.full(volume.shape[0], np.inf)
    for row, plane in _planes(volume):
        values = plane[core].astype(np.float64)
        values = values[np.isfinite(values)]
        if values.size > 10:
            mean[row] = values.mean()
            spread[row] = 1.4826 * np.median(np.abs(values - np.median(values)))
    finite = np.isfinite(spread)
    if finite.sum() < 4:
        raise InputError(
            "stack: fewer than 4 slices hold finite voxels around the axis; check the volume and radius_mm"
        )
    # texture and rings do not average away over a slice: a tenth of the typical spread is the floor
    floor = 0.1 * np.median(spread[finite]) + 1e-3
    weight = np.where(finite, 1.0 / (0.1 * np.where(finite, spread, 1.0) + floor) ** 2, 0.0)
    return AxialProfile(np.arange(volume.shape[0]) * voxel_size_mm, mean, weight)


def place_stack(
    profile: AxialProfile,
    thickness_mm: Sequence[float],
    *,
    attenuation: Sequence[float | None] | None = None,
) -> AxialFit:
    """Find the edges of a stack of layers with free levels.

    The nominal stack slides along the profile; at the best place every edge is then refined on its own, its
    layers held within a tenth of their nominal thickness.

    Parameters
    ----------
    thickness_mm : sequence of float
        Along +z.
    attenuation : sequence of float or None, optional
        Expected level of each layer (cm⁻¹, None: unknown); levels within 30 % of it are favoured.
    """
    nominal = np.concatenate([[0.0], np.cumsum(thickness_mm)])
    voxel = float(profile.z_mm[1] - profile.z_mm[0])
    width = 0.8 * voxel
    inner = nominal[1:-1] if len(nominal) > 2 else nominal
    starts = np.arange(
        profile.z_mm[0] + voxel - inner[0], profile.z_mm[-1] - voxel - inner[-1] + 0.5 * voxel, 0.5 * voxel
    )
    if starts.size == 0:
        raise InputError(
            f"thickness_mm: interfaces span {inner[-1] - inner[0]:.3f} mm, "
            f"the volume only {profile.z_mm[-1] - profile.z_mm[0]:.3f} mm along z"
        )
    costs = [_solve_levels(profile, nominal + start, width, attenuation)[1] for start in starts]
    best = nominal + starts[int(np.argmin(costs))]
    return _refine(profile, best, np.asarray(thickness_mm, float), width, attenuation)


def choose_direction(
    profile: AxialProfile,
    order: Sequence[str],
    thickness_mm: Sequence[float],
    attenuation: Mapping[str, float] | None,
) -> int:
    """Decide whether the order runs along +z or against it.

    Raises
    ------
    InputError
        If the thicknesses (and the expected attenuations, where given) do not tell.
    """
    expected = [(attenuation or {}).get(name) for name in order]
    along = place_stack(profile, thickness_mm, attenuation=expected).cost
    against = place_stack(profile, thickness_mm[::-1], attenuation=expected[::-1]).cost
    if max(along, against) < 1.5 * min(along, against):
        raise InputError(
            "direction: the stack fits the volume nearly as well upside down; "
            "give direction=1 (order runs along +z) or -1, or the expected attenuation of the layers"
        )
    return 1 if along < against else -1


def _box_basis(z: Float, edges: Float, width: float) -> Float:
    steps = ndtr((z[None, :] - edges[:, None]) / width)
    ends = np.concatenate([np.ones((1, z.size)), steps]), np.concatenate([steps, np.zeros((1, z.size))])
    boxes: Float = ends[0] - ends[1]
    return boxes


def _solve_levels(
    profile: AxialProfile, edges: Float, width: float, attenuation: Sequence[float | None] | None
) -> tuple[Float, float]:
    """Levels of all layers by weighted least squares, and the cost."""
    basis = _box_basis(profile.z_mm, edges, width)
    seen = basis @ (profile.weight > 0) > 0.3
    pull, target = np.full(len(edges) + 1, 1e-6), np.zeros(len(edges) + 1)
    for layer, expected in enumerate(attenuation or []):
        if expected is not None:
            pull[layer + 1], target[layer + 1] = 4.0 / (0.3 * abs(expected) + 0.1) ** 2, expected
    weighted = basis * profile.weight
    levels = np.linalg.solve(weighted @ basis.T + np.diag(pull), weighted @ profile.mean + pull * target)
    residual = profile.mean - levels @ basis
    cost = float(np.sum(profile.weight * residual**2) + np.sum(pull * (levels - target) ** 2 * (target != 0)))
    return np.where(seen, levels, np.nan), cost


def _refine(
    profile: AxialProfile,
    edges: Float,
    thickness: Float,
    width: float,
    attenuation: Sequence[float | None] | None,
) -> AxialFit:
    """Let every edge find its own place."""

    def residual(p: Float) -> Float:
        blur = float(np.exp(p[-1]))
        levels = np.nan_to_num(_solve_levels(profile, p[:-1], blur, attenuation)[0])
        misfit = np.sqrt(profile.weight) * (profile.mean - levels @ _box_basis(profile.z_mm, p[:-1], blur))
        prior = (np.diff(p[:-1]) - thickness) / (THICKNESS_TOLERANCE * thickness)
        return np.concatenate([misfit, prior, [(p[-1] - np.log(width)) / 0.5]])

    fit = least_squares(residual, np.append(edges, np.log(width)), loss="soft_l1", x_scale=0.02, max_nfev=60)
    found = np.sort(fit.x[:-1])
    levels, cost = _solve_levels(profile, found, float(np.exp(fit.x[-1])), attenuation)
    return AxialFit(found, levels, cost)
