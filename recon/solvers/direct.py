"""Filtered back-projection voxel by voxel, through any parallel geometry and onto any grid."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, array_module
from deltamu.kernels.backproject import Storage, add_views, homogeneous
from deltamu.recon.errors import InputError
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.solvers.fbp import check_padding, check_views, check_weights, per_cm
from deltamu.recon.solvers.filters import check_filter
from deltamu.recon.solvers.orbit import Orbit, find_orbit
from deltamu.recon.solvers.redundancy import FULL_TURN, OffsetDetector, check_full_turn
from deltamu.recon.solvers.view_filter import ViewFilter

Array = NDArray[np.float32]
Float = NDArray[np.float64]
Shape = tuple[int, int, int]
Progress = Callable[[int, int], None]
ROW_STEPS = 4  # samples per detector row where voxels are seen between rows
BATCH_BYTES = 64 << 20  # filtered views that wait for back-projection


def fbp_direct(
    line_integrals: NDArray[np.floating],
    geometry: ScanGeometry,
    *,
    volume_shape: Shape,
    voxel_size_mm: float,
    filter: str = "ram-lak",
    cutoff: float = 1.0,
    padding: str = "zero",
    weights: NDArray[np.floating] | None = None,
    offset_detector: bool = False,
    storage: Storage = "float32",
    progress: Progress | None = None,
) -> Array:
    """Reconstruct attenuation coefficients from parallel views of any geometry.

    The axis may lean or be turned in the image, single views may be shifted, and the volume may be that of
    another scan: with ``geometry.of_moved_volume(registration.transform)`` a moved sample is reconstructed
    straight onto the reference grid, without resampling a volume afterwards.

    Parameters
    ----------
    line_integrals : (view, row, column) array
        -ln of the transmission.
    geometry : ScanGeometry
        Parallel beam.
    volume_shape : (z, y, x)
    voxel_size_mm : float
    filter, cutoff, padding
        As in `fbp`.
    weights : (view,) array, optional
        Weight of each view, pi in total; from the spacing of the views by default.
    offset_detector : bool
        As in `fbp`.
    storage : {"float32", "float16"}
        How filtered views are held while voxels read them; sums have 32 bits either way. 16 bits are faster on a
        GPU and change a voxel by about 1e-5 of the largest (1e-4 at most, on a head phantom).
    progress : callable, optional
        Called with (views done, views).

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹; NaN where a voxel lies beyond the first or last detector row in some view.

    Raises
    ------
    InputError
        If an argument is out of range, the counts do not match, or a value is not finite.

    Notes
    -----
    Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3. Views are sampled more
    finely before they are interpolated, and the transfer function of the interpolation is divided out. Where the
    axis appears turned by more than a few tenths of a degree, the first and last rows lack data to filter with.
    An axis that leans along the beam wants the views of a full turn, and leaves a cone of frequencies about it
    unmeasured whose half angle is the lean.
    """
    if geometry.is_cone:
        raise InputError("geometry: found a cone beam, expected parallel rays; use `fdk`")
    views = check_projections(line_integrals, geometry)
    xp = array_module(views)
    check_filter(filter, cutoff)
    check_grid(volume_shape, voxel_size_mm)
    check_padding(padding)
    check_storage(storage)
    orbit = find_orbit(geometry)
    if offset_detector:
        check_full_turn(orbit.angles)
    circle = FULL_TURN if offset_detector else np.pi
    shares = check_weights(weights, orbit.angles, circle=circle) * orbit.inclination
    factors = (shares * per_cm(orbit.pixel_size_mm)).astype(np.float32)[:, None, None]
    offset = OffsetDetector(geometry, orbit.slopes) if offset_detector else None

    def weighted(chosen: NDArray[np.intp]) -> Array:
        part = views[chosen[0] : chosen[-1] + 1] * xp.asarray(factors[chosen])
        result: Array = part if offset is None else part * xp.asarray(offset(chosen))
        return result

    matrices = geometry.index_matrices(voxel_size_mm)
    views_filter = filter_for(
        matrices,
        geometry.detector_shape,
        volume_shape,
        name=filter,
        cutoff=cutoff,
        repeat_edge=padding == "edge",
    )
    return back_project(
        weighted, orbit, matrices, views_filter, volume_shape, progress, xp=xp, storage=storage
    )


def fbp_direct_cost(geometry: ScanGeometry, *, volume_shape: Shape, voxel_size_mm: float) -> Cost:
    """Working memory of `fbp_direct` beyond the line integrals and the result; it does not grow with the slices."""
    matrices = geometry.index_matrices(voxel_size_mm)
    views_filter = filter_for(matrices, geometry.detector_shape, volume_shape, name="ram-lak", cutoff=1.0)
    return back_project_cost(views_filter, geometry.detector_shape[0], len(geometry))


def filter_for(
    matrices: Float,
    detector_shape: tuple[int, int],
    volume_shape: Shape,
    *,
    name: str,
    cutoff: float,
    repeat_edge: bool = False,
) -> ViewFilter:
    """Choose what the filtered views must cover and whether they are read between rows."""
    seen = _corners_seen(matrices, volume_shape)
    columns = detector_shape[1]
    before = max(0, int(np.ceil(-seen[..., 0].min())))
    after = max(0, int(np.ceil(seen[..., 0].max())) - columns + 1)
    if max(before, after) > 8 * max(columns, *volume_shape):
        raise InputError(
            "geometry: the volume is seen far beside the detector; expected centre and voxels to fit"
        )
    steps = 1 if _slices_are_rows(matrices, volume_shape) else ROW_STEPS
    return ViewFilter(columns, before, after, name, cutoff, repeat_edge, steps)


def back_project(
    weighted: Callable[[NDArray[np.intp]], Array],
    orbit: Orbit,
    matrices: Float,
    views_filter: ViewFilter,
    volume_shape: Shape,
    progress: Progress | None,
    *,
    xp: ModuleType = np,
    storage: Storage = "float32",
) -> Array:
    """Filter and sum views batch by batch; `weighted` returns the chosen views, which are neighbours, as arrays of `xp`."""
    volume: Array = xp.zeros(volume_shape, np.float32)
    # on homogeneous positions, so that parallel and cone beam change alike
    change = np.vstack([views_filter.change, [0.0, 0.0, 1.0]])
    finer = (change @ homogeneous(matrices))[:, : matrices.shape[1]]
    margin = 0.5 * views_filter.change[1, 1]
    done, count, batch = 0, len(matrices), 1
    while done < count:
        chosen = np.arange(done, min(done + batch, count))
        filtered = views_filter(weighted(chosen), orbit.slopes[chosen])
        add_views(volume, filtered, finer[chosen], row_margin=margin, storage=storage)
        done += len(chosen)
        batch = max(1, BATCH_BYTES // filtered[0].nbytes)
        # before the next ones take as much memory
        del filtered
        if progress is not None:
            progress(done, count)
    return volume


def back_project_cost(views_filter: ViewFilter, rows: int, views: int) -> Cost:
    """Working memory of `back_project`, beyond views and volume: a batch of filtered views and their making."""
    batch = batch_views(views_filter, rows, views)
    weighted = 4 * batch * rows * views_filter.columns
    return Cost(0, weighted + views_filter.working_bytes(rows, batch))


def batch_views(views_filter: ViewFilter, rows: int, views: int) -> int:
    """Views that are filtered together."""
    return min(views, max(1, BATCH_BYTES // views_filter.result_bytes(rows)))


def check_projections(line_integrals: NDArray[np.floating], geometry: ScanGeometry) -> Array:
    """Return the views as float32, or raise InputError where they do not fit the geometry."""
    expected = (len(geometry), *geometry.detector_shape)
    if np.shape(line_integrals) != expected:
        raise InputError(f"line_integrals: found shape {np.shape(line_integrals)}, expected {expected}")
    views, _ = check_views(line_integrals, np.zeros(expected[0]), center=0.0, pixel_size_mm=1.0)
    for index, view in enumerate(views):
        if not np.isfinite(view).all():
            raise InputError(
                f"line_integrals: view {index} holds values that are not finite; mask or repair them first"
            )
    return views


def check_storage(storage: str) -> None:
    """Raise InputError unless it is one of the two."""
    if storage not in ("float32", "float16"):
        raise InputError(f"storage: found {storage!r}, expected 'float32' or 'float16'")


def check_grid(volume_shape: Shape, voxel_size_mm: float) -> None:
    """Raise InputError unless shape and voxel size are positive."""
    if len(volume_shape) != 3 or min(volume_shape) < 1:
        raise InputError(f"volume_shape: found {volume_shape}, expected three positive sizes (z, y, x)")
    if not (np.isfinite(voxel_size_mm) and voxel_size_mm > 0):
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive length in millimetres")


def _corners_seen(matrices: Float, volume_shape: Shape) -> Float:
    """(view, corner, 2) detector positions of the volume's corners."""
    ends = [(0, n - 1) for n in volume_shape[::-1]]
    corners = np.stack([*(c.ravel() for c in np.meshgrid(*ends)), np.ones(8)])
    seen = (matrices @ corners).transpose(0, 2, 1)
    if matrices.shape[1] == 2:
        return np.asarray(seen)
    if seen[..., 2].min() <= 0:
        raise InputError("geometry: part of the volume lies behind the source; expected a smaller volume")
    return np.asarray(seen[..., :2] / seen[..., 2:])


def _slices_are_rows(matrices: Float, volume_shape: Shape) -> bool:
    """Whether every voxel is seen in the middle of a row, to a thousandth."""
    if matrices.shape[1] == 3:
        return False
    extent = np.array([*volume_shape[::-1], 1.0])
    rows = matrices[:, 1]
    return bool(np.max(np.abs(rows - np.round(rows[:1])) @ extent) < 1e-3)
