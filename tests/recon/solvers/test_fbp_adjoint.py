"""The transpose of filtered back-projection, and the closed-form noise of physics.md (T4, T5)."""

import numpy as np
import pytest
from scipy.special import j1

from deltamu.recon.change.uncertainty import disc_mean_standard_error
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.fbp_adjoint import readout_variance, readout_weights

# sigma_mu = C sigma / (a sqrt M) for band-limited reconstruction, C = pi / sqrt 12 · sqrt(12 ∫ u² W² du)
COEFFICIENTS = {
    "ram-lak": 0.90690,
    "shepp-logan": 0.70711,
    "cosine": 0.40154,
    "hamming": 0.30278,
    "hann": 0.27212,
}


@pytest.mark.parametrize(
    ("filter", "columns", "shift"), [("ram-lak", 40, 0.0), ("hann", 33, 0.37), ("cosine", 20, -1.2)]
)
def test_it_is_the_transpose(filter, columns, shift) -> None:
    rng = np.random.default_rng(0)
    angles = np.sort(rng.uniform(0, np.pi, 31))
    options = {"center": (columns - 1) / 2 + shift, "pixel_size_mm": 0.3, "filter": filter}
    data = rng.standard_normal((31, 2, columns)).astype(np.float32)
    weights = np.where(
        rng.random((2, columns, columns)) < 0.4, rng.standard_normal((2, columns, columns)), 0.0
    )
    slices = fbp(data, angles, **options).astype(float)
    pushed = readout_weights(weights, angles, columns=columns, **options)
    scale = np.linalg.norm(pushed) * np.linalg.norm(data)
    # gridding is good to 1e-3 of a slice, the spreading here to as much
    assert abs(np.vdot(weights, slices) - np.vdot(pushed, data)) < 2e-3 * scale


@pytest.mark.parametrize("filter", COEFFICIENTS)
def test_the_noise_of_a_voxel(filter) -> None:
    """T4, first column."""
    columns, views, sigma, pixel_mm = 96, 180, 0.05, 0.1
    weights = np.zeros((1, columns, columns))
    weights[0, 41, 55] = 1
    pushed = readout_weights(
        weights, np.arange(views) * np.pi / views, columns=columns, center=47.6, pixel_size_mm=pixel_mm, filter=filter
    )  # fmt: skip
    found = np.sqrt(readout_variance(pushed, np.full(pushed.shape, sigma**2)))
    expected = COEFFICIENTS[filter] * sigma / (0.1 * pixel_mm * np.sqrt(views))
    assert found == pytest.approx(expected, rel=0.02)


def test_the_noise_of_a_disc() -> None:
    """T5: R/a = 60. Weights of the disc without the frequencies beyond Nyquist: its integral of any slice is exact."""
    columns, views, radius = 180, 120, 60
    # the transform of a disc, J1, sampled on a grid four times as wide, inside the circle that the views fill
    k = np.fft.fftfreq(4 * columns)
    frequency = np.hypot(k[:, None], k[None, :])
    argument = np.maximum(2 * np.pi * radius * frequency, 1e-9)
    spectrum = np.where(frequency <= 0.5, 2 * j1(argument) / argument, 0.0)
    half = (columns - 1) / 2
    phase = np.exp(-2j * np.pi * half * k)
    disc = np.fft.ifft2(spectrum * phase[:, None] * phase[None, :]).real[:columns, :columns]
    pushed = readout_weights(
        disc[None], np.arange(views) * np.pi / views, columns=columns, center=half, pixel_size_mm=10.0
    )
    found = np.sqrt(readout_variance(pushed, np.full(pushed.shape, 0.05**2)))
    expected = disc_mean_standard_error(0.05, pixel=1.0, views=views, radius=radius)
    assert found == pytest.approx(expected, rel=0.02)


