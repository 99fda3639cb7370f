"""Find a cell's stack in a volume: axis, radius and the approximate place of every layer."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.axial_stack import (
    AxialFit,
    AxialProfile,
    axial_profile,
    choose_direction,
    place_stack,
)
from deltamu.recon.change.layer_stack import LayerStack, Surface, nominal_thickness
from deltamu.recon.change.pellet import centroid_mm, fit_disc, mean_image, radius_from_slices
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
RADIUS_TOLERANCE = 0.05


def find_stack(
    volume: Any,
    *,
    voxel_size_mm: float,
    order: Sequence[str],
    thickness_mm: Mapping[str, float] | Sequence[float],
    radius_mm: float | None = None,
    direction: Literal[1, -1, "auto"] = 1,
    attenuation: Mapping[str, float] | None = None,
    separator: str = "separator",
) -> LayerStack:
    """Place a nominal stack in a volume, with flat layers.

    Good to a fraction of a voxel where a layer has contrast: enough for masks and as the start of
    `find_layers`.

    Parameters
    ----------
    volume : (z, y, x) array-like
        cm⁻¹; sliced along z. NaN is left out.
    order : sequence of str
        Layers along the axis.
    thickness_mm : mapping or sequence
        Nominal thickness of every layer; the first and the last may reach beyond the field.
    radius_mm : float, optional
        Of the pellet; found from the slices when not given.
    direction : {1, -1, "auto"}
        +1: `order` runs along +z. "auto" compares both and needs a stack that is not nearly symmetric in its
        thicknesses, or `attenuation`.
    attenuation : mapping of str to float, optional
        Expected level of some layers, cm⁻¹.

    Returns
    -------
    LayerStack

    Raises
    ------
    InputError
        If the stack does not fit into the volume, or the direction cannot be told.
    """
    thickness = nominal_thickness(order, thickness_mm)
    if np.ndim(volume) != 3:
        raise InputError(f"stack: found an array of shape {np.shape(volume)}, expected a volume (z, y, x)")
    if direction not in (1, -1, "auto"):
        raise InputError(f"direction: found {direction!r}, expected 1, -1 or 'auto'")
    rows = np.unique(np.linspace(0, volume.shape[0] - 1, 48).round().astype(int))
    center = centroid_mm(mean_image(volume, rows), voxel_size_mm)
    radius = radius_mm or radius_from_slices(volume, rows, center, voxel_size_mm)
    profile = axial_profile(volume, voxel_size_mm=voxel_size_mm, axis_mm=center, radius_mm=0.7 * radius)
    sense = choose_direction(profile, order, thickness, attenuation) if direction == "auto" else direction
    expected = [(attenuation or {}).get(name) for name in order]
    fit = place_stack(profile, thickness[::sense], attenuation=expected[::sense])
    axis, radius, warnings = _refine_pellet(volume, fit, profile, voxel_size_mm, center, radius)
    surfaces = tuple(Surface((float(z), 0.0, 0.0, 0.0), axis) for z in fit.edges_mm[::sense])
    return LayerStack(
        tuple(order), surfaces, axis, radius, voxel_size_mm, separator=separator, warnings=warnings
    )


def _refine_pellet(
    volume: Any,
    fit: AxialFit,
    profile: AxialProfile,
    voxel_size_mm: float,
    center_mm: tuple[float, float],
    radius_mm: float,
) -> tuple[tuple[float, float], float, tuple[str, ...]]:
    """Axis and radius from the difference of the two layers that tell most of each other."""
    pair = _contrasting_layers(fit, profile, voxel_size_mm)
    if pair is None:
        return (
            center_mm,
            radius_mm,
            ("no two layers differ enough to fit the pellet's axis: its centroid is used",),
        )
    image = mean_image(volume, pair[0]) - mean_image(volume, pair[1])
    disc = fit_disc(image, voxel_size_mm, center_mm=center_mm, radius_mm=radius_mm)
    moved = np.hypot(disc.center_mm[0] - center_mm[0], disc.center_mm[1] - center_mm[1])
    if disc.standard_error_mm > 0.5 * voxel_size_mm or moved > 0.2 * radius_mm:
        return (
            center_mm,
            radius_mm,
            ("the rim of the pellet is not clear: the centroid of the slices is its axis",),
        )
    if abs(disc.radius_mm / radius_mm - 1) > RADIUS_TOLERANCE:
        message = (
            f"pellet radius: {radius_mm:.3f} mm was given, the slices show {disc.radius_mm:.3f} mm; "
            "the given one is used"
        )
        return disc.center_mm, radius_mm, (message,)
    return disc.center_mm, disc.radius_mm, ()


def _contrasting_layers(
    fit: AxialFit, profile: AxialProfile, voxel_size_mm: float
) -> tuple[NDArray[np.integer], NDArray[np.integer]] | None:
    """Rows of the two layers whose difference stands highest above the noise."""
    rows, levels, variance = [], [], []
    for index, (low, high) in enumerate(zip(fit.edges_mm[:-1], fit.edges_mm[1:], strict=True)):
        inside = (profile.z_mm > low + voxel_size_mm) & (profile.z_mm < high - voxel_size_mm)
        chosen = np.flatnonzero(inside & (profile.weight > 0))
        if chosen.size:
            rows.append(chosen)
            levels.append(fit.levels[index + 1])
            variance.append(float(np.mean(1.0 / profile.weight[chosen]) / chosen.size))
    pairs = list(combinations(range(len(rows)), 2))
    if not pairs:
        return None
    quality = [abs(levels[a] - levels[b]) / np.sqrt(variance[a] + variance[b]) for a, b in pairs]
    best = int(np.argmax(quality))
    return (rows[pairs[best][0]], rows[pairs[best][1]]) if quality[best] > 3 else None
