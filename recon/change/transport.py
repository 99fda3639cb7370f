"""Is the reaction limited by ions or by electrons? Shapes of one profile, compared with their mirror images.

With linear kinetics and one of the two conductors much better than the other, the reaction rate at relative
depth x is j = ν cosh(ν(1 − x)) / sinh ν where ions are slow (the reaction crowds at the separator), and its
mirror image where electrons are (it crowds at the collector). ν² is the ratio of the resistance of transport
through the layer to that of the reaction. Where the material is used up the reaction moves on as a front
instead, from the same side (`reaction_front`). Each hypothesis takes the better of its two shapes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from deltamu.recon.change.profile import DepthProfile
from deltamu.recon.change.reaction_front import FRONT_PARAMETERS, FrontFit, Limit, fit_front
from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Shape = Literal["reaction", "front"]
LARGEST_NU = 60.0
LEAST_BINS = 4
# mean and ν
REACTION_PARAMETERS = 2
# difference of the information criterion from which one hypothesis is preferred (Burnham and Anderson 2002)
CLEAR_DIFFERENCE = 6.0
# a fit that leaves more than this part of the profile's own variation explains nothing
POOR_FIT = 0.5
# with position and width to choose, a front comes near any profile that falls to one side (a Gaussian maximum near
# the separator: 0.15 to 0.3 left), while it follows a true front through blur and curvature to a few hundredths
POOR_FRONT_FIT = 0.1
# of the layer
UNKNOWN_POSITION = 0.25


@dataclass(frozen=True)
class TransportFit:
    """The reaction profile of one hypothesis.

    Attributes
    ----------
    limit : {"ions", "electrons"}
    nu, nu_standard_error : float
        Root of the ratio of resistances; 0 is a uniform reaction.
    mean_delta_mu : float
        Mean of the fitted profile over the layer, cm⁻¹.
    rms_residual : float
        cm⁻¹.
    chi_square : float
        Sum of squared residuals over their variances.
    """

    limit: Limit
    nu: float
    nu_standard_error: float
    mean_delta_mu: float
    rms_residual: float
    chi_square: float


@dataclass(frozen=True)
class TransportComparison:
    """Both hypotheses side by side.

    Attributes
    ----------
    ions, electrons : TransportFit
        With linear kinetics.
    ions_front, electrons_front : FrontFit or None
        With fronts from the same sides; None where there are too few bins, or no front stands inside them.
    preferred : {"ions", "electrons"} or None
        None where neither is clearly better, or neither describes the profile.
    shape : {"reaction", "front"}
        The better shape of the better hypothesis.
    evidence : float
        Difference of the information criterion (electrons minus ions), each with its better shape: positive
        speaks for ions.
    explains : bool
        Whether a shape of the better hypothesis leaves less than half (reaction profile) or a tenth (front) of
        the rms variation of the profile.
    bins : int
    """

    ions: TransportFit
    electrons: TransportFit
    ions_front: FrontFit | None
    electrons_front: FrontFit | None
    preferred: Limit | None
    shape: Shape
    evidence: float
    explains: bool
    bins: int


def reaction_profile(x: NDArray[np.floating], nu: float, limit: Limit = "ions") -> Float:
    """Relative reaction rate at relative depth x (0 separator, 1 collector); its mean over the layer is 1.

    Raises
    ------
    InputError
        If ν is negative or the limit unknown.

    References
    ----------
    Newman and Tobias, J. Electrochem. Soc. 109 (1962) 1183: reaction profiles in porous electrodes.
    """
    if not (np.isfinite(nu) and nu >= 0):
        raise InputError(f"nu: found {nu}, expected a number of at least 0")
    if limit not in ("ions", "electrons"):
        raise InputError(f"limit: found {limit!r}, expected 'ions' or 'electrons'")
    depth = np.asarray(x, np.float64)
    away = depth if limit == "ions" else 1 - depth
    if nu < 1e-6:
        return np.ones_like(away)
    # cosh(ν(1−x))/sinh ν, written so that nothing overflows
    decay = np.exp(-nu * away) + np.exp(-nu * (2 - away))
    return np.asarray(nu * decay / (1 - np.exp(-2 * nu)))


def compare_transport(
    profile: DepthProfile, thickness_mm: float, *, covariance: Float | None = None
) -> TransportComparison:
    """Fit both hypotheses to a depth profile and say which one it prefers.

    Parameters
    ----------
    profile : DepthProfile
        The eroded bins are used, all inside the layer where fewer than four are eroded.
    thickness_mm : float
    covariance : (bin, bin) array, optional
        Of the means; by default the bins are independent, with their standard errors.

    Raises
    ------
    InputError
        If fewer than four bins have a value and an error.

    Notes
    -----
    Real profiles have more structure than any of the shapes, so the criterion is that of a fit with unknown
    scatter, n ln(chi-square): the preference does not grow by counting longer on a shape that all miss. What
    the parameters of a shape cost is Akaike's penalty for few data, 2k + 2k(k + 1)/(n − k − 1) with the scatter
    as one of the k (Burnham and Anderson, Model Selection and Multimodel Inference, 2002, section 2.4).
    Between two states whose fronts both stand inside the layer the change is a band, which looks the same
    whichever side the fronts came from: no preference is expected there.
    """
    chosen = profile.eroded if np.count_nonzero(profile.eroded) >= LEAST_BINS else profile.within
    chosen = chosen & np.isfinite(profile.mean) & (profile.standard_error > 0)
    count = int(np.count_nonzero(chosen))
    if count < LEAST_BINS:
        raise InputError(f"transport: found {count} bins inside the layer, expected at least {LEAST_BINS}")
    x, mean = profile.depth_mm[chosen] / thickness_mm, profile.mean[chosen]
    spread = np.diag(profile.standard_error[chosen] ** 2)
    if covariance is not None:
        spread = covariance[np.ix_(chosen, chosen)]
    whiten = np.linalg.inv(np.linalg.cholesky(spread))
    ions, electrons = (_hypothesis(x, mean, whiten, limit) for limit in ("ions", "electrons"))
    return _judge(ions, electrons, mean)


@dataclass(frozen=True)
class _Hypothesis:
    """The two shapes of one limit, and which of them is better."""

    reaction: TransportFit
    front: FrontFit | None
    criterion: float
    shape: Shape

    def explains(self, variation: float) -> bool:
        """Whether one of the shapes follows a profile of that rms variation."""
        front = self.front is not None and self.front.rms_residual <= POOR_FRONT_FIT * variation
        return front or self.reaction.rms_residual <= POOR_FIT * variation

    @property
    def determined(self) -> bool:
        """Whether the profile is more than a uniform reaction."""
        if self.shape == "front" and self.front is not None:
            return self.front.position_standard_error < UNKNOWN_POSITION
        return self.reaction.nu > 2 * self.reaction.nu_standard_error


def _hypothesis(x: Float, mean: Float, whiten: Float, limit: Limit) -> _Hypothesis:
    floor = 1e-12 * float(np.sum((whiten @ mean) ** 2))
    reaction = _fit(x, mean, whiten, limit)
    plain = _criterion(reaction.chi_square + floor, x.size, REACTION_PARAMETERS)
    # the penalty for few data needs two bins more than parameters
    front = fit_front(x, mean, whiten, limit) if x.size >= FRONT_PARAMETERS + 3 else None
    if front is None:
        return _Hypothesis(reaction, None, plain, "reaction")
    moved = _criterion(front.chi_square + floor, x.size, FRONT_PARAMETERS)
    return _Hypothesis(reaction, front, min(plain, moved), "front" if moved < plain else "reaction")


def _criterion(chi_square: float, count: int, parameters: int) -> float:
    """Akaike's criterion for few data and unknown scatter, which counts as a parameter."""
    k = parameters + 1
    # both hypotheses pay the same where the bins are too few for the correction
    correction = 2 * k * (k + 1) / (count - k - 1) if count > k + 1 else 0.0
    return count * float(np.log(chi_square)) + 2 * k + correction


