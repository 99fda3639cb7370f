"""The layers of a cell: surfaces across the pellet, and the stack that they bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


def _unknown_covariance() -> Float:
    return np.full((4, 4), np.nan)


@dataclass(frozen=True, eq=False)
class Surface:
    """A plane plus a paraboloid about the pellet axis.

    z = c0 + cy·v + cx·u + cb·(v² + u²) with v = y − y0 and u = x − x0.

    Attributes
    ----------
    coefficients : tuple of 4 floats
        c0 (mm), cy, cx (mm per mm), cb (1/mm).
    axis_mm : tuple of 2 floats
        The pellet axis (y0, x0).
    covariance : (4, 4) array
        Of the coefficients; NaN where nothing is known of it.
    fitted : bool
        False where the surface was placed by a nominal thickness.
    """

    coefficients: tuple[float, float, float, float]
    axis_mm: tuple[float, float]
    covariance: Float = field(default_factory=_unknown_covariance)
    fitted: bool = False

    def __post_init__(self) -> None:
        if len(self.coefficients) != 4 or not np.all(np.isfinite(self.coefficients)):
            raise InputError(f"surface: found coefficients {self.coefficients}, expected 4 finite numbers")
        if np.shape(self.covariance) != (4, 4):
            raise InputError(
                f"surface: found a covariance of shape {np.shape(self.covariance)}, expected (4, 4)"
            )

    def height_mm(self, y_mm: NDArray[np.floating], x_mm: NDArray[np.floating]) -> Float:
        """Return z of the surface at (y, x), mm."""
        c0, cy, cx, cb = self.coefficients
        v, u = np.asarray(y_mm, float) - self.axis_mm[0], np.asarray(x_mm, float) - self.axis_mm[1]
        height: Float = c0 + cy * v + cx * u + cb * (v * v + u * u)
        return height

    def normal_cosine(self, y_mm: NDArray[np.floating], x_mm: NDArray[np.floating]) -> Float:
        """Cosine of the angle between the local normal and z."""
        _, cy, cx, cb = self.coefficients
        v, u = np.asarray(y_mm, float) - self.axis_mm[0], np.asarray(x_mm, float) - self.axis_mm[1]
        cosine: Float = 1.0 / np.sqrt(1.0 + (cy + 2 * cb * v) ** 2 + (cx + 2 * cb * u) ** 2)
        return cosine

    @property
    def tilt_deg(self) -> float:
        """Angle between the surface at the axis and the plane perpendicular to z."""
        return float(np.degrees(np.arctan(np.hypot(self.coefficients[1], self.coefficients[2]))))

    @property
    def azimuth_deg(self) -> float:
        """Direction of steepest ascent, from +x towards +y."""
        return float(np.degrees(np.arctan2(self.coefficients[1], self.coefficients[2])))

    @property
    def tilt_standard_error_deg(self) -> float:
        """Of the tilt, first order along its azimuth."""
        slope = np.array(self.coefficients[1:3])
        length = float(np.hypot(*slope))
        along = slope / length if length > 0 else np.array([0.0, 1.0])
        return float(np.degrees(np.sqrt(along @ self.covariance[1:3, 1:3] @ along)))

    def bow_um(self, radius_mm: float) -> float:
        """Sagitta of the paraboloid between the axis and `radius_mm`, positive towards +z."""
        return float(1e3 * self.coefficients[3] * radius_mm**2)

    def bow_standard_error_um(self, radius_mm: float) -> float:
        """Of the sagitta."""
        return float(1e3 * np.sqrt(self.covariance[3, 3]) * radius_mm**2)

    def mean_height_mm(self, radius_mm: float) -> float:
        """Mean of z over the disc of `radius_mm` about the axis."""
        return self.coefficients[0] + 0.5 * self.coefficients[3] * radius_mm**2

    def raised(self, distance_mm: float, covariance: Float) -> "Surface":
        """Return the same shape, placed `distance_mm` further along z; `covariance` is that of the step."""
        c0, cy, cx, cb = self.coefficients
        return Surface((c0 + distance_mm, cy, cx, cb), self.axis_mm, self.covariance + covariance)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer, between the surface near the separator (depth 0) and the far one (depth d_max).

    Attributes
    ----------
    name : str
    label : int
        Value in the label image.
    near, far : Surface
    radius_mm, voxel_size_mm : float
    covariance : (8, 8) array or None
        Of the coefficients of near and far together, where both were fitted together.
    """

    name: str
    label: int
    near: Surface
    far: Surface
    radius_mm: float
    voxel_size_mm: float
    covariance: Float | None = None

    def __post_init__(self) -> None:
        if self.near.mean_height_mm(self.radius_mm) == self.far.mean_height_mm(self.radius_mm):
            raise InputError(f"layer '{self.name}': its two surfaces coincide; expected a thickness above 0")

    @property
    def side(self) -> int:
        """+1 where depth grows along +z, −1 where it grows along −z."""
        return 1 if self.far.mean_height_mm(self.radius_mm) > self.near.mean_height_mm(self.radius_mm) else -1

    @property
    def axis_mm(self) -> tuple[float, float]:
        """The pellet axis (y, x)."""
        return self.near.axis_mm

    @property
    def tilt_deg(self) -> float:
        """Tilt of the near surface."""
        return self.near.tilt_deg

    @property
    def bow_um(self) -> float:
        """Sagitta of the near surface over the radius."""
        return self.near.bow_um(self.radius_mm)

    @property
    def thickness_mm(self) -> float:
        """Mean over the pellet of the thickness along the normal."""
        distance = abs(self.far.mean_height_mm(self.radius_mm) - self.near.mean_height_mm(self.radius_mm))
        return float(distance * np.cos(np.radians(self.near.tilt_deg)))

    @property
    def thickness_standard_error_mm(self) -> float:
        """Of the mean thickness."""
        mean = np.array([1.0, 0.0, 0.0, 0.5 * self.radius_mm**2])
        if self.covariance is not None:
            weights = np.concatenate([-mean, mean])
            return float(np.sqrt(weights @ self.covariance @ weights))
        return float(np.sqrt(mean @ (self.near.covariance + self.far.covariance) @ mean))


