"""Strips of columns across the pellet: each frame becomes one profile along the stack per strip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float32 = NDArray[np.float32]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Strips:
    """Ranges of columns that follow the sample.

    Attributes
    ----------
    edges_mm : (strip + 1,) array
        Distances from the axis of the pellet.
    axis_px : float
        Column of the axis in the reference frames.
    pixel_size_mm : float
    """

    edges_mm: Float
    axis_px: float
    pixel_size_mm: float

    @property
    def count(self) -> int:
        """Number of strips."""
        return self.edges_mm.size - 1

    @property
    def middles_mm(self) -> Float:
        """Distances of the middles from the axis."""
        return np.asarray((self.edges_mm[1:] + self.edges_mm[:-1]) / 2)

    @property
    def widths_mm(self) -> Float:
        """Widths."""
        return np.diff(self.edges_mm)

    def weights(self, columns: int, shift_px: float = 0.0) -> Float32:
        """Weights (column, strip) of a mean over each strip, of a sample that has moved by `shift_px` columns.

        A pixel that a border cuts counts with its share.
        """
        edges = self.edges_mm / self.pixel_size_mm + self.axis_px + shift_px
        # pixel j reaches from j − 1/2 to j + 1/2
        low = np.clip(edges[:-1], np.arange(columns)[:, None] - 0.5, np.arange(columns)[:, None] + 0.5)
        high = np.clip(edges[1:], np.arange(columns)[:, None] - 0.5, np.arange(columns)[:, None] + 0.5)
        share = high - low
        return np.asarray(share / np.maximum(share.sum(axis=0), 1e-9), np.float32)

    def chord_areas_cm2(self, radius_mm: float) -> Float:
        """Area of a disc between the edges of every strip."""
        at = np.clip(self.edges_mm / radius_mm, -1, 1)
        return np.asarray(0.01 * radius_mm**2 * np.diff(at * np.sqrt(1 - at * at) + np.arcsin(at)))

    def inside(self, first_mm: float, last_mm: float) -> NDArray[np.bool_]:
        """Strips whose middle lies between two distances from the axis."""
        return np.asarray((self.middles_mm >= first_mm) & (self.middles_mm <= last_mm))


def equal_chord_strips(
    *,
    radius_mm: float,
    margin_mm: float,
    axis_px: float,
    pixel_size_mm: float,
    columns: int,
    count: int = 40,
    borders_mm: tuple[float, ...] = (),
) -> Strips:
    """Strips over which the length of the chord varies about equally: wide in the middle, narrow at the sides.

    Parameters
    ----------
    radius_mm : float
        Of the pellet.
    margin_mm : float
        What the strips reach beyond it, for blur.
    axis_px, pixel_size_mm, columns
        Of the frames.
    count : int
    borders_mm : tuple of float
        Distances from the axis where strips must end: of regions, of parts with another radius.

    Raises
    ------
    InputError
        If the pellet does not fit into the frame.
    """
    reach = (radius_mm + margin_mm) / pixel_size_mm
    if axis_px - reach < -0.5 or axis_px + reach > columns - 0.5:
        raise InputError(
            f"radius_mm: found {radius_mm:g}, but a pellet of that size about column {axis_px:.1f} leaves the frame of "
            f"{columns} columns; expected it inside, check radius_mm, pixel_size_mm and axis_column"
        )
    angle = np.linspace(-np.pi / 2, np.pi / 2, count + 1)
    edges = [*(radius_mm * np.sin(angle)), -radius_mm - margin_mm, radius_mm + margin_mm]
    fixed = [*borders_mm, -radius_mm - margin_mm, radius_mm + margin_mm]
    narrowest = 4 * pixel_size_mm
    chosen: list[float] = sorted({float(np.clip(b, edges[-2], edges[-1])) for b in fixed})
    for edge in sorted(edges, key=abs):
        if min(abs(edge - other) for other in chosen) >= narrowest:
            chosen.append(float(edge))
    return Strips(np.array(sorted(chosen)), axis_px, pixel_size_mm)


def symmetry_axis(transmission: Float32) -> float:
    """Column about which the frame is most nearly its own mirror image.

    The maximum of the autoconvolution of the mean column profile of −ln T, refined by a parabola.

    Parameters
    ----------
    transmission : (row, column) array
    """
    depth = -np.log(np.maximum(transmission.mean(axis=0, dtype=np.float64), 1e-6))
    depth -= min(depth[0], depth[-1])
    size = depth.size
    doubled = np.convolve(depth, depth)
    # a mirror axis near the edge leaves few columns to compare
    inner = slice(size // 2, doubled.size - size // 2)
    best = inner.start + int(np.argmax(doubled[inner]))
    left, middle, right = doubled[best - 1 : best + 2]
    bend = left - 2 * middle + right
    offset = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(best + offset) / 2
