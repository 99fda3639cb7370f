"""Memory of a registration."""

# arrays of the part that a mask covers, full resolution: both volumes, weights, and what the fit derives from them
FINE_ARRAYS = 15
# both volumes and the mask at half resolution and coarser
COARSE_ARRAYS = 3
# voxels around a mask on each side: rim, smoothing, gradients, small corrections
MARGIN = 12


def register_cost(shape: tuple[int, int, int], *, mask_shape: tuple[int, int, int] | None = None) -> int:
    """Bytes that `register` needs beside volumes and mask, which it reads a few planes at a time.

    Parameters
    ----------
    shape : (z, y, x)
        Of the volumes.
    mask_shape : (z, y, x), optional
        Voxels that the mask covers along each axis; everything when there is none.
    """
    covered = mask_shape or shape
    nz, ny, nx = (min(n + 2 * MARGIN, most) for n, most in zip(covered, shape, strict=True))
    coarse = COARSE_ARRAYS * shape[0] * shape[1] * shape[2] // 7
    return 4 * (FINE_ARRAYS * nz * ny * nx + coarse)
