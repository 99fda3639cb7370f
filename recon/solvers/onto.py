"""A moved scan reconstructed straight onto the grid of its reference."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.scan_geometry import ScanGeometry, parallel_geometry
from deltamu.recon.solvers.direct import Progress, Shape, fbp_direct, fbp_direct_cost
from deltamu.recon.solvers.fbp import check_views, fbp, fbp_cost
from deltamu.recon.solvers.operators import aligned_views

Array = NDArray[np.float32]


def fbp_onto(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    transform: RigidTransform,
    *,
    center: float,
    pixel_size_mm: float,
    reference_shape: Shape | None = None,
    z_range: tuple[int, int] | None = None,
    first_row: int = 0,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    padding: str = "zero",
    weights: NDArray[np.floating] | None = None,
    progress: Progress | None = None,
) -> Array:
    """Reconstruct a registered scan where its reference stands: `fbp` and `resample` without interpolating twice.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        -ln of the transmission of the moved scan, or of some of its rows.
    angles : (angle,) array
        Radians, as in `fbp`.
    transform : RigidTransform
        Reference to moving coordinates, as `register` finds it between volumes of `fbp`.
    center, pixel_size_mm
        As in `fbp`; voxels are as large as pixels, on both grids.
    reference_shape : (z, y, x), optional
        That of the moved scan's own volume when not given.
    z_range : (start, stop), optional
        Planes of the reference that are wanted; all when not given.
    first_row : int
        Row of the detector that the given rows start with.
    filter, cutoff, padding, weights
        As in `fbp`.
    progress : callable, optional
        Called with (done, all) of the views or the rows.

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹; NaN where a voxel lies beyond the rows in some view.

    Raises
    ------
    InputError
        If an argument is out of range, the counts do not match, or a value is not finite.

    Notes
    -----
    Where the motion keeps every slice in its row (a turn about the axis, a shift across it), by gridding with
    other angles and a centre for each view; otherwise by direct back-projection.
    """
    views, theta = check_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    geometry, shape = seen_from_reference(
        views.shape, theta, transform, center, pixel_size_mm, reference_shape, z_range, first_row
    )
    options: dict[str, Any] = {
        "filter": filter,
        "cutoff": cutoff,
        "padding": padding,
        "weights": weights,
        "progress": progress,
    }
    aligned = aligned_views(geometry, shape, pixel_size_mm) if shape[1] == shape[2] else None
    if aligned is None:
        return fbp_direct(views, geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm, **options)
    turned, centers, _ = aligned
    return fbp(views, turned, center=centers, pixel_size_mm=pixel_size_mm, size=shape[1], **options)


def fbp_onto_cost(
    views_shape: tuple[int, int, int],
    angles: NDArray[np.floating],
    transform: RigidTransform,
    *,
    center: float,
    pixel_size_mm: float,
    reference_shape: Shape | None = None,
    z_range: tuple[int, int] | None = None,
    first_row: int = 0,
) -> Cost:
    """Working memory of `fbp_onto` beyond the line integrals, of `views_shape` (angle, row, column), and the result."""
    theta = np.asarray(angles, np.float64)
    geometry, shape = seen_from_reference(
        views_shape, theta, transform, center, pixel_size_mm, reference_shape, z_range, first_row
    )
    if shape[1] == shape[2] and aligned_views(geometry, shape, pixel_size_mm) is not None:
        return fbp_cost(views_shape[0], views_shape[2], size=shape[1])
    return fbp_direct_cost(geometry, volume_shape=shape, voxel_size_mm=pixel_size_mm)


def seen_from_reference(
    views_shape: tuple[int, ...],
    angles: NDArray[np.float64],
    transform: RigidTransform,
    center: float,
    pixel_size_mm: float,
    reference_shape: Shape | None,
    z_range: tuple[int, int] | None,
    first_row: int,
) -> tuple[ScanGeometry, Shape]:
    """How the views see the wanted planes of the reference, and their shape; the arguments of `fbp_onto`."""
    rows, columns = views_shape[1:]
    z, y, x = reference_shape or (first_row + rows, columns, columns)
    start, stop = z_range or (0, z)
    if not 0 <= start < stop <= z:
        raise InputError(
            f"z_range: found {(start, stop)}, expected start < stop within the {z} planes of the reference"
        )
    axis = (columns - 1) / 2 * pixel_size_mm
    own = parallel_geometry(
        angles,
        detector_shape=(rows, columns),
        center=center,
        pixel_size_mm=pixel_size_mm,
        middle_mm=(first_row * pixel_size_mm, axis, axis),
        center_row=0.0,
    )
    planes = RigidTransform(translation_mm=(start * pixel_size_mm, 0.0, 0.0))
    return own.of_moved_volume(transform).of_moved_volume(planes), (stop - start, y, x)
