"""The window that spreads a sample over a Cartesian grid, and the grid it is made for."""

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels import _cpu

WIDTH: int = _cpu.GRIDDING_WIDTH
OVERSAMPLING = 1.25


def grid_points(size: int) -> int:
    """Points along each side of the grid for an image of `size` voxels."""
    return even_smooth(max(int(np.ceil(OVERSAMPLING * size)), 2 * WIDTH))


def beatty_beta(oversampling: float) -> float:
    """Return the shape of the Kaiser-Bessel window that aliases least, Beatty et al. 2005, equation 5."""
    return float(np.pi * np.sqrt((WIDTH / oversampling) ** 2 * (oversampling - 0.5) ** 2 - 0.8))


def window_table(beta: float) -> NDArray[np.float32]:
    """Return the window at the WIDTH grid points under it, for every bin of the distance to its edge."""
    edge = np.arange(_cpu.GRIDDING_BINS + 1)[:, None] / _cpu.GRIDDING_BINS
    position = 2 * (edge + np.arange(WIDTH)) / WIDTH - 1
    inside = np.maximum(1 - position**2, 0)
    return np.ascontiguousarray(np.where(inside > 0, np.i0(beta * np.sqrt(inside)), 0), np.float32)


def correction(size: int, points: int, beta: float) -> NDArray[np.float32]:
    """Return the reciprocal of the window's transform; the sign alternates because the grid's origin is its middle."""
    voxel = np.arange(size) - size // 2
    argument = np.sqrt((beta**2 - (np.pi * WIDTH * voxel / points) ** 2).astype(complex))
    transform = WIDTH * np.real(np.sinc(1j * argument / np.pi))
    return np.ascontiguousarray((1 - 2 * (voxel % 2)) / transform, np.float32)


def even_smooth(at_least: int) -> int:
    """Return the smallest even product of 2, 3 and 5 that is not below `at_least`."""
    candidate = max(2, at_least + at_least % 2)
    while not _is_smooth(candidate):
        candidate += 2
    return candidate


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1
