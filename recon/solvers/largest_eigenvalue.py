"""Largest eigenvalue of AᵀwA, from which solvers take their steps."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

Array = NDArray[np.float32]


def largest_eigenvalue(
    normal: Callable[[Array], Array], start: Array, *, tolerance: float = 5e-3, most: int = 40
) -> float:
    """Largest eigenvalue of a symmetric operator without negative ones.

    Parameters
    ----------
    normal : callable
        Applies the operator to a volume.
    start : (z, y, x) float32 array
        Not orthogonal to the eigenvector: a constant never is, where no entry is negative.
    tolerance : float
        Residual of the eigenvector over the eigenvalue; the value itself is closer, unless others lie as close.
    most : int
        Applications.

    Returns
    -------
    float
        Never above the eigenvalue, but for rounding.

    Notes
    -----
    C. Lanczos, J. Res. Nat. Bur. Stand. 45 (1950). Slices that are alike have eigenvalues close to each other, between
    which power iteration takes hundreds of steps to decide.
    """
    vector, before = start / np.float32(_norm(start)), np.zeros_like(start)
    diagonal: list[float] = []
    beside: list[float] = []
    value = 0.0
    for _ in range(most):
        image = normal(vector)
        diagonal.append(_dot(image, vector))
        image = image - np.float32(diagonal[-1]) * vector
        if beside:
            image -= np.float32(beside[-1]) * before
        length = _norm(image)
        values, vectors = eigh_tridiagonal(diagonal, beside)
        value = float(values[-1])
        if length * abs(vectors[-1, -1]) <= tolerance * value:
            break
        beside.append(length)
        vector, before = image / np.float32(length), vector
    return value


def _dot(first: Array, second: Array) -> float:
    return float(
        sum(float(np.sum(np.multiply(a, b, dtype=float))) for a, b in zip(first, second, strict=True))
    )


def _norm(array: Array) -> float:
    return float(np.sqrt(_dot(array, array)))
