"""What a stripe filter took away: how strong it is, and how much of it belongs to the object."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import to_host
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]

# edges of the object within so many columns may have been smeared
REACH_COLUMNS = 2
SUSPICIOUS_SHARE = 0.1


@dataclass(frozen=True)
class StripeAudit:
    """Comparison of sinograms before and after a stripe filter.

    Attributes
    ----------
    removed_rms : float
        Of the mean over angles of what was removed, in line integral.
    object_share : float
        Part of its variance that follows the object: what shifted copies of the mean projection explain, or
        what neighbouring rows have in common; gain errors do neither.
    warning : str
        Empty when nothing points to damage.
    """

    removed_rms: float
    object_share: float
    warning: str


def audit_stripes(before: NDArray[np.floating], after: NDArray[np.floating]) -> StripeAudit:
    """Say how much of what a filter removed correlates with the object.

    A gain error belongs to one pixel: it has nothing to do with the edges of the object, nor with the row
    beside it. A layer or an edge that stays at its column does.

    Parameters
    ----------
    before, after : (angle, row, column) arrays
        Line integrals; numpy or cupy, of which their means over the angles go to the host.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if before.shape != after.shape or before.ndim != 3:
        raise InputError(
            f"after: found shape {after.shape}, before {before.shape}; expected (angle, row, column)"
        )
    if before is after:
        return StripeAudit(0.0, 0.0, "")
    projection: Float = to_host(after.mean(axis=0, dtype=np.float64))
    removed: Float = to_host(before.mean(axis=0, dtype=np.float64)) - projection
    rms = float(np.sqrt(np.mean(removed**2)))
    if rms < 1e-9:
        return StripeAudit(rms, 0.0, "")
    share = max(_explained(removed, projection), _common_to_rows(removed))
    warning = ""
    if share > SUSPICIOUS_SHARE:
        warning = (
            f"stripes: {100 * share:.0f} % of what the filter removed follows the object (edges that stay at their "
            "column, flat layers parallel to the beam); attenuation there may be smeared: compare with stripes = 'off'"
        )
    return StripeAudit(rms, share, warning)


def _explained(removed: Float, projection: Float) -> float:
    """Share of the variance that the differences of shifted mean projections explain, beyond chance."""
    reach = REACH_COLUMNS
    columns = projection.shape[1]
    if columns < 8 * reach:
        return 0.0
    inner = slice(reach, columns - reach)
    terms = [
        (projection[:, reach + s : columns - reach + s] - projection[:, inner]).ravel()
        for s in range(-reach, reach + 1)
        if s != 0
    ]
    design = np.column_stack([*terms, np.ones(terms[0].size)])
    target = removed[:, inner].ravel()
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    chance = len(terms) / target.size
    return float(np.clip(1 - np.mean(residual**2) / np.var(target) - chance, 0, 1))


def _common_to_rows(removed: Float) -> float:
    """Covariance of rows two apart (the light of the scintillator joins neighbours) over the variance."""
    if len(removed) < 6:
        return 0.0
    centred = removed - removed.mean(axis=1, keepdims=True)
    return float(np.clip(np.mean(centred[2:] * centred[:-2]) / np.mean(centred**2), 0, 1))
