"""A jelly roll unrolled along its electrode: the winding is followed, and the volume read along it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates, uniform_filter1d

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Array = NDArray[np.float32]
STEPS_PER_TURN = 360
# the radius is searched on a grid of this many pixels
RADIUS_STEP_PX = 0.1
# moves per step of the angle, in steps of the radius: a real roll has flat parts and takes its pitch in a few places
MOVES = np.arange(-4, 5)
# in standard deviations of the brightness over a pitch: what one move beyond the mean slope of the winding costs
MOVE_PRICE = 0.1
SMOOTHING_STEPS = 4.0
# how far the foil may stray from an even spiral
REACH_PITCHES = 1.2


@dataclass(frozen=True, eq=False)
class Winding:
    """The path of an electrode in a slice, as a radius that changes with the angle.

    Attributes
    ----------
    center_px : tuple of 2 floats
        (y, x) about which the angle counts.
    angle : (n,) array
        Radians, from +x towards +y; grows beyond 2π from turn to turn.
    radius_px : (n,) array
    """

    center_px: tuple[float, float]
    angle: Float
    radius_px: Float

    def __post_init__(self) -> None:
        if self.angle.shape != self.radius_px.shape or self.angle.size < 2 or np.any(self.radius_px <= 0):
            raise InputError("winding: expected as many angles as radii, two or more, and radii above 0")

    @property
    def length_px(self) -> Float:
        """Length of the electrode from its start, ∫ √(r² + r′²) dφ."""
        slope = np.gradient(self.radius_px, self.angle)
        speed = np.hypot(self.radius_px, slope)
        steps = 0.5 * (speed[1:] + speed[:-1]) * np.diff(self.angle)
        return np.concatenate([[0.0], np.cumsum(steps)])


def follow_winding(
    image: NDArray[np.floating],
    center_px: tuple[float, float],
    *,
    start_angle: float,
    start_radius_px: float,
    turns: float,
    pitch_px: float,
) -> Winding:
    """Follow a bright foil through the turns of a roll.

    Parameters
    ----------
    image : (y, x) array
        A slice across the axis of the roll. Give its negative to follow a dark foil.
    center_px : tuple of 2 floats
        (y, x), roughly.
    start_angle, start_radius_px : float
        A point of the foil, to a quarter of a pitch.
    turns : float
        How many to follow, towards growing angle.
    pitch_px : float
        Change of the radius per turn, negative where the foil runs inwards; so well that the foil strays by at most
        1.2 of it from an even spiral.

    Returns
    -------
    Winding

    Raises
    ------
    InputError
        If the winding leaves the image or starts at its centre.

    Notes
    -----
    The path of least cost through the image in polar coordinates, unrolled over all turns (dynamic programming:
    Bellman 1957): bright is cheap, and so is the slope of the mean pitch, so that one turn is not left for the next.
    """
    if not (turns > 0 and start_radius_px > 0 and np.isfinite(pitch_px)):
        raise InputError(
            f"winding: {turns} turns from radius {start_radius_px} px; expected positive numbers"
        )
    angle = start_angle + np.arange(round(turns * STEPS_PER_TURN) + 1) * 2 * np.pi / STEPS_PER_TURN
    mean = start_radius_px + pitch_px * (angle - start_angle) / (2 * np.pi)
    pitch = max(round(abs(pitch_px) / RADIUS_STEP_PX), 3)
    # a pitch more on both sides, which only the comparison with the surroundings looks at
    reach = round((REACH_PITCHES + 1) * pitch)
    offsets = np.arange(-reach, reach + 1) * RADIUS_STEP_PX
    ridges = _ridges(_polar(image, center_px, angle, mean[:, None] + offsets), pitch)[:, pitch:-pitch]
    offsets = offsets[pitch:-pitch]
    path = _cheapest_path(-ridges, np.abs(offsets) <= 0.25 * abs(pitch_px), MOVE_PRICE)
    radius = gaussian_filter1d(mean + offsets[path], SMOOTHING_STEPS, mode="nearest")
    return Winding(center_px, angle, radius)


def unroll(volume: NDArray[np.floating], winding: Winding, *, offsets_px: NDArray[np.floating]) -> Array:
    """Read a volume along a winding.

    Parameters
    ----------
    volume : (z, y, x) array
    offsets_px : (offset,) array
        Distances from the foil along its normal in the slice, positive outwards.

    Returns
    -------
    (z, offset, length) float32 array
        Linear between voxels, in steps of one pixel along the electrode; NaN outside the volume.

    Raises
    ------
    InputError
        If the volume is not three-dimensional.
    """
    if volume.ndim != 3:
        raise InputError(f"unroll: found {volume.ndim} dimensions, expected (z, y, x)")
    length = winding.length_px
    at = np.arange(0.0, length[-1])
    angle, radius = (np.interp(at, length, values) for values in (winding.angle, winding.radius_px))
    slope = np.interp(at, length, np.gradient(winding.radius_px, winding.angle))
    # the normal of r(φ) is turned from the radius by the angle of the slope
    turned = angle - np.arctan2(slope, radius)
    y = winding.center_px[0] + radius * np.sin(angle) + offsets_px[:, None] * np.sin(turned)
    x = winding.center_px[1] + radius * np.cos(angle) + offsets_px[:, None] * np.cos(turned)
    planes = [map_coordinates(plane, (y, x), order=1, cval=np.nan, output=np.float32) for plane in volume]
    return np.stack(planes)


def _polar(image: NDArray[np.floating], center_px: tuple[float, float], angle: Float, radius: Float) -> Float:
    """Brightness at angles and radii, (angle, radius)."""
    y = center_px[0] + radius * np.sin(angle)[:, None]
    x = center_px[1] + radius * np.cos(angle)[:, None]
    middle = radius[:, radius.shape[1] // 2]
    room = min(*center_px, image.shape[0] - 1 - center_px[0], image.shape[1] - 1 - center_px[1])
    if middle.min() <= 1 or middle.max() >= room:
        raise InputError(
            f"winding: radii of {middle.min():.0f} to {middle.max():.0f} px leave the image of {image.shape} or "
            "reach its centre; follow fewer turns"
        )
    return np.asarray(map_coordinates(np.asarray(image, np.float64), (y, x), order=1, mode="nearest"))


def _ridges(brightness: Float, pitch: int) -> Float:
    """Brightness in standard deviations about its mean over one pitch: a bright turn is no better than a dull one."""
    mean = uniform_filter1d(brightness, pitch, axis=1, mode="nearest")
    square = uniform_filter1d((brightness - mean) ** 2, pitch, axis=1, mode="nearest")
    return np.asarray((brightness - mean) / np.sqrt(np.maximum(square, 1e-12 * square.max() + 1e-30)))


def _cheapest_path(cost: Float, start: NDArray[np.bool_], price: float) -> NDArray[np.intp]:
    """Column of every row on the path of least total cost from an allowed start."""
    total = np.where(start, cost[0], np.inf)
    came = np.zeros(cost.shape, np.int8)
    for row in range(1, len(cost)):
        moved = np.stack([_shifted(total, int(move)) + price * abs(move) for move in MOVES])
        best = np.argmin(moved, axis=0)
        came[row] = MOVES[best]
        total = cost[row] + np.take_along_axis(moved, best[None], axis=0)[0]
    path = np.empty(len(cost), np.intp)
    path[-1] = int(np.argmin(total))
    for row in range(len(cost) - 1, 0, -1):
        path[row - 1] = path[row] - came[row, path[row]]
    return path


def _shifted(values: Float, move: int) -> Float:
    """Value of the column from which a move leads here."""
    moved = np.full_like(values, np.inf)
    if move == 0:
        return values
    if move > 0:
        moved[move:] = values[:-move]
    else:
        moved[:move] = values[-move:]
    return moved