def _judge(ions: _Hypothesis, electrons: _Hypothesis, mean: Float) -> TransportComparison:
    evidence = electrons.criterion - ions.criterion
    better = ions if evidence >= 0 else electrons
    explains = better.explains(float(np.std(mean)))
    clear = abs(evidence) >= CLEAR_DIFFERENCE and better.determined
    return TransportComparison(
        ions.reaction, electrons.reaction, ions.front, electrons.front,
        better.reaction.limit if clear and explains else None, better.shape, evidence, explains, mean.size,
    )  # fmt: skip


def _fit(x: Float, mean: Float, whiten: Float, limit: Limit) -> TransportFit:
    """Amplitude in closed form, ν by a bounded search of its logarithm."""
    target = whiten @ mean

    def amplitude_and_cost(nu: float) -> tuple[float, float]:
        shape = whiten @ reaction_profile(x, nu, limit)
        amplitude = float(shape @ target / (shape @ shape))
        return amplitude, float(np.sum((target - amplitude * shape) ** 2))

    grid = np.geomspace(0.05, LARGEST_NU, 40)
    start = int(np.argmin([amplitude_and_cost(nu)[1] for nu in grid]))
    low, high = grid[max(start - 1, 0)], grid[min(start + 1, grid.size - 1)]
    found = minimize_scalar(
        lambda t: amplitude_and_cost(float(np.exp(t)))[1],
        bounds=(np.log(low), np.log(high)),
        method="bounded",
    )
    nu = float(np.exp(found.x))
    if amplitude_and_cost(0.0)[1] <= found.fun:
        nu = 0.0
    amplitude, cost = amplitude_and_cost(nu)
    residual = mean - amplitude * reaction_profile(x, nu, limit)
    error = _nu_error(x, whiten, nu, limit, amplitude)
    scatter = np.sqrt(max(cost / max(x.size - 2, 1), 1.0))
    return TransportFit(limit, nu, error * scatter, amplitude, float(np.sqrt(np.mean(residual**2))), cost)


def _nu_error(x: Float, whiten: Float, nu: float, limit: Limit, amplitude: float) -> float:
    """Standard error of ν from the curvature of chi-square, the amplitude being free."""
    step = max(1e-4, 1e-4 * nu)
    shape = reaction_profile(x, nu, limit)
    slope = amplitude * (reaction_profile(x, nu + step, limit) - shape) / step
    jacobian = whiten @ np.stack([shape, slope], axis=1)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    return float(np.sqrt(max(covariance[1, 1], 0.0)))