@dataclass(frozen=True, eq=False)
class LayerStack:
    """The layers of a pellet and the surfaces between them.

    Attributes
    ----------
    order : tuple of str
        Layer names in the order of `surfaces`.
    surfaces : tuple of Surface
        One more than layers: the outer face of the first layer, the interfaces, the outer face of the last.
    axis_mm : tuple of 2 floats
        The pellet axis (y, x) on the reference grid.
    radius_mm, voxel_size_mm : float
    separator : str
        The layer from which depth counts; layers on both sides have their near surface towards it.
    blur_fwhm_mm : float or None
        Full width at half maximum of the blur across the interfaces, voxel included.
    pair_covariances : mapping of str to (8, 8) array
        Layer name to the joint covariance of its two surfaces (near, far), where they were fitted together.
    warnings : tuple of str
    """

    order: tuple[str, ...]
    surfaces: tuple[Surface, ...]
    axis_mm: tuple[float, float]
    radius_mm: float
    voxel_size_mm: float
    separator: str = "separator"
    blur_fwhm_mm: float | None = None
    pair_covariances: Mapping[str, Float] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.surfaces) != len(self.order) + 1:
            raise InputError(
                f"stack: found {len(self.surfaces)} surfaces for {len(self.order)} layers, expected one more"
            )
        if len(set(self.order)) != len(self.order) or not self.order:
            raise InputError(f"stack: order {self.order} is empty or names a layer twice")
        if not (self.radius_mm > 0 and self.voxel_size_mm > 0):
            raise InputError(
                f"stack: radius {self.radius_mm} mm and voxel size {self.voxel_size_mm} mm must be positive"
            )
        steps = np.diff([surface.mean_height_mm(self.radius_mm) for surface in self.surfaces])
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise InputError(
                f"stack: surfaces at steps of {np.round(steps, 4).tolist()} mm; expected all of one sign"
            )

    def __getitem__(self, name: str) -> Layer:
        """Return a layer by its name."""
        if name not in self.order:
            raise InputError(f"layer '{name}': not in the stack; expected one of {', '.join(self.order)}")
        index = self.order.index(name)
        before_separator = self.separator in self.order and index < self.order.index(self.separator)
        near, far = (index + 1, index) if before_separator else (index, index + 1)
        return Layer(
            name,
            index + 1,
            self.surfaces[near],
            self.surfaces[far],
            self.radius_mm,
            self.voxel_size_mm,
            self.pair_covariances.get(name),
        )

    @property
    def layers(self) -> dict[str, Layer]:
        """All layers by name."""
        return {name: self[name] for name in self.order}

    @property
    def direction(self) -> int:
        """+1 where `order` runs along +z, −1 where it runs against it."""
        first, last = self.surfaces[0], self.surfaces[-1]
        return 1 if last.mean_height_mm(self.radius_mm) > first.mean_height_mm(self.radius_mm) else -1


def nominal_thickness(
    order: Sequence[str], thickness_mm: Mapping[str, float] | Sequence[float]
) -> tuple[float, ...]:
    """Line up the nominal thicknesses with the order of the layers.

    Raises
    ------
    InputError
        If a layer has no thickness, or one that is not a positive number.
    """
    if isinstance(thickness_mm, Mapping):
        missing = [name for name in order if name not in thickness_mm]
        if missing:
            raise InputError(
                f"thickness_mm: nothing for {', '.join(missing)}; expected one per layer of order"
            )
        values = [float(thickness_mm[name]) for name in order]
    else:
        values = [float(value) for value in thickness_mm]
    if len(values) != len(order):
        raise InputError(f"thickness_mm: found {len(values)} values for {len(order)} layers")
    if not all(np.isfinite(value) and value > 0 for value in values):
        raise InputError(f"thickness_mm: found {values}, expected positive millimetres")
    return tuple(values)
