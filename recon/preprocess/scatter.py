"""Scattered neutrons and other background: measured behind black bodies, or stated as a uniform fraction.

With the incident beam I₀, a background B₀ in the open beam and B in a view, a view over the open beam shows
(T + b) (1 − b₀) for dose 1. Everything here is a fraction of the open beam, its own background included, so
that T = (view / dose − b) / (1 − b₀) with b = B / (I₀ + B₀) and b₀ = B₀ / (I₀ + B₀).
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.on_device import OnDevice
from deltamu.recon.preprocess.smooth_surface import SmoothSurface, smooth_surface

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]
Labels = NDArray[np.int32]

# a dot is darker than this part of the usual level behind the grid
DARK_FRACTION = 0.4
SMALLEST_DOT_PX = 9
# of the radius of a dot: farther out the penumbra and the wide line spread reach
CORE_FRACTION = 0.5
# against what a disc of the same inner radius covers
ROUNDNESS = (0.6, 2.0)
CLIP_SIGMA = 4.0
ANGLES_FOR_HITS = 5
OUTSIDE_DOTS = 1.6


class Background(Protocol):
    """Background of every view over the open beam."""

    @property
    def open_beam(self) -> Float32:
        """Background b₀, (row, column) or (1, 1)."""

    def of_view(self, view: int) -> Float32:
        """Background b of a view of dose 1, (row, column) or (1, 1)."""


@dataclass(frozen=True)
class UniformBackground:
    """The same background in every pixel of every view, with and without the sample.

    Attributes
    ----------
    fraction : float
        Of the beam without its background: a view shows T + fraction, the open beam 1 + fraction.
    """

    fraction: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fraction) and 0 <= self.fraction < 1):
            raise InputError(f"fraction: found {self.fraction}, expected 0 to below 1, for example 0.02")

    @property
    def open_beam(self) -> Float32:
        """Background b₀, one value for all pixels."""
        return np.full((1, 1), self.fraction / (1 + self.fraction), np.float32)

    def of_view(self, view: int) -> Float32:
        """Background b, the same in every view."""
        return self.open_beam


@dataclass(frozen=True)
class BlackBodyBackground(OnDevice):
    """Smooth background through what was measured behind the dots of a grid.

    Attributes
    ----------
    surface : SmoothSurface
    places : (dot, 2) array
        Row and column of the dots.
    levels : (view, dot) array
        b behind every dot, interpolated to the views.
    open_levels : (dot,) array
        b₀ behind every dot.
    shade : float
        What of the beam the grid lets through, dose included: background goes down with it.
    """

    maps: ClassVar = ("surface",)

    surface: SmoothSurface
    places: Float
    levels: Float
    open_levels: Float
    shade: float

    @property
    def open_beam(self) -> Float32:
        """Background b₀, (row, column)."""
        return self.surface(self.open_levels)

    def of_view(self, view: int) -> Float32:
        """Background b, (row, column)."""
        return self.surface(self.levels[view])


def find_dots(open_grid: NDArray[np.floating]) -> Labels:
    """Find the cores of the black bodies in an open beam behind the grid.

    Parameters
    ----------
    open_grid : (row, column) array
        Open beam with the grid over the open beam without it.

    Returns
    -------
    (row, column) int32 array
        0 outside, 1, 2, … in the inner half (by radius) of each dot.

    Raises
    ------
    InputError
        If no dark round dots stand out.
    """
    image = ndimage.median_filter(np.asarray(open_grid, np.float32), 3)
    level = float(np.median(image))
    parts, count = ndimage.label(image < DARK_FRACTION * level)
    depth = ndimage.distance_transform_edt(np.pad(parts > 0, 1))[1:-1, 1:-1]
    numbers = np.arange(1, count + 1)
    area = ndimage.sum_labels(np.ones_like(image), parts, numbers)
    radius = np.asarray(ndimage.maximum(depth, parts, numbers)) if count else np.zeros(0)
    round_ = (area > ROUNDNESS[0] * np.pi * (radius - 0.5) ** 2) & (area < ROUNDNESS[1] * np.pi * radius**2)
    chosen = numbers[round_ & (area >= SMALLEST_DOT_PX)]
    # scratches and edges are not of the size that most dots share
    chosen = [n for n in chosen if 0.3 < area[n - 1] / np.median(area[chosen - 1]) < 3]
    if not chosen:
        raise InputError(
            f"black_body: no round dots darker than {DARK_FRACTION:g} of the level ({level:.3g}) in the open beam "
            "with the grid; expected frames taken behind a black-body grid, or give a mask of the dots"
        )
    labels = np.zeros(image.shape, np.int32)
    for index, number in enumerate(chosen, 1):
        labels[(parts == number) & (depth > (1 - CORE_FRACTION) * radius[number - 1])] = index
    return labels


def dot_labels(mask: NDArray[np.generic]) -> Labels:
    """Number the connected parts of a mask of dots that was drawn by hand.

    Raises
    ------
    InputError
        If nothing, or everything, is marked.
    """
    labels, count = ndimage.label(np.asarray(mask) != 0)
    if count == 0 or np.all(labels):
        raise InputError("mask: expected pixels ≠ 0 inside the dots only")
    return np.asarray(labels, np.int32)


def measure_background(
    sample_grid: NDArray[np.floating],
    open_grid: NDArray[np.floating],
    *,
    angles: NDArray[np.floating],
    view_angles: NDArray[np.floating],
    air: NDArray[np.bool_] | None = None,
    dots: Labels | None = None,
) -> BlackBodyBackground:
    """Fit the background of every view to what is seen behind a black-body grid.

    Behind a dot there is background only. The grid also takes away part of the beam that scatters: what is
    measured is divided by what the grid lets through, and by the dose.

    Parameters
    ----------
    sample_grid : (angle, row, column) array
        The sample behind the grid, dark-corrected, over the open beam without the grid.
    open_grid : (row, column) array
        The open beam behind the grid, likewise.
    angles : (angle,) array
        Radians, of the frames in `sample_grid`.
    view_angles : (view,) array
        Radians, of the views to correct; background in between is interpolated.
    air : (row, column) bool array, optional
        Where no view shows the sample; the dose is measured there. Without it the dose is trusted.
    dots : (row, column) int array, optional
        Cores of the dots; found in `open_grid` when not given.

    References
    ----------
    C. Carminati et al., PLOS ONE 14 (2019) e0210300.
    """
    frames, beam = np.asarray(sample_grid, np.float32), np.asarray(open_grid, np.float32)
    if frames.ndim != 3 or frames.shape[1:] != beam.shape or len(frames) != np.size(angles):
        raise InputError(
            f"sample_grid: found {frames.shape}, the open beam {beam.shape} and {np.size(angles)} angles; "
            "expected (angle, row, column) on the same detector"
        )
    labels = find_dots(beam) if dots is None else np.asarray(dots)
    surface = smooth_surface(_places(labels), beam.shape)
    open_levels = _levels(beam, labels)
    levels = _without_hits(np.stack([_levels(frame, labels) for frame in frames]), angles)
    shade = float(beam.mean(dtype=np.float64))
    clear = None if air is None else air & _away_from(labels)
    if clear is not None and clear.any():
        lit = [
            float((f - surface(v))[clear].mean(dtype=np.float64)) for f, v in zip(frames, levels, strict=True)
        ]
        levels /= (np.asarray(lit) / float((beam - surface(open_levels))[clear].mean(dtype=np.float64)))[
            :, None
        ]
    return BlackBodyBackground(
        surface, _places(labels), _over_views(levels / shade, angles, view_angles), open_levels / shade, shade
    )


def _places(labels: Labels) -> Float:
    numbers = np.arange(1, labels.max() + 1)
    return np.asarray(ndimage.center_of_mass(labels > 0, labels, numbers), np.float64)


def _levels(image: Float32, labels: Labels) -> Float:
    """Mean in every dot without gamma spots."""
    return np.asarray(ndimage.labeled_comprehension(
        image, labels, np.arange(1, labels.max() + 1), _clipped_mean, np.float64, 0.0
    ))  # fmt: skip


def _clipped_mean(values: Float32) -> float:
    middle = np.median(values)
    distance = np.abs(values - middle)
    return float(
        values[distance <= max(CLIP_SIGMA * 1.4826 * np.median(distance), 1e-6)].mean(dtype=np.float64)
    )


def _without_hits(levels: Float, angles: NDArray[np.floating]) -> Float:
    """Replace levels (angle, dot) that a gamma hit has raised: the angles beside them do not see it."""
    if len(levels) < ANGLES_FOR_HITS:
        return levels
    order = np.argsort(np.mod(np.asarray(angles, np.float64).ravel(), 2 * np.pi), kind="stable")
    usual = np.empty_like(levels)
    usual[order] = ndimage.median_filter(levels[order], (ANGLES_FOR_HITS, 1), mode="nearest")
    excess = levels - usual
    limit = CLIP_SIGMA * 1.4826 * float(np.median(np.abs(excess))) + 1e-6
    return np.where(excess > 1.5 * limit, usual, levels)


def _away_from(labels: Labels) -> NDArray[np.bool_]:
    """Pixels out of reach of the dots: farther than their radius again by half."""
    distance = ndimage.distance_transform_edt(labels == 0)
    core = np.sqrt(np.count_nonzero(labels) / max(int(labels.max()), 1) / np.pi)
    return np.asarray(distance > (OUTSIDE_DOTS / CORE_FRACTION - 1) * core)


def _over_views(levels: Float, angles: NDArray[np.floating], view_angles: NDArray[np.floating]) -> Float:
    """Interpolate linearly in angle around the turn."""
    theta = np.asarray(angles, np.float64).ravel()
    views = np.asarray(view_angles, np.float64).ravel()
    return np.stack([np.interp(views, theta, dot, period=2 * np.pi) for dot in levels.T], axis=1)
