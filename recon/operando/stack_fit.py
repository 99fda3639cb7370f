"""Find the layers of a cell in a radiograph: boundaries, tilt, bow, blur, and what each layer lets through."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from deltamu.recon.errors import InputError
from deltamu.recon.operando.drift import shift_profiles
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.stack_model import StackModel
from deltamu.recon.operando.strips import Strips

Float = NDArray[np.float64]

# relative deviation of the thickness from what was stated that a fit may take for free
_THICKNESS_SPREAD = 0.10
# the model is not better than this
_MODEL_ERROR = 2e-3
_GROUPS = 5
# of an interface and of the detector; at zero their derivatives vanish and a fit would stay there
_LEAST_SPREADS_PX, _LARGEST_SPREAD_PX = (0.02, 0.2), 8.0
# spread of an interface along the beam beside its bow: an exposure barely tells it from the spread of the
# detector, but near a strong absorber the two move charge in opposite directions
INTERFACE_MM = 0.0015
# standard deviation of a paraboloid along a chord, as a share of its sagitta: √(1/5 − 1/9)
_BOW_SPREAD = 0.298
_LARGEST_MISFIT = 0.10
_LEAST_TRANSMISSION = 1e-5


def fit_stack(
    profiles: Float,
    sigma: Float,
    strips: Strips,
    *,
    names: tuple[str, ...],
    thickness_mm: tuple[float, ...],
    radius_mm: float,
    core_radius_mm: float,
    interface_mm: float = INTERFACE_MM,
    collimation_mm: float = 0.0,
) -> StackGeometry:
    """Fit the stack to the reference profiles of all strips.

    Parameters
    ----------
    profiles, sigma : (strip, row) arrays
        Mean transmission of the reference frames, and its noise.
    strips : Strips
    names, thickness_mm
        The stack along the rows as assembled; the outer layers may end outside the frame.
    radius_mm : float
        Of the pellet.
    core_radius_mm : float
        Of the narrowest layer: strips beyond see fewer layers, their tilt is that of the others.
    interface_mm : float
        Largest spread (standard deviation) of an interface along the beam by tilt and roughness; what its bow
        adds follows from the bow seen across the beam.
    collimation_mm : float
        Diameter of the geometric blur l D / L; its shape is not that of the detector's blur.

    Raises
    ------
    InputError
        If the layers are not found where the stack can be.
    """
    pixel = strips.pixel_size_mm
    nominal = np.asarray(thickness_mm, float) / pixel
    _check_fits(nominal, profiles.shape[1], pixel)
    core = np.flatnonzero(np.abs(strips.middles_mm) < 0.85 * core_radius_mm)
    center = np.flatnonzero(np.abs(strips.middles_mm) < 0.25 * core_radius_mm)
    weights = strips.widths_mm
    start = _first_guess(np.average(profiles[center], axis=0, weights=weights[center]), nominal)
    start = replace(start, disc=collimation_mm / pixel)
    model, depths, _ = _fit_groups(profiles[center], sigma[center], [np.arange(center.size)], weights[center], start,
                                   None, nominal, interface_mm / pixel)  # fmt: skip
    offsets = _follow(profiles, sigma, strips, model, depths[0], core)
    aligned = shift_profiles(profiles, offsets)
    slope, bow = _tilt_and_bow(strips, offsets, core, radius_mm)
    spread_mm = float(np.hypot(interface_mm, 1e-3 * _BOW_SPREAD * bow))
    groups = [np.flatnonzero(np.isin(core, part)) for part in np.array_split(core, _GROUPS) if part.size]
    model, group_depths, spread = _fit_groups(
        aligned[core], sigma[core], groups, weights[core], model, depths[0], nominal, spread_mm / pixel
    )
    middle = group_depths[len(groups) // 2]
    misfit = _misfit(model, np.average(aligned[center], axis=0, weights=weights[center]), middle)
    _check_misfit(misfit, names, thickness_mm)
    return StackGeometry(
        names, model, strips, offsets, _all_depths(aligned, sigma, model, middle), spread, slope,
        bow, misfit, pixel,
    )  # fmt: skip


def _check_misfit(misfit: float, names: tuple[str, ...], thickness_mm: tuple[float, ...]) -> None:
    if misfit > _LARGEST_MISFIT:
        raise InputError(
            f"layers: the stack {', '.join(names)} of {', '.join(f'{t:g}' for t in thickness_mm)} mm does not fit the "
            f"transmission along the rows (it is off by up to {100 * misfit:.0f} %); check order, thickness_mm, "
            "pixel_size_mm and flip"
        )


def _check_fits(nominal: Float, rows: int, pixel_mm: float) -> None:
    if nominal.size < 3:
        raise InputError(
            f"layers: found {nominal.size}, expected at least three to find boundaries between them"
        )
    if nominal[1:-1].sum() > rows - 4:
        raise InputError(
            f"layers: the stack between the outer layers is {nominal[1:-1].sum() * pixel_mm:.2f} mm, the frame only "
            f"{rows * pixel_mm:.2f} mm high; leave out what is not in it"
        )


def _first_guess(profile: Float, nominal: Float) -> StackModel:
    """Slide the nominal stack over the profile; the line integrals of the layers are the medians inside them."""
    inner = np.cumsum([0.0, *nominal[1:-1]])
    best: tuple[float, float] = (np.inf, 0.0)
    depth = -np.log(np.maximum(profile, _LEAST_TRANSMISSION))
    row = np.arange(profile.size)
    for first in np.arange(1.0, profile.size - 1 - inner[-1], 0.5):
        layer = np.searchsorted(first + inner, row)
        means = np.bincount(layer, depth, inner.size + 1) / np.maximum(
            np.bincount(layer, minlength=inner.size + 1), 1
        )
        score = float(np.sum(np.abs(depth - means[layer])))
        best = min(best, (score, float(first)))
    return StackModel(best[1] + inner, 0.3, 1.0, profile.size)


def _fit_groups(
    profiles: Float, sigma: Float, groups: list[NDArray[np.int64]], weights: Float, start: StackModel,
    depths: Float | None, nominal: Float, interface_px: float,
) -> tuple[StackModel, Float, Float]:  # fmt: skip
    """Fit one set of boundaries and widths to several mean profiles, each with its own line integrals."""
    means = np.stack([np.average(profiles[group], axis=0, weights=weights[group]) for group in groups])
    noise = np.stack([_mean_noise(sigma[group], weights[group]) for group in groups])
    noise = np.hypot(noise, _MODEL_ERROR * means)
    if depths is None:
        first = np.stack([_layer_depths(mean, start.boundaries) for mean in means])
    else:
        pairs = zip(means, noise, strict=True)
        first = np.stack([fit_depths(mean, error, start, depths) for mean, error in pairs])
    problem = _JointFit(means, noise, nominal, start.rows, start.disc, first.shape)
    edges = start.boundaries.size
    interface_px = max(interface_px, 2 * _LEAST_SPREADS_PX[0])
    spreads = [min(start.interface_sigma, 0.9 * interface_px), start.blur_sigma]
    begin = np.concatenate([start.boundaries, spreads, first.ravel()])
    scale = np.concatenate([np.full(edges + 2, 0.2), np.full(first.size, 0.05)])
    low, high = np.full(begin.size, -np.inf), np.full(begin.size, np.inf)
    low[edges : edges + 2], high[edges : edges + 2] = _LEAST_SPREADS_PX, (interface_px, _LARGEST_SPREAD_PX)
    found = least_squares(
        problem.residual, begin, jac=problem.jacobian, x_scale=scale, bounds=(low, high), max_nfev=60
    )
    model, levels = problem.unpack(found.x)
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    # where the model is worse than the noise, that is what the boundaries are uncertain by
    excess = 2 * found.cost / max(found.fun.size - begin.size, 1)
    return model, levels, np.sqrt(max(excess, 1.0) * np.diag(covariance)[:edges])


@dataclass(frozen=True)
class _JointFit:
    """Residuals of several profiles (group, row) of one stack, and their derivatives."""

    means: Float
    noise: Float
    nominal: Float
    rows: int
    disc: float
    shape: tuple[int, ...]

    def unpack(self, x: Float) -> tuple[StackModel, Float]:
        """Model and line integrals (group, layer)."""
        edges = self.shape[1] - 1
        model = StackModel(x[:edges], float(x[edges]), float(x[edges + 1]), self.rows, self.disc)
        return model, x[edges + 2 :].reshape(self.shape)

    def residual(self, x: Float) -> Float:
        """Misfits in units of their noise, and the deviation of the thicknesses from the stated ones."""
        model, levels = self.unpack(x)
        misfit = [
            (model.transmission(d) - m) / n for d, m, n in zip(levels, self.means, self.noise, strict=True)
        ]
        return np.concatenate(
            [*misfit, (np.diff(model.boundaries) / self.nominal[1:-1] - 1) / _THICKNESS_SPREAD]
        )

    def jacobian(self, x: Float) -> Float:
        """Derivative of the residual."""
        model, levels = self.unpack(x)
        edges, layers = self.shape[1] - 1, self.shape[1]
        result = np.zeros((self.means.size + edges - 1, x.size))
        for group, depths in enumerate(levels):
            rows = slice(group * self.rows, (group + 1) * self.rows)
            common = [model.by_boundaries(depths), model.by_interface_sigma(depths)[:, None],
                      model.by_blur_sigma(depths)[:, None]]  # fmt: skip
            result[rows, : edges + 2] = np.hstack(common) / self.noise[group][:, None]
            own = slice(edges + 2 + group * layers, edges + 2 + (group + 1) * layers)
            result[rows, own] = model.by_depths(depths) / self.noise[group][:, None]
        steps = np.diff(np.eye(edges), axis=0)
        result[self.means.size :, :edges] = steps / self.nominal[1:-1][:, None] / _THICKNESS_SPREAD
        return result


def _mean_noise(sigma: Float, weights: Float) -> Float:
    return np.asarray(np.sqrt(np.sum((weights[:, None] * sigma) ** 2, axis=0)) / weights.sum())


def _layer_depths(profile: Float, boundaries: Float) -> Float:
    """−ln of the median transmission between boundaries."""
    depth = -np.log(np.maximum(profile, _LEAST_TRANSMISSION))
    edges = [0, *np.clip(np.round(boundaries).astype(int), 1, profile.size - 1), profile.size]
    return np.array([np.median(depth[a : max(b, a + 1)]) for a, b in pairwise(edges)])


def fit_depths(profile: Float, sigma: Float, model: StackModel, start: Float) -> Float:
    """Line integrals of the layers of a strip, by Gauss-Newton with known boundaries."""
    noise = np.hypot(sigma, _MODEL_ERROR * np.maximum(profile, _LEAST_TRANSMISSION))
    found = least_squares(
        lambda d: (model.transmission(d) - profile) / noise, start,
        jac=lambda d: model.by_depths(d) / noise[:, None], max_nfev=30,
    )  # fmt: skip
    return np.asarray(found.x)


def _all_depths(aligned: Float, sigma: Float, model: StackModel, start: Float) -> Float:
    return np.stack(
        [
            fit_depths(
                profile, noise, model, _layer_depths(profile, model.boundaries) if index == 0 else start
            )
            for index, (profile, noise) in enumerate(zip(aligned, sigma, strict=True))
        ]
    )


def _follow(
    profiles: Float, sigma: Float, strips: Strips, model: StackModel, depths: Float, core: NDArray[np.int64]
) -> Float:
    """Rows by which the layers of each strip lie lower, from a parabola through the offsets of the core strips."""
    found = np.array([_offset(profiles[index], sigma[index], model, depths) for index in core])
    position, weight = strips.middles_mm[core], strips.widths_mm[core]
    for _ in range(3):
        shape = np.polynomial.Polynomial.fit(position, found, 2, w=np.sqrt(weight))
        distance = np.abs(found - shape(position))
        keep = distance <= max(4 * 1.4826 * float(np.median(distance)), 0.02)
        weight = np.where(keep, strips.widths_mm[core], 0.0)
    return np.asarray(shape(strips.middles_mm) - shape(0.0))


def _offset(profile: Float, sigma: Float, model: StackModel, depths: Float) -> float:
    noise = np.hypot(sigma, _MODEL_ERROR * profile)

    def moved(x: Float) -> StackModel:
        return replace(model, boundaries=model.boundaries + x[0])

    def jacobian(x: Float) -> Float:
        by_offset = moved(x).by_boundaries(x[1:]).sum(axis=1, keepdims=True)
        return np.hstack([by_offset, moved(x).by_depths(x[1:])]) / noise[:, None]

    start = np.concatenate(
        [[0.0], fit_depths(profile, sigma, model, _layer_depths(profile, model.boundaries))]
    )
    found = least_squares(
        lambda x: (moved(x).transmission(x[1:]) - profile) / noise, start, jac=jacobian,
        x_scale=[0.2, *np.full(depths.size, 0.05)], max_nfev=25,
    )  # fmt: skip
    return float(found.x[0])


def _misfit(model: StackModel, profile: Float, depths: Float) -> float:
    fitted = fit_depths(profile, np.zeros(profile.size), model, depths)
    inner = slice(int(model.boundaries[0]) - 5, int(model.boundaries[-1]) + 6)
    deviation = np.abs(model.transmission(fitted) / profile - 1)[inner]
    # a row of a nearly opaque layer is noise
    return float(np.quantile(deviation, 0.9))


def _tilt_and_bow(
    strips: Strips, offsets: Float, core: NDArray[np.int64], radius_mm: float
) -> tuple[float, float]:
    curve = np.polynomial.Polynomial.fit(
        strips.middles_mm[core], offsets[core] * strips.pixel_size_mm, 2
    ).convert()
    coefficients = np.zeros(3)
    coefficients[: curve.coef.size] = curve.coef
    # a ray averages a paraboloid along its chord, which leaves two thirds of the curvature across
    return float(np.degrees(np.arctan(coefficients[1]))), float(-1.5e3 * coefficients[2] * radius_mm**2)
