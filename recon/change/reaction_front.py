"""A saturating reaction front: what slow transport makes of a reaction that runs to completion.

Linear kinetics let the reaction go on wherever it began. Where the material is used up, the reaction moves on
instead, and leaves a front behind it: full on the side that is supplied, empty beyond.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Limit = Literal["ions", "electrons"]
# level, position and width
FRONT_PARAMETERS = 3
# of the layer: a front that is wider reaches both faces, and the reaction profile describes it
LARGEST_WIDTH = 0.25
# of the distance of the bins: what is narrower cannot be told from a step
LEAST_WIDTH_BINS = 0.25


@dataclass(frozen=True)
class FrontFit:
    """A front from one side.

    Attributes
    ----------
    limit : {"ions", "electrons"}
        From the separator or from the collector.
    position, position_standard_error : float
        Relative depth of its middle (0 separator, 1 collector).
    width, width_standard_error : float
        Of the logistic function, in relative depth.
    level, level_standard_error : float
        Δμ behind the front, cm⁻¹.
    rms_residual : float
        cm⁻¹.
    chi_square : float
        Sum of squared residuals over their variances.
    """

    limit: Limit
    position: float
    position_standard_error: float
    width: float
    width_standard_error: float
    level: float
    level_standard_error: float
    rms_residual: float
    chi_square: float


def reaction_front(x: NDArray[np.floating], position: float, width: float, limit: Limit = "ions") -> Float:
    """Part of the material that has reacted at relative depth x, behind a logistic front.

    Raises
    ------
    InputError
        If the width is not above 0, the position no number, or the limit unknown.

    References
    ----------
    Doyle, Fuller and Newman, J. Electrochem. Soc. 140 (1993) 1526: fronts through porous electrodes whose
    material is used up, where transport is slow.
    """
    if not (np.isfinite(width) and width > 0):
        raise InputError(f"width: found {width}, expected a number above 0")
    if not np.isfinite(position):
        raise InputError(f"position: found {position}, expected a number")
    if limit not in ("ions", "electrons"):
        raise InputError(f"limit: found {limit!r}, expected 'ions' or 'electrons'")
    ahead = (np.asarray(x, np.float64) - position) / width
    # tanh does not overflow
    return np.asarray(0.5 - 0.5 * np.tanh((0.5 if limit == "ions" else -0.5) * ahead))


def fit_front(x: Float, mean: Float, whiten: Float, limit: Limit) -> FrontFit | None:
    """Fit level, position and width of a front.

    Parameters
    ----------
    x, mean : (bin,) arrays
        Relative depths, ascending, and means in cm⁻¹.
    whiten : (bin, bin) array
        Turns residuals into independent ones of variance 1.

    Returns
    -------
    FrontFit or None
        None where the front has to stand outside the bins: what they show is no front then.
    """
    low = np.array([x[0], np.log(LEAST_WIDTH_BINS * float(np.mean(np.diff(x))))])
    high = np.array([x[-1], np.log(LARGEST_WIDTH)])
    if not np.all(low < high):
        return None
    target = whiten @ mean

    def residual(position_and_log_width: Float) -> Float:
        shape = whiten @ _shape(x, position_and_log_width, limit)
        return np.asarray(target - shape * (shape @ target) / max(float(shape @ shape), 1e-300))

    trials = [
        np.array([p, w]) for p in np.linspace(low[0], high[0], 17) for w in np.linspace(low[1], high[1], 6)
    ]
    costs = [float(np.sum(residual(trial) ** 2)) for trial in trials]
    start = np.clip(trials[int(np.argmin(costs))], low + 1e-6, high - 1e-6)
    found = least_squares(residual, start, bounds=(low, high), x_scale=[0.1, 0.5])
    if min(found.x[0] - low[0], high[0] - found.x[0]) < 1e-3:
        return None
    return _summary(x, mean, whiten, limit, found.x)


def _shape(x: Float, position_and_log_width: Float, limit: Limit) -> Float:
    return reaction_front(
        x, float(position_and_log_width[0]), float(np.exp(position_and_log_width[1])), limit
    )


def _summary(x: Float, mean: Float, whiten: Float, limit: Limit, found: Float) -> FrontFit:
    shape = _shape(x, found, limit)
    white = whiten @ shape
    level = float(white @ (whiten @ mean) / (white @ white))
    residual = mean - level * shape
    cost = float(np.sum((whiten @ residual) ** 2))
    errors = _errors(x, whiten, limit, found, level) * np.sqrt(
        max(cost / max(x.size - FRONT_PARAMETERS, 1), 1.0)
    )
    width, rms = float(np.exp(found[1])), float(np.sqrt(np.mean(residual**2)))
    level_error, position_error, log_width_error = (float(error) for error in errors)
    return FrontFit(
        limit, float(found[0]), position_error, width, width * log_width_error, level, level_error, rms, cost
    )


def _errors(x: Float, whiten: Float, limit: Limit, found: Float, level: float) -> Float:
    """Standard errors of level, position and logarithm of the width."""
    step = 1e-5
    slopes = [
        level * (_shape(x, found + move, limit) - _shape(x, found - move, limit)) / (2 * step)
        for move in step * np.eye(2)
    ]
    jacobian = whiten @ np.stack([_shape(x, found, limit), *slopes], axis=1)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    return np.asarray(np.sqrt(np.maximum(np.diag(covariance), 0.0)))
