"""Centre of rotation from small trial slices: the right one has the least absolute attenuation, the least entropy."""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

from deltamu.kernels.gridding import grid_backproject, plan_gridding
from deltamu.recon.geometry import view_weights
from deltamu.recon.preprocess.center_heights import Float, HeightCenters, Heights, refine_minimum

Float32 = NDArray[np.float32]
ERROR_PX = 0.15
ENTROPY_ERROR_PX = 0.3
ENTROPY_BINS = 128
COARSE_COLUMNS = 128
FINE_COLUMNS = 320
MOST_VIEWS = 240
FINE_REACH = 8
COARSE_TRIALS = 64
COARSE_HEIGHTS = 3
FIELD_RADIUS = 0.45


def centers_from_trials(heights: Heights) -> tuple[HeightCenters, HeightCenters]:
    """Reconstruct each height with several centres; a wrong centre adds streaks, positive and negative.

    The scores are the mean absolute attenuation, and the entropy of the grey values, which streaks spread:
    T. Donath, F. Beckmann, A. Schreyer, J. Opt. Soc. Am. A 23 (2006) 1048. A coarse search over the whole
    window by the first, then a finer one around its best.
    """
    sinograms, angles, bin_ = _binned(heights, COARSE_COLUMNS)
    strongest = np.sort(np.argsort(-np.ptp(sinograms, axis=2).mean(axis=0), kind="stable")[:COARSE_HEIGHTS])
    coarse = (np.ascontiguousarray(sinograms[:, strongest]), angles, bin_)
    low, high = heights.search
    step = (high - low) / (COARSE_TRIALS - 1)
    tried = low + step * np.arange(COARSE_TRIALS)
    best = tried[np.argmin(_scores(coarse, tried)[0].sum(axis=0))]  # type: ignore[arg-type]
    fine = _binned(heights, FINE_COLUMNS)
    fine_step = min(step / 2, 0.5 * fine[2])
    around = best + fine_step * np.arange(-FINE_REACH, FINE_REACH + 1)
    around = around[(around >= low) & (around <= high)]
    absolute, entropy = _scores(fine, around)
    return (
        _least("trial slices", absolute, around, fine_step, ERROR_PX),
        _least("entropy of slices", entropy, around, fine_step, ENTROPY_ERROR_PX),
    )


def _least(name: str, curves: Float, around: Float, step: float, error: float) -> HeightCenters:
    """Centres at which the score of every height is least."""
    centers = [around[0] + step * refine_minimum(c, int(np.argmin(c))) for c in curves]
    depth = (curves.max(axis=1) - curves.min(axis=1)) / np.maximum(np.abs(curves.mean(axis=1)), 1e-30)
    return HeightCenters(name, np.asarray(centers), depth**2, error)


def _binned(heights: Heights, columns: int) -> tuple[Float32, Float, int]:
    """Sinograms (angle, height, column) with fewer views and at most so many columns; angles; the bin."""
    bin_ = max(-(-heights.sinograms.shape[2] // columns), 1)
    views = heights.sinograms[:, :: max(-(-len(heights.angles) // MOST_VIEWS), 1)]
    angles = heights.angles[:: max(-(-len(heights.angles) // MOST_VIEWS), 1)]
    whole = views.shape[2] // bin_ * bin_
    binned = views[:, :, :whole].reshape(*views.shape[:2], -1, bin_).mean(axis=3)
    return np.ascontiguousarray(binned.transpose(1, 0, 2), np.float32), angles, bin_


def _scores(binned: tuple[Float32, Float, int], centers: Float) -> tuple[Float, Float]:
    """Mean absolute attenuation inside the field, and entropy of the grey values there, (height, center)."""
    sinograms, angles, bin_ = binned
    columns = sinograms.shape[2]
    plan = plan_gridding(2 * columns, angles, columns - 0.5, size=columns, weights=view_weights(angles))
    ramp = np.arange(plan.padded // 2 + 1) / plan.padded
    slices = grid_backproject(plan, _moved(sinograms, (centers - (bin_ - 1) / 2) / bin_), ramp)
    y, x = np.mgrid[:columns, :columns] - (columns - 1) / 2
    field = x**2 + y**2 < (FIELD_RADIUS * columns) ** 2
    inside = slices[:, field]
    shape = (sinograms.shape[1], len(centers))
    absolute = np.abs(inside).mean(axis=1, dtype=np.float64).reshape(shape)
    return absolute, _entropies(inside.reshape(*shape, -1))


def _entropies(values: Float32) -> Float:
    """Entropy of the histogram of (height, center, voxel) values, with the same bins for all centres of a height."""
    found = np.empty(values.shape[:2])
    for height, trials in enumerate(values):
        low, high = np.quantile(trials, [0.001, 0.999])
        for index, trial in enumerate(trials):
            count = np.histogram(trial, ENTROPY_BINS, (float(low), float(high) + 1e-12))[0]
            share = count[count > 0] / max(count.sum(), 1)
            found[height, index] = -np.sum(share * np.log(share))
    return found


def _moved(sinograms: Float32, centers: Float) -> Float32:
    """Move each centre to the middle, so that all trials share one geometry.

    Returns
    -------
    (angle, height * center, 2 column) float32 array
        Edges are repeated, and meet on the far side of the padding.
    """
    views, heights, columns = sinograms.shape
    before = columns // 2
    padded = np.pad(sinograms, ((0, 0), (0, 0), (before, columns - before)), mode="edge")
    spectrum = np.fft.rfft(padded, axis=2)[:, :, None]
    shift = columns - 0.5 - (centers + before)
    phase = np.exp(-2j * np.pi * shift[:, None] * np.fft.rfftfreq(2 * columns)).astype(np.complex64)
    moved = irfft(spectrum * phase, 2 * columns, axis=3, overwrite_x=True)
    return np.ascontiguousarray(moved.reshape(views, heights * len(centers), 2 * columns), np.float32)
