"""What interpolation leaves of edges that are sharper than the voxels, voxel by voxel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from deltamu.recon.change.resampling import resample
from deltamu.recon.geometry import AffineTransform

Array = NDArray[np.float32]
# edge of the square within a slice over which the residue is averaged: noise goes, faces across the axis stay
AVERAGED_VOXELS = 3


def interpolation_residue(
    volume: Any,
    transform: AffineTransform,
    resampled: Array,
    *,
    voxel_size_mm: float,
    reference_shape: tuple[int, int, int] | None = None,
    z_range: tuple[int, int] | None = None,
) -> Array:
    """How far a resampled volume hangs on its interpolation: spline less linear, averaged within slices.

    Neither is right where an edge is sharper than the voxels. A second scan of the same state shows that this
    difference is what remains of its edges in the change, so it belongs into the error of a voxel.

    Parameters
    ----------
    volume, transform, voxel_size_mm, reference_shape, z_range
        As for `resample`.
    resampled : (z, y, x) float32 array
        What `resample` made of them with order 3.

    Returns
    -------
    (z, y, x) float32 array
        cm⁻¹, with its sign; 0 where a neighbour has no value.
    """
    linear = resample(
        volume, transform, voxel_size_mm=voxel_size_mm, reference_shape=reference_shape, z_range=z_range, order=1
    )  # fmt: skip
    np.subtract(resampled, linear, out=linear)
    np.nan_to_num(linear, copy=False)
    averaged: Array = uniform_filter(linear, (1, AVERAGED_VOXELS, AVERAGED_VOXELS))
    return averaged
