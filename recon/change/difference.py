"""The change of the attenuation between two states, voxel by voxel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError

Array = Any


@dataclass(frozen=True, eq=False)
class Change:
    """moving − reference on one grid.

    Attributes
    ----------
    delta_mu : (z, y, x) float32 array
        cm⁻¹; NaN where either state has no value.
    sigma : (z, y, x) float32 array or None
        Standard deviation of `delta_mu`, cm⁻¹.
    z_score : (z, y, x) float32 array or None
        delta_mu / sigma; NaN where sigma is 0 or unknown.
    missing : int
        Voxels that are NaN in `delta_mu`.
    """

    delta_mu: Array
    sigma: Array | None
    z_score: Array | None
    missing: int

    def __post_init__(self) -> None:
        for name in ("sigma", "z_score"):
            array = getattr(self, name)
            if array is not None and array.shape != self.delta_mu.shape:
                raise InputError(
                    f"change: {name} has shape {array.shape}, expected as delta_mu {self.delta_mu.shape}"
                )


def difference(
    reference: Array,
    moving: Array,
    *,
    sigma_reference: Array | float | None = None,
    sigma_moving: Array | float | None = None,
) -> Change:
    """Subtract two registered states.

    Parameters
    ----------
    reference, moving : (z, y, x) float32 arrays
        cm⁻¹ on one grid; NaN where there is no value. Slabs of them give slabs of the result.
    sigma_reference, sigma_moving : arrays that broadcast, or floats, optional
        Standard deviation of a voxel of each, cm⁻¹; give both or none. The noises are taken as independent.

    Returns
    -------
    Change
        Of the array library that came in.

    Raises
    ------
    InputError
        If shapes do not match, only one sigma is given, or a sigma is negative.
    """
    xp = array_module(reference, moving)
    reference, moving = xp.asarray(reference), xp.asarray(moving)
    if reference.shape != moving.shape:
        raise InputError(
            f"difference: reference has shape {reference.shape}, moving {moving.shape}; "
            "expected one grid (resample the moving volume first)"
        )
    if (sigma_reference is None) != (sigma_moving is None):
        raise InputError(
            "difference: only one of sigma_reference and sigma_moving was given, expected both or none"
        )
    delta = xp.subtract(moving, reference, dtype=xp.float32)
    missing = int(xp.count_nonzero(xp.isnan(delta)))
    if sigma_reference is None or sigma_moving is None:
        return Change(delta, None, None, missing)
    sigma = xp.hypot(_checked_sigma(xp, sigma_reference, delta), _checked_sigma(xp, sigma_moving, delta))
    sigma = xp.array(xp.broadcast_to(sigma, delta.shape))
    with np.errstate(divide="ignore", invalid="ignore"):
        z_score = delta / sigma
    z_score[~(sigma > 0)] = xp.nan
    return Change(delta, sigma, z_score, missing)


def _checked_sigma(xp: Any, sigma: Array | float, delta: Array) -> Array:
    sigma = xp.asarray(sigma, dtype=xp.float32)
    try:
        xp.broadcast_shapes(sigma.shape, delta.shape)
    except ValueError:
        raise InputError(f"sigma: shape {sigma.shape} does not fit the volume {delta.shape}") from None
    if bool(xp.any(sigma < 0)):
        raise InputError("sigma: found negative values, expected standard deviations in cm⁻¹")
    return sigma
