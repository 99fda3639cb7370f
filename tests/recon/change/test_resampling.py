import numpy as np
import pytest
from scipy.special import ndtr

from deltamu.recon.change.resampling import (
    resample,
    resample_sigma,
    resampling_variance_factor,
    slab_affine,
)
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.solvers.noise import voxel_autocorrelation

VOXEL = 0.027
MOTION = RigidTransform((1.3, 0.2, -0.1), (0.4 * VOXEL, -0.7 * VOXEL, 0.25 * VOXEL), (0.4, 0.3, 0.3))


def white() -> np.ndarray:
    found = np.zeros((3, 3, 3))
    found[1, 1, 1] = 1
    return found


def blurred_step(z: np.ndarray, width: float) -> np.ndarray:
    """A unit step blurred by a Gaussian and averaged over voxels of size 1."""

    def integral(x: np.ndarray) -> np.ndarray:
        return x * ndtr(x / width) + width * np.exp(-0.5 * (x / width) ** 2) / np.sqrt(2 * np.pi)

    return integral(z + 0.5) - integral(z - 0.5)


@pytest.mark.parametrize(("order", "left"), [(1, 0.085), (3, 0.03)])
def test_what_interpolation_leaves_of_a_sharp_step(order: int, left: float) -> None:
    """A step as sharp as the detector allows, 1.4 voxels with the voxel's own average, read half way between.

    Linear: half of f (1 − f) times the second derivative, 1 / (4.13 σ²) at most: 0.125 / (4.13 · 0.59²) = 0.085.
    Cubic: what lies beyond the Nyquist frequency stays, 2 to 3 % of the step.
    """
    z, width = np.arange(24.0), 0.52
    moved = np.broadcast_to(blurred_step(z - 11.8, width)[:, None, None], (24, 3, 3)).astype(np.float32)
    # reference row k is moving row k + 0.5
    half = RigidTransform(translation_mm=(0.5 * VOXEL, 0.0, 0.0))
    found = resample(moved, half, voxel_size_mm=VOXEL, order=order)[3:-3, 1, 1]
    error = np.abs(found - blurred_step(z - 11.3, width)[3:-3]).max()
    assert 0.3 * left < error < left


@pytest.mark.parametrize("order", [1, 3])
def test_sigma_of_white_noise_is_that_of_its_scatter(order: int) -> None:
    shape = (12, 14, 14)
    rng = np.random.default_rng(3)
    found = [
        resample(rng.standard_normal(shape).astype(np.float32), MOTION, voxel_size_mm=VOXEL, order=order)
        for _ in range(600)
    ]
    # the spline's filter remembers its boundary for some voxels
    inner = (slice(4, -4),) * 3
    scatter = np.std(np.stack(found)[(slice(None), *inner)], axis=0)
    sigma = resample_sigma(
        np.ones(shape, np.float32), MOTION, voxel_size_mm=VOXEL, voxel_autocorrelation=white(), order=order
    )[inner]
    # 600 samples: 2.9 % for a voxel; 144 voxels together 0.3 %, and a table of 64 steps for the spline
    np.testing.assert_allclose(scatter, sigma, rtol=0.13)
    assert np.mean(scatter / sigma) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("order", [1, 3])
def test_sigma_follows_the_correlation_of_neighbouring_voxels(order: int) -> None:
    """Noise that filtered back-projection has correlated, made by filtering white noise in the Fourier domain."""
    shape, correlation = (8, 32, 32), voxel_autocorrelation(filter="hann")
    rng = np.random.default_rng(4)
    # the spectrum that belongs to the correlation within a slice
    lags = np.zeros((32, 32))
    lags[:7, :7] = correlation[3]
    power = np.fft.fft2(np.roll(lags, (-3, -3), axis=(0, 1))).real
    filtered = np.sqrt(np.maximum(power, 0))
    found = []
    for _ in range(200):
        noise = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * filtered).real.astype(np.float32)
        found.append(resample(noise, MOTION, voxel_size_mm=VOXEL, order=order))
    inner = (slice(3, -3), slice(8, -8), slice(8, -8))
    sigma = resample_sigma(
        np.ones(shape, np.float32),
        MOTION,
        voxel_size_mm=VOXEL,
        voxel_autocorrelation=correlation,
        order=order,
    )
    ratio = np.std(np.stack(found)[(slice(None), *inner)], axis=0) / sigma[inner]
    # some hundred independent voxels of 200 samples each: 0.3 %; lags beyond three voxels are left out: 1 %
    assert np.mean(ratio) == pytest.approx(1, abs=0.02)


def test_a_whole_step_changes_no_noise() -> None:
    whole = RigidTransform(translation_mm=(VOXEL, -2 * VOXEL, 0.0))
    for order in (1, 3):
        factor = resampling_variance_factor(
            slab_affine(whole, VOXEL, 0), (3, 4, 5), voxel_autocorrelation=white(), order=order
        )
        # the table of the spline has its first entry 1/128 away from the voxel
        np.testing.assert_allclose(factor, 1, rtol=2e-3)


@pytest.mark.parametrize("order", [1, 3])
def test_slabs_are_parts_of_the_whole(order: int) -> None:
    volume = np.random.default_rng(5).standard_normal((40, 9, 11)).astype(np.float32)
    options = {"voxel_size_mm": VOXEL, "order": order}
    whole = resample(volume, MOTION, **options)
    parts = [resample(volume, MOTION, z_range=(a, a + 8), **options) for a in range(0, 40, 8)]
    # the spline's filter forgets to 1e-7 over the twelve planes beyond a slab
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-6, equal_nan=True)
    assert np.isnan(whole).any()


def test_what_does_not_fit_is_named() -> None:
    volume = np.zeros((4, 4, 4), np.float32)
    with pytest.raises(InputError, match="order"):
        resample(volume, MOTION, voxel_size_mm=VOXEL, order=2)
    with pytest.raises(InputError, match="voxel_size_mm"):
        resample(volume, MOTION, voxel_size_mm=0.0)
    with pytest.raises(InputError, match="z_range"):
        resample(volume, MOTION, voxel_size_mm=VOXEL, z_range=(2, 9))
    with pytest.raises(InputError, match="1 at the centre"):
        resample_sigma(volume, MOTION, voxel_size_mm=VOXEL, voxel_autocorrelation=np.zeros((3, 3, 3)))
