"""Zeroth moment: all that a view of a sample inside the field attenuates is the same at every angle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True)
class MomentReport:
    """How the mean line integral of the views varies with the angle.

    Attributes
    ----------
    excess : (angle,) array
        Mean line integral of a view minus the median over the views: what its dose is off by, −ln.
    spread_percent : float
        Standard deviation (robust) of the mean line integral, of its median.
    """

    excess: Float
    spread_percent: float


def moment_consistency(view_means: NDArray[np.floating]) -> MomentReport:
    """Compare the mean line integrals of the views, which a dose or scatter error changes and nothing else does.

    Parameters
    ----------
    view_means : (angle,) array
        Mean line integral of every view, over all rows and columns; the sample and its casing lie inside.

    Raises
    ------
    InputError
        If there are fewer than three views or a value is not finite.

    References
    ----------
    D. Ludwig, Comm. Pure Appl. Math. 19 (1966) 49; S. Helgason, Acta Math. 113 (1965) 153.
    """
    means = np.asarray(view_means, np.float64)
    if means.ndim != 1 or means.size < 3 or not np.all(np.isfinite(means)):
        raise InputError(
            f"view_means: found shape {means.shape}, expected finite means of at least three views"
        )
    middle = float(np.median(means))
    excess = means - middle
    spread = 1.4826 * float(np.median(np.abs(excess)))
    return MomentReport(excess, 100 * spread / abs(middle) if middle else float("inf"))


def moment_drift(view_means: NDArray[np.floating]) -> tuple[float, float]:
    """How much more the last tenth of the views attenuates than the first, of the median.

    Parameters
    ----------
    view_means : (angle,) array
        As for `moment_consistency`, in the order in which they were taken.

    Returns
    -------
    drift_percent, standard_error_percent : float
        The error from the scatter between neighbouring views, which a drift leaves alone.
    """
    moment_consistency(view_means)
    means = np.asarray(view_means, np.float64)
    part = max(means.size // 10, 1)
    middle = abs(float(np.median(means))) or float("inf")
    drift = float(means[-part:].mean() - means[:part].mean())
    steps = np.diff(means)
    scatter = 1.4826 * float(np.median(np.abs(steps - np.median(steps)))) / np.sqrt(2)
    return 100 * drift / middle, float(100 * scatter * np.sqrt(2 / part) / middle)
