"""A cylinder with a sector cut out of its upper part, seen along parallel rays: where a ray meets which face.

The solid is simple enough that every ray is intersected exactly (Roth 1982, doi 10.1016/0146-664X(82)90169-1:
solids as unions and differences along rays); nothing is marched through the volume.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.report.content import Float

AMBIENT = 0.72
# a ray counts as inside the cut sector only if it is by more than this part of the radius
GRAZING = 1e-9


@dataclass(frozen=True)
class Camera:
    """Direction of sight and size of the picture.

    Attributes
    ----------
    azimuth_deg, elevation_deg : float
        Where the camera stands: from x towards y, and above the plane of x and y.
    cut_azimuth_deg : float
        Middle of the sector that is cut out.
    cut_opening_deg : float
        Opening of the sector, below 180 degrees.
    columns : int
        Width of the picture in pixels; its height follows from the solid.
    """

    azimuth_deg: float = -60.0
    elevation_deg: float = 24.0
    cut_azimuth_deg: float = -48.0
    cut_opening_deg: float = 105.0
    columns: int = 900

    def __post_init__(self) -> None:
        if not 0 < self.elevation_deg < 90 or not 0 < self.cut_opening_deg < 180:
            raise ValueError("camera: expected an elevation of 0 to 90 and an opening of 0 to 180 degrees")

    @property
    def toward(self) -> Float:
        """Unit vector (x, y, up) from the solid to the camera."""
        a, e = np.radians(self.azimuth_deg), np.radians(self.elevation_deg)
        return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])

    @property
    def right(self) -> Float:
        """Unit vector (x, y, up) to the right in the picture."""
        a = np.radians(self.azimuth_deg)
        return np.array([-np.sin(a), np.cos(a), 0.0])

    @property
    def upward(self) -> Float:
        """Unit vector (x, y, up) upwards in the picture."""
        return np.cross(self.toward, self.right)

    @property
    def cut_normals(self) -> tuple[Float, Float]:
        """Unit vectors (x, y, up), out of the material, of the two faces of the cut."""
        middle, half = np.radians(self.cut_azimuth_deg), np.radians(0.5 * self.cut_opening_deg)
        ends = middle - half, middle + half
        first = np.array([-np.sin(ends[0]), np.cos(ends[0]), 0.0])
        second = np.array([np.sin(ends[1]), -np.cos(ends[1]), 0.0])
        return first, second

    def project(self, points: Float) -> Float:
        """Return (..., 2) positions right and up in the picture, mm, of (..., 3) points (x, y, up)."""
        return np.stack([points @ self.right, points @ self.upward], axis=-1)


@dataclass(frozen=True)
class CutCylinder:
    """A cylinder about the up axis; the sector is cut out above the floor.

    Attributes
    ----------
    radius, bottom, floor, top : float
        mm; bottom < floor < top.
    """

    radius: float
    bottom: float
    floor: float
    top: float

    def __post_init__(self) -> None:
        if self.radius <= 0 or not self.bottom < self.floor < self.top:
            raise ValueError("cut cylinder: expected a positive radius and bottom < floor < top")


@dataclass(frozen=True)
class Hits:
    """First face that every ray meets.

    Attributes
    ----------
    points : (row, column, 3) array
        Place (x, y, up) in mm; NaN where a ray misses.
    normals : (row, column, 3) array
        Unit vectors out of the material.
    extent : (left, right, bottom, top)
        Edges of the picture in mm, measured from the projected origin.
    """

    points: Float
    normals: Float
    extent: tuple[float, float, float, float]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(row, column) mask of the rays that meet the solid."""
        return np.isfinite(self.points[..., 0])

    def brightness(self, camera: Camera) -> Float:
        """Diffuse light from above the left shoulder of the camera, 0 to 1."""
        light = camera.toward - 0.2 * camera.right + 0.5 * camera.upward
        light /= np.linalg.norm(light)
        return AMBIENT + (1 - AMBIENT) * np.clip(self.normals @ light, 0, 1)


