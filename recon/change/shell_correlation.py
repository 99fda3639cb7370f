"""Resolution of a volume from two halves of its data: Fourier shell correlation."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
# the taper of the box: this part of every side, so that its faces leave no cross in the transform
TAPER = 0.25
LEAST_SIDE = 8


@dataclass(frozen=True, eq=False)
class ShellCorrelation:
    """Correlation of two halves against spatial frequency.

    Attributes
    ----------
    frequency_per_mm : (shell,) array
        Middle of the shells, cycles per mm.
    correlation : (shell,) array
        −1 to 1.
    threshold : (shell,) array
        Half-bit curve.
    resolution_mm : float or None
        Full period at which the correlation first falls below the threshold; None when it is above it up to
        the Nyquist frequency, so that the voxel limits.
    voxel_size_mm : float
    """

    frequency_per_mm: Float
    correlation: Float
    threshold: Float
    resolution_mm: float | None
    voxel_size_mm: float


def fourier_shell_correlation(
    first: NDArray[np.floating], second: NDArray[np.floating], *, voxel_size_mm: float, axes: str = "zyx"
) -> ShellCorrelation:
    """Correlate two reconstructions of one object from separate data, shell by shell in frequency.

    Parameters
    ----------
    first, second : (z, y, x) arrays
        A box of the object from each half, finite everywhere; its faces are tapered here.
    voxel_size_mm : float
    axes : {"zyx", "yx", "z"}
        Shells in three dimensions, rings within slices (averaged over them), or along the axis alone.

    Returns
    -------
    ShellCorrelation
        Against the half-bit threshold of a half set. What the two halves share (open beam, detector gains)
        correlates although it is noise: the resolution is then stated too fine.

    Raises
    ------
    InputError
        If the boxes differ, are smaller than 8 along an axis of the shells, hold values that are not finite,
        or do not vary.

    References
    ----------
    Van Heel and Schatz, J. Struct. Biol. 151 (2005) 250: half-bit threshold.
    """
    chosen = _checked_axes(first, second, voxel_size_mm, axes)
    a, b = (_spectrum(box, chosen) for box in (first, second))
    shells = min(first.shape[axis] for axis in chosen) // 2
    index = _shell_index(first.shape, chosen, shells)
    cross, power_a, power_b, count = (
        _over_shells(values, index, shells)
        for values in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2, np.ones(a.shape))
    )
    correlation = cross / np.sqrt(np.maximum(power_a * power_b, np.finfo(float).tiny))
    threshold = half_bit_threshold(count * _free_fraction(chosen))
    frequency = np.arange(1, shells + 1) / (2 * shells * voxel_size_mm)
    return ShellCorrelation(
        frequency, correlation, threshold, _crossing(frequency, correlation - threshold), voxel_size_mm
    )


def half_bit_threshold(count: Float) -> Float:
    """Correlation of two halves at which the whole holds half a bit of information per voxel.

    Parameters
    ----------
    count : (shell,) array
        Independent Fourier coefficients of a shell.

    References
    ----------
    Van Heel and Schatz (2005), equation 17.
    """
    root = np.sqrt(np.maximum(count, 1.0))
    threshold: Float = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    return np.minimum(threshold, 1.0)


def _checked_axes(
    first: NDArray[np.floating], second: NDArray[np.floating], voxel_size_mm: float, axes: str
) -> tuple[int, ...]:
    if axes not in ("zyx", "yx", "z"):
        raise InputError(f"axes: found '{axes}', expected 'zyx', 'yx' or 'z'")
    if first.ndim != 3 or first.shape != second.shape:
        raise InputError(
            f"halves: found shapes {first.shape} and {second.shape}, expected one (z, y, x) shape"
        )
    if not voxel_size_mm > 0:
        raise InputError(f"voxel_size_mm: found {voxel_size_mm}, expected a positive number")
    chosen = tuple("zyx".index(axis) for axis in axes)
    for axis in chosen:
        if first.shape[axis] < LEAST_SIDE:
            raise InputError(
                f"halves: {first.shape[axis]} voxels along {'zyx'[axis]}, expected at least {LEAST_SIDE}; take a larger box"
            )
    for name, box in (("first", first), ("second", second)):
        if not np.all(np.isfinite(box)):
            raise InputError(f"{name}: holds values that are not finite; take a box inside the object")
        if np.ptp(box) == 0:
            raise InputError(f"{name}: is constant; take a box that shows structure")
    return chosen


def _spectrum(box: NDArray[np.floating], axes: tuple[int, ...]) -> NDArray[np.complex128]:
    values = box - box.mean(axis=axes, keepdims=True, dtype=np.float64)
    for axis in axes:
        values = values * _tukey(box.shape[axis]).reshape(_along(axis))
    spectrum: NDArray[np.complex128] = fft.fftn(values, axes=axes, workers=-1)
    return spectrum


def _along(axis: int) -> tuple[int, ...]:
    """Shape that lays a vector along one of three axes."""
    return tuple(-1 if i == axis else 1 for i in range(3))


def _tukey(count: int) -> Float:
    """Flat in the middle, cosine towards both ends."""
    position = (np.arange(count) + 0.5) / count
    edge = np.minimum(position, 1 - position)
    window: Float = np.where(edge < TAPER, 0.5 - 0.5 * np.cos(np.pi * edge / TAPER), 1.0)
    return window


def _shell_index(shape: tuple[int, ...], axes: tuple[int, ...], shells: int) -> NDArray[np.int64]:
    """Shell of every coefficient: 0 is the mean, `shells` the Nyquist frequency, one more all beyond."""
    squared = np.zeros((1, 1, 1))
    for axis in axes:
        squared = squared + (np.fft.fftfreq(shape[axis]) * 2 * shells).reshape(_along(axis)) ** 2
    radius = np.broadcast_to(np.sqrt(squared), shape)
    result: NDArray[np.int64] = np.minimum(np.rint(radius), shells + 1).astype(np.int64)
    return result


def _over_shells(values: NDArray[Any], index: NDArray[np.int64], shells: int) -> Float:
    """Sum over the coefficients of shells 1 to `shells`."""
    total = np.bincount(index.ravel(), np.ravel(values), minlength=shells + 2)
    return np.asarray(total[1 : shells + 1], np.float64)


def _free_fraction(axes: tuple[int, ...]) -> float:
    """Independent part of the coefficients: real input halves them, the taper keeps this part per axis."""
    squared = _tukey(4096) ** 2
    kept_per_axis = float(np.mean(squared) ** 2 / np.mean(squared**2))
    return 0.5 * kept_per_axis ** len(axes)


def _crossing(frequency: Float, above: Float) -> float | None:
    """Period where a curve first becomes negative, between the shells beside it."""
    below = np.flatnonzero(above < 0)
    if below.size == 0:
        return None
    i = int(below[0])
    if i == 0:
        return float(1 / frequency[0])
    part = above[i - 1] / (above[i - 1] - above[i])
    return float(1 / (frequency[i - 1] + part * (frequency[i] - frequency[i - 1])))
