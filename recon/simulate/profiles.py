"""How lithium is distributed over the depth of the cathode, in closed form.

A profile maps x = (d − d0) / (d_max − d0), 0 at the separator and 1 at the collector, to u, the fraction of
the sulfur that has become Li2S.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
Profile = Callable[[Float], Float]


def empty(x: Float) -> Float:
    """Return the profile of the pristine cathode, which holds no lithium beyond its electrolyte."""
    return np.zeros_like(x)


def discharged(x: Float) -> Float:
    """Return a broad maximum in the third of the cathode next to the separator."""
    return np.asarray(0.30 + 0.55 * np.exp(-((x - 0.35) ** 2) / (2 * 0.25**2)))


def retention(x: Float) -> Float:
    """Return the fraction of the lithium that stays behind on charging: most of it near the collector."""
    return np.asarray(0.15 + 0.60 / (1 + np.exp(-(x - 0.55) / 0.10)))


def charged(x: Float) -> Float:
    """Return what charging leaves behind."""
    return discharged(x) * retention(x)


def flat(level: float) -> Profile:
    """Return a homogeneous cathode."""
    return lambda x: np.full_like(x, level)


def front(
    position: float, *, width: float = 0.08, level: float = 1.0, from_collector: bool = False
) -> Profile:
    """Return a logistic reaction front.

    Parameters
    ----------
    position : float
        x of its middle.
    width : float
        Of the logistic function, in x.
    level : float
        Lithiation behind the front.
    from_collector : bool
        The front moves from the collector towards the separator (transport limited by electrons).
    """
    sign = -1.0 if from_collector else 1.0
    return lambda x: np.asarray(level / (1 + np.exp(sign * (x - position) / width)))


def centered(x: Float) -> Float:
    """Return a maximum in the middle of the cathode."""
    return np.asarray(0.20 + 0.55 * np.exp(-((x - 0.5) ** 2) / (2 * 0.15**2)))


def retained(profile: Profile, part: float) -> Profile:
    """Return the same part of a profile at every depth."""
    return lambda x: part * profile(x)


# what the states of a cell may hold: the usual shape, and others that an analysis has to tell from it
TRUTHS: Mapping[str, Mapping[str, Profile]] = {
    "broad": {"pristine": empty, "discharged": discharged, "charged": charged},
    "front": {"pristine": empty, "discharged": front(0.5, level=0.9), "charged": front(0.25, level=0.9)},
    "mirror": {
        "pristine": empty,
        "discharged": front(0.5, level=0.9, from_collector=True),
        "charged": front(0.75, level=0.9, from_collector=True),
    },
    "center": {"pristine": empty, "discharged": centered, "charged": retained(centered, 0.4)},
}


def find_truth(name: str) -> Mapping[str, Profile]:
    """Look up the profiles of the states.

    Raises
    ------
    InputError
        If there are none of that name.
    """
    if name not in TRUTHS:
        raise InputError(f"lithium: found {name!r}, expected one of {', '.join(TRUTHS)}")
    return TRUTHS[name]


def mean(profile: Profile) -> float:
    """Return the mean over the depth, by Gauss-Legendre quadrature (exact to 1e-12 for the profiles here)."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    return float(np.sum(weights * profile(0.5 * (nodes + 1))) / 2)


def peak(profile: Profile) -> tuple[float, float]:
    """Return the position and height of the maximum inside the cathode.

    Raises
    ------
    InputError
        If the profile is largest at one of its ends.
    """
    from scipy.optimize import minimize_scalar

    x = np.linspace(0, 1, 1001)
    best = int(np.argmax(profile(x)))
    if not 0 < best < x.size - 1:
        raise InputError("profile: its maximum is at an end of the cathode; expected a peak inside")

    def below(position: float) -> float:
        return -float(profile(np.array(position)))

    found = minimize_scalar(
        below, bounds=(x[best - 1], x[best + 1]), method="bounded", options={"xatol": 1e-9}
    )
    return float(found.x), -float(found.fun)