def cast_cutaway(camera: Camera, solid: CutCylinder) -> Hits:
    """Intersect parallel rays with a cylinder that has a sector cut out.

    Returns
    -------
    Hits
        The first face on every ray of a picture that just holds the solid.
    """
    level = float(np.cos(np.radians(camera.elevation_deg)))
    margin = 0.02 * solid.radius
    lowest = solid.bottom * level - solid.radius * camera.toward[2] - margin
    highest = solid.top * level + solid.radius * camera.toward[2] + margin
    pixel = 2 * (solid.radius + margin) / camera.columns
    rows = int(np.ceil((highest - lowest) / pixel))
    right = (np.arange(camera.columns) - 0.5 * (camera.columns - 1)) * pixel
    up = highest - (np.arange(rows) + 0.5) * pixel
    origins = right[None, :, None] * camera.right + up[:, None, None] * camera.upward
    points, normals = _first_faces(camera, origins, solid)
    half_width = 0.5 * camera.columns * pixel
    return Hits(points, normals, (-half_width, half_width, highest - rows * pixel, highest))


Candidate = tuple[Float, Float, NDArray[np.bool_]]


def _first_faces(camera: Camera, origins: Float, solid: CutCylinder) -> tuple[Float, Float]:
    """Keep the face nearest to the camera for every ray."""
    nearest = np.full(origins.shape[:2], -np.inf)
    points, normals = np.full(origins.shape, np.nan), np.zeros(origins.shape)
    candidates = (
        _side(camera, origins, solid),
        _level_face(camera, origins, solid, solid.top),
        _level_face(camera, origins, solid, solid.floor),
        *(_cut_face(camera, origins, solid, which) for which in (0, 1)),
    )
    for position, normal, valid in candidates:
        taken = valid & (position > nearest)
        nearest[taken] = position[taken]
        points[taken] = (origins + position[..., None] * camera.toward)[taken]
        normals[taken] = np.broadcast_to(normal, origins.shape)[taken]
    return points, normals


def _side(camera: Camera, origins: Float, solid: CutCylinder) -> Candidate:
    """Curved face: the nearer root of |origin + s·toward| = radius in the plane of x and y."""
    flat = camera.toward[:2]
    a, b = flat @ flat, origins[..., :2] @ flat
    discriminant = b**2 - a * (np.sum(origins[..., :2] ** 2, axis=-1) - solid.radius**2)
    met = discriminant >= 0
    position = (-b + np.sqrt(np.where(met, discriminant, 0))) / a
    place = origins + position[..., None] * camera.toward
    normal = np.concatenate([place[..., :2] / solid.radius, np.zeros_like(place[..., :1])], axis=-1)
    between = (place[..., 2] >= solid.bottom) & (place[..., 2] <= solid.top)
    return position, normal, met & between & ~_in_cut(camera, place, solid)


def _level_face(camera: Camera, origins: Float, solid: CutCylinder, height: float) -> Candidate:
    """Top, without the sector, or floor, within it."""
    position = (height - origins[..., 2]) / camera.toward[2]
    place = origins + position[..., None] * camera.toward
    inside = np.hypot(place[..., 0], place[..., 1]) <= solid.radius
    in_sector = _in_sector(camera, place, solid)
    return position, np.array([0.0, 0.0, 1.0]), inside & (in_sector == (height == solid.floor))


def _cut_face(camera: Camera, origins: Float, solid: CutCylinder, which: int) -> Candidate:
    """Upright face of the cut, where it borders the sector and faces the camera."""
    normal, other = camera.cut_normals[which], camera.cut_normals[1 - which]
    slope = float(normal @ camera.toward)
    if slope <= GRAZING:
        return np.zeros(origins.shape[:2]), normal, np.zeros(origins.shape[:2], bool)
    position = -(origins @ normal) / slope
    place = origins + position[..., None] * camera.toward
    between = (place[..., 2] >= solid.floor) & (place[..., 2] <= solid.top)
    inside = between & (np.hypot(place[..., 0], place[..., 1]) <= solid.radius)
    return position, normal, inside & (place @ other > 0)


def _in_sector(camera: Camera, place: Float, solid: CutCylinder) -> NDArray[np.bool_]:
    first, second = camera.cut_normals
    return (place @ first > GRAZING * solid.radius) & (place @ second > GRAZING * solid.radius)


def _in_cut(camera: Camera, place: Float, solid: CutCylinder) -> NDArray[np.bool_]:
    return _in_sector(camera, place, solid) & (place[..., 2] > solid.floor)
