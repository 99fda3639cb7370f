"""Polynomial layers between sharp edges, blurred by a Gaussian: the model behind every interface fit.

The blur of t^j times a step is known in closed form, so a slope of the attenuation inside a layer does not
pull the interface (leaving the slope out of the blur would move it by slope · width² / contrast).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Float = NDArray[np.float64]


def gaussian(distance: Float, width: float | Float) -> Float:
    """Normal density of standard deviation `width`."""
    value: Float = np.exp(-0.5 * (distance / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return value


def blurred_powers(z: Float, width: float | Float, degree: int) -> list[Float]:
    """Gaussian blur of t^j for j = 0…degree, at z."""
    powers = [np.ones_like(z), z]
    for j in range(2, degree + 1):
        powers.append(z * powers[j - 1] + (j - 1) * width**2 * powers[j - 2])
    return powers[: degree + 1]


def blurred_step_powers(z: Float, edge: Float, width: float | Float, degree: int) -> list[Float]:
    """Gaussian blur of t^j·[t > edge] for j = 0…degree, at z.

    By parts: I_j = z·I_{j−1} + (j−1)·w²·I_{j−2} + w²·edge^{j−1}·G(z − edge), I_0 = Φ((z − edge)/w).
    """
    density = width**2 * gaussian(z - edge, width)
    steps = [ndtr((z - edge) / width)]
    for j in range(1, degree + 1):
        value = z * steps[j - 1] + density * edge ** (j - 1)
        if j >= 2:
            value = value + (j - 1) * width**2 * steps[j - 2]
        steps.append(value)
    return steps


def blurred_layer_powers(
    z: Float, lower: Float | None, upper: Float | None, width: float | Float, degree: int
) -> list[Float]:
    """Gaussian blur of t^j inside a layer from `lower` to `upper`; None for a layer without that edge."""
    inside = (
        blurred_powers(z, width, degree) if lower is None else blurred_step_powers(z, lower, width, degree)
    )
    if upper is None:
        return inside
    beyond = blurred_step_powers(z, upper, width, degree)
    return [inner - outer for inner, outer in zip(inside, beyond, strict=True)]
