"""Where a registration starts: the best of several rotations about z and a shift from phase correlation."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.kernels.align import NormalEquations
from deltamu.recon.change.gauss_newton import Fit, Method, Motion, fit_level, fit_roughly
from deltamu.recon.change.registration_pyramid import Level
from deltamu.recon.geometry import RigidTransform

Float = NDArray[np.float64]

_STEP_DEG = 1.5
_KEEP = 3
# starts that end closer than this, in voxels of the coarsest level, are one
_SAME = 0.25


def starting_points(level: Level, initial: Motion, *, search_deg: float, held: Float) -> list[Motion]:
    """Motions to try: turned about z up to `search_deg` either way, and shifted by phase correlation.

    A cell is nearly a cylinder: from a wrong rotation about its axis hardly a slope leads to the right one.
    """
    if search_deg <= 0:
        return [initial]
    count = int(np.ceil(search_deg / _STEP_DEG))
    turns = [0] if _holds_turn(held) else range(-count, count + 1)
    starts = [_turned(initial, turn * _STEP_DEG) for turn in turns]
    shift = phase_correlation(level) * level.spacing
    starts.append(replace(initial, translation=initial.translation + shift))
    return starts


def best_starts(level: Level, starts: list[Motion], method: Method) -> list[Motion]:
    """Fit every start on a level and return the few best that differ, best first."""
    if len(starts) == 1:
        return [fit_level(level, starts[0], method).motion]
    total = float(level.weights.sum(dtype=float))
    fits = [fit_roughly(level, start, method) for start in starts]
    fits.sort(key=lambda fit: agreement(fit, total), reverse=True)
    kept: list[Motion] = []
    for fit in fits:
        if all(other.distance(fit.motion) > _SAME * float(level.spacing.max()) for other in kept):
            kept.append(fit.motion)
    return kept[:_KEEP]


def agreement(fit: Fit, mask_weight: float) -> float:
    """Correlation coefficient over the mask, less where much of the mask left the moving volume."""
    return correlation(fit.equations) * fit.equations.weight / mask_weight


def correlation(equations: NormalEquations) -> float:
    """Correlation coefficient of the two volumes over the mask."""
    spread = (equations.var_reference * equations.var_moving) ** 0.5
    return equations.covariance / spread if spread > 0 else 0.0


def phase_correlation(level: Level) -> Float:
    """Whole-voxel shift (z, y, x) of the moving volume (Kuglin and Hines 1975); zero where shapes differ."""
    if level.reference.shape != level.moving.shape:
        return np.zeros(3)
    spectra = [fft.rfftn(_windowed(volume)) for volume in (level.reference, level.moving)]
    product = spectra[1] * np.conj(spectra[0])
    size = np.abs(product)
    peak = fft.irfftn(product / (size + 1e-3 * size.max() + 1e-30), level.reference.shape)
    index = np.array(np.unravel_index(int(peak.argmax()), peak.shape))
    shape = np.array(peak.shape)
    shift: Float = np.where(index > shape // 2, index - shape, index).astype(float)
    return shift


def _windowed(volume: NDArray[np.float32]) -> Float:
    finite = np.isfinite(volume)
    values = np.where(finite, volume, 0.0)
    values = np.where(finite, values - values[finite].mean(), 0.0)
    for axis, size in enumerate(volume.shape):
        shape = [1, 1, 1]
        shape[axis] = size
        values = values * np.hanning(size + 2)[1:-1].reshape(shape)
    return values


def _turned(motion: Motion, degrees: float) -> Motion:
    return replace(motion, rotation=motion.rotation @ RigidTransform((degrees, 0.0, 0.0)).matrix)


def _holds_turn(held: Float) -> bool:
    return bool(held.size and np.abs(held[3]).max() > 0.5)
