"""Ellipses and ellipsoids with exact line integrals: the closed-form truth for reconstruction.

Lengths are in detector columns, positions relative to the rotation axis. A pixel has an aperture: what it
measures is the line integral averaged over its width, which has a closed form for an ellipse.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j1

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipse:
    """A uniform ellipse in the plane of a slice.

    Attributes
    ----------
    value : float
        Added inside, per column pitch.
    semi_x, semi_y : float
        Semi-axes before the turn, columns.
    x, y : float
        Position of the middle relative to the rotation axis, columns.
    turn_deg : float
        Turn of the ellipse from x towards y, degrees.
    """

    value: float
    semi_x: float
    semi_y: float
    x: float = 0.0
    y: float = 0.0
    turn_deg: float = 0.0

    def __post_init__(self) -> None:
        if not all(np.isfinite([self.value, self.semi_x, self.semi_y, self.x, self.y, self.turn_deg])):
            raise InputError(f"ellipse: found {self}, expected finite numbers")
        if self.semi_x <= 0 or self.semi_y <= 0:
            raise InputError(
                f"ellipse: found semi-axes {self.semi_x}, {self.semi_y}; expected positive lengths"
            )


@dataclass(frozen=True)
class Ellipsoid:
    """A uniform ellipsoid with one axis along z; `z` and `semi_z` in rows, the rest as in `Ellipse`."""

    value: float
    semi_z: float
    semi_x: float
    semi_y: float
    z: float = 0.0
    x: float = 0.0
    y: float = 0.0
    turn_deg: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.z) and np.isfinite(self.semi_z) and self.semi_z > 0):
            raise InputError(
                f"ellipsoid: found z {self.z}, semi_z {self.semi_z}; expected finite and positive"
            )
        Ellipse(self.value, self.semi_x, self.semi_y, self.x, self.y, self.turn_deg)

    def at(self, z: float) -> Ellipse | None:
        """Section at height z, or None where the ellipsoid does not reach."""
        left = 1 - ((z - self.z) / self.semi_z) ** 2
        if left <= 0:
            return None
        scale = float(np.sqrt(left))
        return Ellipse(self.value, self.semi_x * scale, self.semi_y * scale, self.x, self.y, self.turn_deg)

    def chords(self, point: Float, toward: Float) -> Float:
        """Lengths inside along rays through points (x, y, z): 2 sqrt(disc) / |q|² of |p + t q|² = 1 in a ball."""
        p, q = self._to_ball(point - [self.x, self.y, self.z]), self._to_ball(toward)
        squared = np.sum(q * q, axis=-1)
        half = np.sum(p * q, axis=-1)
        left = half**2 - squared * (np.sum(p * p, axis=-1) - 1)
        return np.asarray(2 * np.sqrt(np.maximum(left, 0)) / squared)

    def holds(self, points: Float) -> NDArray[np.bool_]:
        """Whether points (..., 3), (x, y, z), lie inside."""
        return np.asarray(np.sum(self._to_ball(points - [self.x, self.y, self.z]) ** 2, axis=-1) < 1)

    def _to_ball(self, vectors: Float) -> Float:
        """Vectors (x, y, z) in the frame in which the ellipsoid is the unit ball."""
        cosine, sine = np.cos(np.radians(self.turn_deg)), np.sin(np.radians(self.turn_deg))
        turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        return np.asarray(vectors @ turn.T / [self.semi_x, self.semi_y, self.semi_z])


def line_integrals(
    ellipses: Sequence[Ellipse], angles: ArrayLike, *, columns: int, center: float | None = None
) -> Float:
    """Exact line integrals of a slice, averaged over the width of each pixel.

    Parameters
    ----------
    ellipses : sequence of Ellipse
    angles : (angle,) array
        Radians.
    columns : int
    center : float, optional
        Column of the rotation axis; the middle by default.

    Returns
    -------
    (angle, column) float64 array
        In units of value times column pitch.
    """
    theta = np.asarray(angles, np.float64)
    middle = (columns - 1) / 2 if center is None else center
    edges = np.arange(columns + 1, dtype=np.float64) - 0.5 - middle
    total = np.zeros((theta.size, columns))
    for ellipse in ellipses:
        total += _one_ellipse(ellipse, theta, edges)
    return total


def _one_ellipse(ellipse: Ellipse, theta: Float, edges: Float) -> Float:
    """Difference, over each pixel, of the antiderivative of the chord length 2 a b sqrt(r^2 - u^2) / r^2."""
    local = theta - np.radians(ellipse.turn_deg)
    reach = np.hypot(ellipse.semi_x * np.cos(local), ellipse.semi_y * np.sin(local))[:, None]
    shadow = (ellipse.x * np.cos(theta) + ellipse.y * np.sin(theta))[:, None]
    u = np.clip((edges - shadow) / reach, -1, 1)
    area = u * np.sqrt(1 - u**2) + np.arcsin(u)
    return np.asarray(ellipse.value * ellipse.semi_x * ellipse.semi_y * np.diff(area, axis=1))


def ellipsoid_line_integrals(
    ellipsoids: Sequence[Ellipsoid],
    angles: ArrayLike,
    *,
    rows: int,
    columns: int,
    center: float | None = None,
) -> Float:
    """Exact line integrals of ellipsoids at the heights of the rows' centres; row r lies at z = r.

    Returns
    -------
    (angle, row, column) float64 array
    """
    theta = np.asarray(angles, np.float64)
    total = np.zeros((theta.size, rows, columns))
    for row in range(rows):
        sections = [section for part in ellipsoids if (section := part.at(row)) is not None]
        total[:, row] = line_integrals(sections, theta, columns=columns, center=center)
    return total


def band_limited_image(ellipses: Sequence[Ellipse], *, size: int, padding: int = 2) -> Float:
    """The slice as a perfect reconstruction from such line integrals shows it.

    The exact transform of the ellipses times the pixel aperture, sinc(|k|), inside the circle |k| <= 1/2,
    summed back on a grid `padding` times as wide.

    Returns
    -------
    (size, size) float64 array
        (y, x), the rotation axis at (size - 1) / 2.
    """
    k: Float = np.fft.fftfreq(padding * size).astype(np.float64)
    ky, kx = k[:, None], k[None, :]
    spectrum = np.zeros((k.size, k.size), np.complex128)
    for ellipse in ellipses:
        spectrum += ellipse_transform(ellipse, kx, ky)
    radius = np.hypot(kx, ky)
    middle = (size - 1) / 2
    spectrum *= np.sinc(radius) * (radius <= 0.5) * np.exp(-2j * np.pi * (kx + ky) * middle)
    return np.asarray(np.fft.ifft2(spectrum).real[:size, :size])


def ellipse_transform(ellipse: Ellipse, kx: Float, ky: Float) -> NDArray[np.complex128]:
    """Fourier transform of an ellipse at the frequencies (kx, ky), cycles per column."""
    turn = np.radians(ellipse.turn_deg)
    along = ellipse.semi_x * (kx * np.cos(turn) + ky * np.sin(turn))
    across = ellipse.semi_y * (ky * np.cos(turn) - kx * np.sin(turn))
    q = np.maximum(np.hypot(along, across), 1e-12)  # J1(2 pi q) / q tends to pi
    shape = ellipse.value * ellipse.semi_x * ellipse.semi_y * j1(2 * np.pi * q) / q
    return np.asarray(shape * np.exp(-2j * np.pi * (kx * ellipse.x + ky * ellipse.y)))


def head_phantom(size: int) -> tuple[Ellipse, ...]:
    """Modified Shepp-Logan head inside 0.93 of the field of view, with four fine details added.

    References
    ----------
    P. A. Toft, The Radon Transform, PhD thesis, Technical University of Denmark, 1996, appendix B.3.
    """
    scale = 0.93 * size / 2
    return tuple(
        Ellipse(value, a * scale, b * scale, x * scale, y * scale, turn) for value, a, b, x, y, turn in _HEAD
    )


_HEAD = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
    (0.4, 0.01, 0.01, 0.3, 0.55, 0.0),
    (0.4, 0.006, 0.006, -0.35, 0.55, 0.0),
    (0.3, 0.05, 0.008, 0.25, -0.55, 30.0),
    (0.3, 0.05, 0.012, -0.3, -0.5, -40.0),
)
