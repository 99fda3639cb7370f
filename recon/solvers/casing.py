"""Line integrals of what stands around a cylindrical sample: reconstructed, cut out, projected again."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.project import project
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import MM_PER_CM, check_views, fbp

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# how far the blur of the sample's rim reaches beyond it
MARGIN_PX = 2.0


def casing_line_integrals(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    center: float,
    pixel_size_mm: float,
    radius_mm: float,
) -> Array:
    """Line integrals of everything outside a cylinder about the axis of the sample.

    Whatever error the line integrals through a round sample have (hardening, starvation) stays inside the
    sample when they are reconstructed, so that its casing comes out right and can be left out of a correction.

    Parameters
    ----------
    line_integrals : (angle, row, column) array
        Of the sample in its casing, air beside it.
    angles : (angle,) array
        Radians.
    center : float
        Column of the rotation axis.
    pixel_size_mm : float
    radius_mm : float
        Of the sample; its axis is the centre of mass of every row.

    Returns
    -------
    (angle, row, column) float32 array

    Raises
    ------
    InputError
        If an argument is out of range, or the cylinder does not fit into the field.
    """
    views, theta = check_views(line_integrals, angles, center=center, pixel_size_mm=pixel_size_mm)
    columns = views.shape[2]
    radius_px = radius_mm / pixel_size_mm + MARGIN_PX
    if not 0 < radius_px < columns / 2:
        raise InputError(
            f"radius_mm: found {radius_mm}, expected less than half the field ({columns / 2 * pixel_size_mm:g} mm)"
        )
    volume = fbp(views, theta, center=center, pixel_size_mm=pixel_size_mm, filter="hann")
    axes = _axes_px(views, theta, center)
    y, x = (np.arange(columns) - (columns - 1) / 2 for _ in range(2))
    for slice_, (y_axis, x_axis) in zip(volume, axes, strict=True):
        distance = np.hypot(y[:, None] - y_axis, x[None, :] - x_axis)
        slice_ *= np.clip(distance - radius_px + 0.5, 0, 1).astype(np.float32)
    return project(volume, theta, center=center, columns=columns, voxel_size=pixel_size_mm / MM_PER_CM)


def _axes_px(views: Array, angles: Float, center: float) -> Float:
    """Centre of mass (y, x) of every row, pixels from the middle of the volume."""
    position = np.arange(views.shape[2]) - center
    mass = views.sum(axis=2, dtype=np.float64)
    moment = (views * position.astype(np.float32)).sum(axis=2, dtype=np.float64)
    seen = np.divide(moment, mass, out=np.zeros_like(mass), where=mass > 0)
    terms = np.column_stack([np.sin(angles), np.cos(angles)])
    axes = np.linalg.lstsq(terms, seen, rcond=None)[0]
    return np.asarray(axes.T)
