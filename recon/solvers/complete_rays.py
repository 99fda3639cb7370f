"""Which rays see nothing beyond the first and the last slice of a volume."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.rays import project_rays
from deltamu.recon.scan_geometry import ScanGeometry
from deltamu.recon.solvers.operators import Shape, aligned_views


def complete_rays(geometry: ScanGeometry, *, volume_shape: Shape, voxel_size_mm: float) -> NDArray[np.bool_]:
    """Rays that do not leave a volume through its first or last slice.

    The sample goes on beyond a field of view or a slab; with a tilted pose, rays in the outermost rows run partly
    there, and what they have lost there would be put into the volume. As weights, these take such rays out.

    Parameters
    ----------
    geometry : ScanGeometry
        As it sees the volume.
    volume_shape : (z, y, x)
    voxel_size_mm : float

    Returns
    -------
    (view, row, column) bool array
    """
    if aligned_views(geometry, volume_shape, voxel_size_mm) is not None:
        return np.ones((len(geometry), *geometry.detector_shape), np.bool_)
    z, y, x = volume_shape
    beyond = np.zeros((z + 2, y, x), np.float32)
    beyond[[0, -1]] = 1
    matrices = geometry.index_matrices(voxel_size_mm, start=(-1, 0, 0))
    lost = project_rays(beyond, matrices, detector_shape=geometry.detector_shape)
    within: NDArray[np.bool_] = lost == 0
    return within
