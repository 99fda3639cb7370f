"""Where a signal changes its slope, its level or its noise.

The signal is cut into segments in each of which it is a straight line plus noise that may remember its last value,
y_i = a + b t_i + φ y_(i−1) + e_i. The cut with the least Σ n ln(RSS/n) plus a penalty per segment is found by
dynamic programming (optimal partitioning, Jackson et al., IEEE Signal Processing Letters 12, 2005).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError

Float = NDArray[np.float64]
_REGRESSORS = 3
LEAST_FRAMES = 10
# of twice the log likelihood, for the five numbers of a segment; BIC would be 5 ln n = 30 for 400 frames
PENALTY = 60.0


@dataclass(frozen=True)
class ChangePoint:
    """One change.

    Attributes
    ----------
    index : int
        First sample of the new segment.
    time_s, sigma_s : float
    gain : float
        Twice the log likelihood that the change gains over no change there.
    """

    index: int
    time_s: float
    sigma_s: float
    gain: float


@dataclass(frozen=True)
class _Sums:
    """Cumulative normal equations of the regression, and the floor of the noise variance."""

    products: Float
    responses: Float
    squares: Float
    floor: float

    def cost(self, first: NDArray[np.int64], stop: int) -> Float:
        """Twice the negative log likelihood of samples first … stop − 1, for many first samples."""
        count = (stop - first).astype(float)
        normal = self.products[stop] - self.products[first]
        right = self.responses[stop] - self.responses[first]
        square = self.squares[stop] - self.squares[first]
        ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(_REGRESSORS)
        weights = np.linalg.solve(normal + ridge, right[:, :, None])[:, :, 0]
        residual = np.maximum(square - np.sum(weights * right, axis=1), 0.0)
        return np.asarray(count * np.log(residual / count + self.floor))


def find_change_points(
    times_s: Float, signal: Float, *, penalty: float = PENALTY, least_frames: int = LEAST_FRAMES
) -> list[ChangePoint]:
    """Cut a signal into segments; values that are not finite are left out.

    Parameters
    ----------
    times_s, signal : (time,) arrays
    penalty : float
        What a further segment must gain.
    least_frames : int
        Of a segment.

    Raises
    ------
    InputError
        If fewer than two segments could be told apart.
    """
    known = np.flatnonzero(np.isfinite(signal))
    if known.size < 2 * least_frames + 1:
        raise InputError(f"signal: found {known.size} values, expected at least {2 * least_frames + 1}")
    times, values = times_s[known], signal[known]
    sums = _sums(times, values)
    borders = _best_borders(sums, values.size - 1, penalty, least_frames)
    return [_described(sums, times, borders, number, known) for number in range(1, len(borders) - 1)]


def _sums(times: Float, values: Float) -> _Sums:
    scale = float(np.ptp(values)) or 1.0
    y = (values - values.mean()) / scale
    t = 2 * (times - times.mean()) / float(np.ptp(times))
    rows = np.stack([np.ones(y.size - 1), t[1:], y[:-1]], axis=1)
    products = np.concatenate([np.zeros((1, 3, 3)), np.cumsum(rows[:, :, None] * rows[:, None, :], axis=0)])
    responses = np.concatenate([np.zeros((1, 3)), np.cumsum(rows * y[1:, None], axis=0)])
    squares = np.concatenate([[0.0], np.cumsum(y[1:] ** 2)])
    # no segment is quieter than half of the usual step between neighbours
    usual = 1.4826 * float(np.median(np.abs(np.diff(y, 2)))) / np.sqrt(6)
    return _Sums(products, responses, squares, max(usual / 2, 1e-7) ** 2)


def _best_borders(sums: _Sums, count: int, penalty: float, least: int) -> list[int]:
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    previous = np.zeros(count + 1, np.int64)
    for stop in range(least, count + 1):
        first = np.arange(0, stop - least + 1)
        first = first[np.isfinite(best[first])]
        cost = best[first] + sums.cost(first, stop) + penalty
        choice = int(np.argmin(cost))
        best[stop], previous[stop] = cost[choice], first[choice]
    borders = [count]
    while borders[-1] > 0:
        borders.append(int(previous[borders[-1]]))
    return borders[::-1]


def _described(
    sums: _Sums, times: Float, borders: list[int], number: int, known: NDArray[np.int64]
) -> ChangePoint:
    """Carry the likelihood of neighbouring borders to the time of a change."""
    before, border, after = borders[number - 1 : number + 2]
    reach = np.arange(max(before + 4, border - 60), min(after - 4, border + 60) + 1)
    cost = np.array(
        [sums.cost(np.array([before]), b)[0] + sums.cost(np.array([b]), after)[0] for b in reach.tolist()]
    )
    weight = np.exp(-0.5 * (cost - cost.min()))
    weight /= weight.sum()
    at = times[reach + 1]
    mean = float(weight @ at)
    spread = float(np.sqrt(weight @ (at - mean) ** 2))
    step = float(np.median(np.diff(times)))
    gain = float(sums.cost(np.array([before]), after)[0] - cost.min())
    # the change lies between two samples
    return ChangePoint(
        int(known[border + 1]),
        float(times[border + 1] - step / 2),
        float(np.hypot(spread, step / np.sqrt(12))),
        gain,
    )


@dataclass(frozen=True)
class SlopeChange:
    """How a signal runs before and after a time.

    Attributes
    ----------
    before, after : float
        Slopes per second.
    sigma_before, sigma_after : float
    score : float
        Difference of the slopes over its σ.
    time_s, sigma_s : float
        Where two straight lines that meet fit best.
    noise_before, noise_after : float
        Scatter about the lines from one sample to the next.
    """

    before: float
    after: float
    sigma_before: float
    sigma_after: float
    score: float
    time_s: float
    sigma_s: float
    noise_before: float
    noise_after: float


def slope_change(
    times_s: Float, signal: Float, at_s: float, *, window_s: float, search_s: float
) -> SlopeChange | None:
    """Fit straight lines before and after a time; None where either side has too few samples."""
    known = np.isfinite(signal) & (np.abs(times_s - at_s) <= window_s)
    times, values = times_s[known], signal[known]
    left = times < at_s
    if np.count_nonzero(left) < 6 or np.count_nonzero(~left) < 6:
        return None
    before, sigma_before, noise_before = _line(times[left], values[left])
    after, sigma_after, noise_after = _line(times[~left], values[~left])
    score = (after - before) / float(np.hypot(sigma_before, sigma_after))
    time, sigma = _knee(times, values, at_s, search_s, min(noise_before, noise_after))
    return SlopeChange(
        before, after, sigma_before, sigma_after, score, time, sigma, noise_before, noise_after
    )


def _line(times: Float, values: Float) -> tuple[float, float, float]:
    """Slope, its σ with the memory of the residuals, and their scatter."""
    t = times - times.mean()
    slope = float(t @ (values - values.mean()) / (t @ t))
    residual = values - values.mean() - slope * t
    variance = float(residual @ residual) / max(times.size - 2, 1)
    memory = float(residual[1:] @ residual[:-1]) / max(float(residual @ residual), 1e-300)
    memory = float(np.clip(memory, 0.0, 0.95))
    sigma = np.sqrt(variance / (t @ t) * (1 + memory) / (1 - memory))
    return slope, float(sigma), float(np.sqrt(variance))


def _knee(times: Float, values: Float, at_s: float, search_s: float, noise: float) -> tuple[float, float]:
    """Time at which two lines that meet fit best, and its σ from the growth of the misfit."""
    knees = np.linspace(max(at_s - search_s, times[5]), min(at_s + search_s, times[-6]), 121)
    misfit = np.empty(knees.size)
    for index, knee in enumerate(knees):
        model = np.stack([np.ones(times.size), times - knee, np.maximum(times - knee, 0)], axis=1)
        weights, *_ = np.linalg.lstsq(model, values, rcond=None)
        misfit[index] = float(np.sum((values - model @ weights) ** 2))
    variance = max(noise**2, misfit.min() / max(times.size - 4, 1))
    weight = np.exp(-0.5 * (misfit - misfit.min()) / max(variance, 1e-300))
    weight /= weight.sum()
    mean = float(weight @ knees)
    return mean, float(np.sqrt(weight @ (knees - mean) ** 2))
