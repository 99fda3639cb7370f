"""The bins of a depth profile: which voxels belong to which depth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.layer_stack import Layer
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
RADIAL_STEP_PX = 0.5


@dataclass(frozen=True, eq=False)
class ProfilePlan:
    """Which voxels belong to which bin.

    Attributes
    ----------
    layer : Layer
    edges_mm : (bin + 1,) array
        Depths between the bins; one of them is 0.
    radius_mm : float
        Voxels nearer to the pellet axis count.
    fwhm_mm : float
        Resolution: what is nearer than this to a surface is not `eroded`.
    shape : tuple of 3 ints
        Of the whole volume.
    normalised : bool
        As in `depth_of`.
    rotation_axis : tuple of 2 floats
        Rotation axis of the scan (y, x) in voxels, about which rings lie.
    """

    layer: Layer
    edges_mm: Float
    radius_mm: float
    fwhm_mm: float
    shape: tuple[int, int, int]
    normalised: bool
    rotation_axis: tuple[float, float]

    def __post_init__(self) -> None:
        if self.edges_mm.size < 2 or np.any(np.diff(self.edges_mm) <= 0):
            raise InputError("profile: expected ascending edges of at least one bin")
        if not (self.radius_mm > 0 and self.fwhm_mm > 0):
            raise InputError(
                f"profile: radius {self.radius_mm} mm and FWHM {self.fwhm_mm} mm, expected positive"
            )

    @property
    def bins(self) -> int:
        """Number of bins."""
        return self.edges_mm.size - 1

    @property
    def depth_mm(self) -> Float:
        """Middle of every bin."""
        middle: Float = 0.5 * (self.edges_mm[1:] + self.edges_mm[:-1])
        return middle

    @property
    def eroded(self) -> NDArray[np.bool_]:
        """Bins further than one FWHM inside both surfaces."""
        slack = 1e-6
        deep = self.edges_mm[:-1] >= self.fwhm_mm - slack
        inside: NDArray[np.bool_] = deep & (
            self.edges_mm[1:] <= self.layer.thickness_mm - self.fwhm_mm + slack
        )
        return inside

    @property
    def within(self) -> NDArray[np.bool_]:
        """Bins whose middle lies inside the layer."""
        inside: NDArray[np.bool_] = (self.depth_mm > 0) & (self.depth_mm < self.layer.thickness_mm)
        return inside

    @property
    def radii_px(self) -> Float:
        """Radii about the rotation axis at which ring weights are kept."""
        voxel = self.layer.voxel_size_mm
        offset = [c / voxel - axis for c, axis in zip(self.layer.axis_mm, self.rotation_axis, strict=True)]
        reach = float(np.hypot(offset[0], offset[1])) + self.radius_mm / voxel
        return np.arange(int(np.ceil(reach / RADIAL_STEP_PX)) + 2, dtype=np.float64) * RADIAL_STEP_PX

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the profile should know."""
        found = []
        voxel = self.layer.voxel_size_mm
        if voxel > 0.5 * self.fwhm_mm + 1e-9:
            found.append(
                f"voxels of {1e3 * voxel:.1f} µm are larger than half the resolution of "
                f"{1e3 * self.fwhm_mm:.0f} µm: neighbouring depths mix in a bin"
            )
        if not self.eroded.any():
            found.append(
                f"layer '{self.layer.name}' of {1e3 * self.layer.thickness_mm:.0f} µm has no bin further "
                f"than one FWHM ({1e3 * self.fwhm_mm:.0f} µm) from both surfaces"
            )
        return tuple(found)


def plan_profile(
    layer: Layer,
    shape: tuple[int, int, int],
    *,
    fwhm_mm: float,
    bin_mm: float | None = None,
    radius_fraction: float = 0.8,
    radius_mm: float | None = None,
    margin_mm: float | None = None,
    normalised: bool = False,
    rotation_axis: tuple[float, float] | None = None,
) -> ProfilePlan:
    """Lay out the bins of a depth profile.

    Parameters
    ----------
    fwhm_mm : float
        Resolution, full width at half maximum, voxel included.
    bin_mm : float, optional
        One voxel when not given.
    radius_fraction, radius_mm : float
        Averaging region: a fraction of the pellet's radius, or a radius.
    margin_mm : float, optional
        How far the bins go beyond both surfaces; two FWHM when not given.
    rotation_axis : tuple of 2 floats, optional
        (y, x) in voxels; the middle of the slices when not given.
    """
    width = layer.voxel_size_mm if bin_mm is None else bin_mm
    if not width > 0:
        raise InputError(f"bin_mm: found {bin_mm}, expected a positive width")
    margin = 2 * fwhm_mm if margin_mm is None else margin_mm
    before = int(np.ceil(margin / width - 1e-9))
    after = int(np.ceil((layer.thickness_mm + margin) / width - 1e-9))
    middle = ((shape[1] - 1) / 2, (shape[2] - 1) / 2)
    return ProfilePlan(
        layer,
        np.arange(-before, after + 1, dtype=np.float64) * width,
        layer.radius_mm * radius_fraction if radius_mm is None else radius_mm,
        fwhm_mm,
        shape,
        normalised,
        rotation_axis or middle,
    )


def plan_integral(layer: Layer, shape: tuple[int, int, int], *, fwhm_mm: float) -> ProfilePlan:
    """Lay out the bins that hold all of a layer's change: the pellet and two FWHM beyond on every side."""
    return plan_profile(layer, shape, fwhm_mm=fwhm_mm, radius_mm=layer.radius_mm + 2 * fwhm_mm)
