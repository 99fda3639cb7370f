"""Which voxels a registration listens to, and which differences it leaves out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deltamu.kernels.align import NormalEquations
from deltamu.kernels.warp import warp
from deltamu.recon.change.gauss_newton import Motion
from deltamu.recon.change.registration_pyramid import Level

Array = NDArray[np.float32]
Float = NDArray[np.float64]

# edge of the cube over which gradient energy is averaged, and how far above the noise it must stand
_NEIGHBOURHOOD = 7
_NOISE_FACTOR = 2.0
# outer edge of a cubic shell, half of which is left out inside
_SHELL = 11
# a spline passes on 0.27 of a step from voxel to voxel: half a per cent this far from a voxel without value
_SPLINE_REACH = 4


def noise_energy(equations: NormalEquations) -> float:
    """Mean square gradient of the reference that the moving volume does not share."""
    excess = np.trace((equations.hessian - equations.cross)[:3, :3])
    return max(float(excess), 0.0) / max(equations.robust_weight, 1e-30)


def structure_weights(level: Level, noise: float) -> Array:
    """Share of the reference's gradient energy around each voxel that is not noise.

    The noise of a gradient times the noise of a residual, summed over a large homogeneous region, would drown
    what the edges tell.

    Parameters
    ----------
    level : Level
    noise : float
        Mean square of the gradient that noise alone makes, per voxel of the full resolution.

    Returns
    -------
    (z, y, x) float32 array
        0 to 1.
    """
    energy = ndimage.uniform_filter(_gradient_energy(level), _NEIGHBOURHOOD, mode="nearest")
    weights: Array = 1 - np.float32(_NOISE_FACTOR * noise) / np.maximum(energy, np.float32(1e-30))
    return np.maximum(weights, 0, out=weights)


def laid_over(level: Level, motion: Float) -> Level:
    """Resample the moving volume on the reference's grid by a cubic spline, at a motion (3, 4) in full voxels.

    What it does not reach has no weight, nor what lies so near to its end that a small motion leads out of it.
    """
    known = np.isfinite(level.moving)
    nz, ny, nx = level.reference.shape
    affine = level.index_affine(motion)
    weights = level.weights * _reached(affine, level)
    if known.all():
        moving = warp(level.moving, affine, output_shape=(nz, ny, nx), order=3)
    else:
        filled = np.where(known, level.moving, np.float32(level.moving[known].mean()))
        moving = warp(filled, affine, output_shape=(nz, ny, nx), order=3)
        near = np.where(
            ndimage.binary_erosion(known, iterations=_SPLINE_REACH), np.float32(0), np.float32(np.nan)
        )
        moving += warp(near, affine, output_shape=(nz, ny, nx))
        weights *= ndimage.binary_erosion(np.isfinite(moving), np.ones((3, 3, 3)))
    return replace(
        level, moving=moving, weights=weights, moving_start=level.reference_start, moving_sound=None
    )


def _reached(affine: Float, level: Level) -> NDArray[np.bool_]:
    """Whether each voxel of the reference lies in the sound part of the moving volume."""
    shape = level.reference.shape
    end = np.asarray(level.moving.shape) - 1
    first, last = (np.zeros(3), end) if level.moving_sound is None else level.moving_sound
    reached = np.empty(shape, bool)
    y, x = np.arange(shape[1])[:, None], np.arange(shape[2])[None, :]
    for z in range(shape[0]):
        inside = np.ones(shape[1:], bool)
        for row, low, high in zip(affine, first, last, strict=True):
            at = (row[1] * y + (row[0] * z + row[3])) + row[2] * x
            inside &= (at >= low) & (at <= high)
        reached[z] = inside
    return reached


def matched_gain(level: Level, motion: Motion, cut: float) -> float:
    """Gain that makes the moving volume follow the reference, whatever the noise of either.

    Both are compared with an instrument: the mean of the reference over a shell around each voxel; its noise
    is independent of the voxel's own (instrumental variables: Reiersol, Econometrica 9, 1941). Least squares
    would lower the gain by the noise of the moving volume, and a wrong gain looks like a shift where the mask
    ends beside an edge.
    """
    moving = moved(level, motion)
    weights = kept_weights(level, motion, moving, cut)
    moving[weights == 0] = 0
    reference = np.where(weights > 0, level.reference, np.float32(0))
    instrument = _shell_mean(np.where(np.isfinite(level.reference), level.reference, np.float32(0)))
    total = weights.sum(dtype=float)
    if total <= 0:
        return motion.gain
    instrument -= np.float32(np.einsum("ijk,ijk->", weights, instrument, dtype=float) / total)
    instrument *= weights
    with_reference = np.einsum("ijk,ijk->", instrument, reference, dtype=float)
    with_moving = np.einsum("ijk,ijk->", instrument, moving, dtype=float)
    same_sign = with_moving * with_reference > 0
    return float(with_reference / with_moving) if same_sign else motion.gain


def moved(level: Level, motion: Motion) -> Array:
    """Read the moving volume on the reference's grid, linearly."""
    nz, ny, nx = level.reference.shape
    affine = level.index_affine(motion.affine)
    if level.moving.shape == level.reference.shape and np.array_equal(affine, np.eye(3, 4)):
        return level.moving.copy()
    return warp(level.moving, affine, output_shape=(nz, ny, nx))


def kept_weights(level: Level, motion: Motion, moving: Array, cut: float) -> Array:
    """Mask weight times Tukey's biweight of the residual; 0 where either volume is unknown."""
    residual = np.float32(motion.gain) * moving
    residual += np.float32(motion.offset)
    residual -= level.reference
    residual /= np.float32(cut)
    weights = np.maximum(1 - np.square(residual, out=residual), 0)
    np.square(weights, out=weights)
    weights *= level.weights
    weights[np.isnan(weights)] = 0
    kept: Array = weights
    return kept


def _shell_mean(values: Array) -> Array:
    outer, inner = _SHELL**3, (_SHELL // 2) ** 3
    shell: Array = ndimage.uniform_filter(values, _SHELL, mode="nearest")
    shell *= np.float32(outer / (outer - inner))
    core = ndimage.uniform_filter(values, _SHELL // 2, mode="nearest")
    core *= np.float32(inner / (outer - inner))
    shell -= core
    return shell


def _gradient_energy(level: Level) -> Array:
    values = np.where(np.isfinite(level.reference), level.reference, np.float32(0))
    energy = np.zeros_like(values)
    for axis, spacing in enumerate(level.factors):
        ahead, here, behind = ([slice(None)] * 3 for _ in range(3))
        ahead[axis], here[axis], behind[axis] = slice(2, None), slice(1, -1), slice(None, -2)
        slope = (values[tuple(ahead)] - values[tuple(behind)]) * np.float32(0.5 / spacing)
        energy[tuple(here)] += slope * slope
    return energy
