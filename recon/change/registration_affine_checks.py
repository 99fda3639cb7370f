"""Does an affine registration agree with itself: backwards, and from either half of its mask."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.change.registration import Registration, mask_points
from deltamu.recon.change.registration_affine import AffineRegistration, refine_affine
from deltamu.recon.change.registration_checks import HalfMask, SelfCheck, SelfComparison
from deltamu.recon.change.resampling import resample
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


def check_affine(
    reference: Any,
    moving: Any,
    rigid: Registration,
    found: AffineRegistration,
    *,
    voxel_size_mm: float,
    mask: Any,
) -> SelfCheck:
    """Refine backwards, and on both halves of the mask, from the rigid motion on.

    Parameters
    ----------
    reference, moving, mask : (z, y, x) arrays
        As for `refine_affine`.
    rigid, found : Registration, AffineRegistration
        What `refine_affine` started from, and what it found on this mask.
    voxel_size_mm : float

    Returns
    -------
    SelfCheck
        As of `check_registration`.
    """
    points = mask_points(mask) * voxel_size_mm

    def backwards() -> SelfComparison:
        inverse = rigid.transform.inverse()
        center = rigid.transform.apply(np.asarray(rigid.transform.center_mm))
        about = inverse.about((float(center[0]), float(center[1]), float(center[2])))
        there = resample(
            mask, inverse, voxel_size_mm=voxel_size_mm, order=1, reference_shape=tuple(moving.shape)
        )
        there[~np.isfinite(there)] = 0
        start = replace(rigid, transform=about)
        back = refine_affine(moving, reference, start, voxel_size_mm=voxel_size_mm, mask=there)
        moved = found.transform.apply(points)
        return _compared(points, back.transform.apply(moved), (found, points), (back, moved), voxel_size_mm)

    def halves() -> SelfComparison:
        one, other = (
            refine_affine(reference, moving, rigid, voxel_size_mm=voxel_size_mm, mask=HalfMask(mask, parity))
            for parity in (0, 1)
        )
        first, second = (half.transform.apply(points) for half in (one, other))
        return _compared(first, second, (one, points), (other, points), voxel_size_mm)

    return SelfCheck(_unless_impossible(backwards), _unless_impossible(halves))


def _compared(
    first: Float,
    second: Float,
    one: tuple[AffineRegistration, Float],
    other: tuple[AffineRegistration, Float],
    voxel_size_mm: float,
) -> SelfComparison:
    apart = np.linalg.norm(first - second, axis=1) / voxel_size_mm
    worst = int(apart.argmax())
    variance = sum(found.deviation_mm(at[worst : worst + 1])[0] ** 2 for found, at in (one, other))
    return SelfComparison(float(apart[worst]), float(variance**0.5) / voxel_size_mm)


def _unless_impossible(compare: Callable[[], SelfComparison]) -> SelfComparison | None:
    """Nothing where half a mask is too little to register."""
    try:
        return compare()
    except InputError:
        return None
