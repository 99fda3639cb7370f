"""Filtered back-projection of cone-beam views from a circle: Feldkamp, Davis and Kress."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.backproject import Storage
from deltamu.kernels.rays import ray_maps
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import view_weights
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.solvers.direct import (
    Progress,
    Shape,
    back_project,
    back_project_cost,
    batch_views,
    check_grid,
    check_projections,
    check_storage,
    filter_for,
)
from deltamu.recon.solvers.fbp import check_padding, per_cm
from deltamu.recon.solvers.filters import check_filter
from deltamu.recon.solvers.orbit import Orbit, find_orbit
from deltamu.recon.solvers.redundancy import (
    FULL_TURN,
    check_full_turn,
    offset_weights,
    scanned_arc,
    short_scan_weights,
)

Array = NDArray[np.float32]
Float = NDArray[np.float64]
# a lean of the axis along the beam beyond this leaves errors above those of the method itself
LARGEST_LEAN_DEG = 2.0
# bytes of a ray while its weight is found: its direction and what it is multiplied by, three float64 each
RAY_BYTES = 120


def fdk(
    line_integrals: NDArray[np.floating],
    geometry: ScanGeometry,
    *,
    volume_shape: Shape,
    voxel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    padding: str = "zero",
    offset_detector: bool = False,
    storage: Storage = "float32",
    progress: Progress | None = None,
) -> Array:
    """Reconstruct attenuation coefficients from views of a cone beam on a circle.

    Parameters
    ----------
    line_integrals : (view, row, column) array
        -ln of the transmission.
    geometry : ScanGeometry
        Cone beam. The views may make a full turn, or any part of it from half a turn plus the fan on: then
        rays that are seen twice share their weight.
    volume_shape : (z, y, x)
    voxel_size_mm : float
    filter, cutoff, padding
        As in `fbp`.
    offset_detector : bool
        The detector stands to one side of the axis and the views make a full turn: each half of the sample is
        seen from the other side.
    storage : {"float32", "float16"}
        As in `fbp_direct`.
    progress : callable, optional
        Called with (views done, views).

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹; exact in the plane of the source, and the worse the further from it. NaN where a voxel lies beyond
        the first or last detector row in some view.

    Raises
    ------
    InputError
        If an argument is out of range, the counts do not match, a value is not finite, or the source does not
        go round far enough on a circle that the detector faces.

    References
    ----------
    L. A. Feldkamp, L. C. Davis, J. W. Kress, "Practical cone-beam algorithm", Journal of the Optical Society of
    America A 1 (1984) 612.
    """
    if not geometry.is_cone:
        raise InputError("geometry: found parallel rays, expected a cone beam; use `fbp` or `fbp_direct`")
    views = check_projections(line_integrals, geometry)
    check_filter(filter, cutoff)
    check_grid(volume_shape, voxel_size_mm)
    check_padding(padding)
    check_storage(storage)
    orbit = find_orbit(geometry)
    check_circle(geometry, orbit)
    fan = _Fan(geometry, orbit, offset_detector)
    matrices = geometry.index_matrices(voxel_size_mm)
    views_filter = filter_for(
        matrices,
        geometry.detector_shape,
        volume_shape,
        name=filter,
        cutoff=cutoff,
        repeat_edge=padding == "edge",
    )
    xp = array_module(views)
    return back_project(
        lambda chosen: views[chosen[0] : chosen[-1] + 1] * xp.asarray(fan.weights(chosen)),
        orbit,
        matrices,
        views_filter,
        volume_shape,
        progress,
        xp=xp,
        storage=storage,
    )


def fdk_cost(geometry: ScanGeometry, *, volume_shape: Shape, voxel_size_mm: float) -> Cost:
    """Working memory of `fdk` beyond the line integrals and the result; it does not grow with the slices."""
    rows, columns = geometry.detector_shape
    matrices = geometry.index_matrices(voxel_size_mm)
    views_filter = filter_for(matrices, (rows, columns), volume_shape, name="ram-lak", cutoff=1.0)
    weighing = RAY_BYTES * batch_views(views_filter, rows, len(geometry)) * rows * columns
    filtering = back_project_cost(views_filter, rows, len(geometry)).fixed_bytes
    return Cost(0, max(weighing, filtering))


def check_circle(geometry: ScanGeometry, orbit: Orbit) -> None:
    """Raise InputError unless the detector faces the axis, in all views from the same distance."""
    toward, sources = geometry.directions, geometry.sources_mm
    lean = np.degrees(np.arcsin(np.max(np.abs(toward @ orbit.axis))))
    if lean > LARGEST_LEAN_DEG + 1e-6:
        raise InputError(
            f"geometry: the axis leans by {lean:.1f} degrees along the beam, expected at most {LARGEST_LEAN_DEG}"
        )
    across = np.eye(3) - toward[:, :, None] * toward[:, None, :]
    middle = np.linalg.lstsq(across.sum(axis=0), np.einsum("vij,vj->i", across, sources), rcond=None)[0]
    missed = np.linalg.norm(np.einsum("vij,vj->vi", across, middle - sources), axis=1).max()
    if missed > orbit.pixel_size_mm:
        raise InputError(
            f"geometry: the rays normal to the detector miss the rotation axis by {missed:.3g} mm, expected to meet it"
        )
    depth = geometry.matrices[:, 2] @ [*middle, 1.0]
    if np.abs(depth - 1).max() > 1e-3:
        raise InputError(
            f"geometry: w is {depth[np.argmax(np.abs(depth - 1))]:.4g} at the rotation axis, expected 1 in all views"
        )


@dataclass(frozen=True, eq=False)
class _Fan:
    """What each ray counts: its obliquity, its share of the turn, and how often it is seen."""

    geometry: ScanGeometry
    orbit: Orbit
    offset_detector: bool

    def weights(self, chosen: NDArray[np.intp]) -> Array:
        """(view, row, column) factors of the chosen views."""
        rows, columns = (np.arange(n, dtype=np.float64) for n in self.geometry.detector_shape)
        cosines, fan = self._rays(chosen, rows, columns)
        scale = per_cm(self.orbit.pixel_size_mm)
        return np.asarray(scale * cosines * self._shares(chosen, fan), np.float32)

    def _shares(self, chosen: NDArray[np.intp], fan: Float) -> Float:
        if self._arc == FULL_TURN:
            shares = view_weights(self.orbit.angles, circle=FULL_TURN)[chosen, None, None]
            return shares * offset_weights(fan, self._edges) if self.offset_detector else shares
        redundancy = short_scan_weights(self._angles[chosen, None, None], fan, self._arc)
        return redundancy * _steps(self._angles)[chosen, None, None]

    @cached_property
    def _scan(self) -> tuple[Float, float]:
        if self.offset_detector:
            check_full_turn(self.orbit.angles)
        counted, arc = scanned_arc(self.orbit.angles)
        needed = np.pi + 2 * max(abs(edge) for edge in self._edges)
        if arc < needed:
            raise InputError(
                f"geometry: found views over {np.degrees(arc):.1f} degrees, expected at least {np.degrees(needed):.1f}, "
                "half a turn and the fan; columns that only see air can be cut off (`geometry.cropped`)"
            )
        return counted, arc

    @property
    def _angles(self) -> Float:
        return self._scan[0]

    @property
    def _arc(self) -> float:
        return self._scan[1]

    @cached_property
    def _edges(self) -> tuple[float, float]:
        """Fan angles of the detector's outer edges that are closest to the axis on each side."""
        rows, columns = self.geometry.detector_shape
        _, fan = self._rays(
            np.arange(len(self.geometry)),
            np.array([-0.5, rows - 0.5]),
            np.array([-0.5, columns - 0.5]),
        )
        left, right = fan[..., 0], fan[..., 1]
        if left.mean() < right.mean():
            return float(left.max()), float(right.min())
        return float(left.min()), float(right.max())

    def _rays(self, chosen: NDArray[np.intp], rows: Float, columns: Float) -> tuple[Float, Float]:
        """Cosine to the normal of the detector, and fan angle about the axis; both (view, row, column)."""
        maps = ray_maps(self.geometry.matrices[chosen])[:, 1, :, None, None]
        ray = maps[:, 0] + rows[:, None, None] * maps[:, 2] + columns[:, None] * maps[:, 1]
        toward = self.geometry.directions[chosen, None, None]
        along = np.sum(ray * toward, axis=-1)
        aside = np.sum(ray * np.cross(self.orbit.axis, toward), axis=-1)
        return along / np.linalg.norm(ray, axis=-1), np.arctan2(aside, along)


def _steps(angles: Float) -> Float:
    """Part of the arc that each view stands for: half the distance of its neighbours, shared by equal views."""
    places, inverse, count = np.unique(np.round(angles, 9), return_inverse=True, return_counts=True)
    edges = np.concatenate([places[:1], (places[1:] + places[:-1]) / 2, places[-1:]])
    return np.asarray((np.diff(edges) / count)[inverse])