def test_a_disc_of_whole_voxels_has_the_noise_of_its_corners_as_well() -> None:
    """What repeated reconstructions show, which the closed form leaves out."""
    rng = np.random.default_rng(4)
    columns, views, slices = 64, 60, 1500
    y, x = np.indices((columns, columns)) - (columns - 1) / 2
    disc = np.hypot(y, x) < 20
    angles = np.arange(views) * np.pi / views
    options = {"center": (columns - 1) / 2, "pixel_size_mm": 10.0}
    noise = rng.standard_normal((views, slices, columns)).astype(np.float32)
    means = fbp(noise, angles, **options)[:, disc].mean(axis=1)
    pushed = readout_weights((disc / disc.sum())[None], angles, columns=columns, **options)
    # 1500 repetitions know the scatter to 1.8 %
    assert np.std(means) == pytest.approx(np.sqrt(readout_variance(pushed, np.ones(pushed.shape))), rel=0.055)


def test_blurred_counting_noise_and_a_shared_open_beam_against_repetitions() -> None:
    """A disc over three rows; the open beam is the same in all views and does not average out."""
    rng = np.random.default_rng(2)
    columns, views, rows = 32, 24, 3
    angles = np.arange(views) * np.pi / views
    options = {"center": 15.3, "pixel_size_mm": 1.0, "filter": "hann"}
    y, x = np.indices((columns, columns)) - (columns - 1) / 2
    weights = np.broadcast_to(
        (np.hypot(y, x) < 9) / (3 * (np.hypot(y, x) < 9).sum()), (rows, columns, columns)
    )
    taps = np.array([0.2, 0.6, 0.2])
    autocorrelation = np.outer(*[np.convolve(taps, taps)] * 2)
    variance = rng.uniform(0.5, 2, (1, rows, columns)) * 1e-4 * np.ones((views, 1, 1))
    shared = np.full((rows, columns), 1e-5)
    pushed = readout_weights(weights, angles, columns=columns, **options)
    values = []
    for _ in range(600):
        white = rng.standard_normal((views, rows + 2, columns + 2))
        white = sum(tap * white[:, :, k : k + columns] for k, tap in enumerate(taps))
        white = sum(tap * white[:, k : k + rows] for k, tap in enumerate(taps))
        beam = rng.standard_normal((rows + 2, columns + 2))
        beam = sum(tap * beam[:, k : k + columns] for k, tap in enumerate(taps))
        beam = sum(tap * beam[k : k + rows] for k, tap in enumerate(taps))
        values.append(np.vdot(pushed, white * np.sqrt(variance) + beam * np.sqrt(shared)))
    found = np.sqrt(readout_variance(pushed, variance * np.ones((1, 1, 1)), open_beam_variance=shared, autocorrelation=autocorrelation))  # fmt: skip
    # 600 repetitions know the scatter to 3 %
    assert np.std(values) == pytest.approx(found, rel=0.09)
    alone = np.sqrt(readout_variance(pushed, variance, autocorrelation=autocorrelation))
    assert found > 1.3 * alone


def test_a_shared_open_beam_cancels_in_a_difference_of_states_that_did_not_move() -> None:
    weights = np.zeros((1, 24, 24))
    weights[0, 8:16, 8:16] = 1 / 64
    angles = np.arange(12) * np.pi / 12
    pushed = readout_weights(weights, angles, columns=24, center=11.5, pixel_size_mm=1.0)
    both, none = np.concatenate([pushed, -pushed]), np.zeros((24, 1, 24))
    shared = np.full((1, 24), 1e-4)
    assert readout_variance(both, none, open_beam_variance=shared) == pytest.approx(0, abs=1e-20)
    assert readout_variance(pushed, none[:12], open_beam_variance=shared) > 1e-12


def test_refusals() -> None:
    with pytest.raises(InputError, match="weights: found shape"):
        readout_weights(np.zeros((1, 3, 4)), np.zeros(2), columns=4, center=1.5, pixel_size_mm=1.0)
    with pytest.raises(InputError, match="as the weights"):
        readout_variance(np.zeros((2, 1, 4)), np.zeros((2, 1, 3)))
    with pytest.raises(InputError, match="not negative"):
        readout_variance(np.zeros((2, 1, 4)), np.full((2, 1, 4), -1.0))
    with pytest.raises(InputError, match="open_beam_variance"):
        readout_variance(np.zeros((2, 1, 4)), np.zeros((2, 1, 4)), open_beam_variance=np.zeros((2, 4)))
