"""Fourier shell correlation against signals and noises whose correlation is known."""

import numpy as np
import pytest
from scipy import ndimage

from deltamu.recon.change.shell_correlation import fourier_shell_correlation, half_bit_threshold
from deltamu.recon.errors import InputError


def halves(rng, shape, *, blur=1.0, noise=1.0):
    """A white signal and white noises, both blurred by their own width (0: white)."""
    signal = (
        ndimage.gaussian_filter(rng.standard_normal(shape), blur, mode="wrap")
        if blur
        else rng.standard_normal(shape)
    )
    return [signal + noise * rng.standard_normal(shape) for _ in range(2)]


def test_equal_halves_correlate_fully():
    box = np.random.default_rng(1).standard_normal((24, 32, 40))
    found = fourier_shell_correlation(box, box, voxel_size_mm=0.03)
    np.testing.assert_allclose(found.correlation, 1.0, atol=1e-12)
    assert found.resolution_mm is None


def test_noise_alone_does_not_correlate():
    rng = np.random.default_rng(2)
    first, second = rng.standard_normal((2, 48, 48, 48))
    found = fourier_shell_correlation(first, second, voxel_size_mm=0.03)
    # shell 5 has some 300 coefficients, later ones more: five standard errors of a mean of that many
    assert np.all(np.abs(found.correlation[4:]) < 5 / np.sqrt(150 * (np.arange(5, 25) / 5) ** 2) * 2)
    assert found.resolution_mm == pytest.approx(1 / found.frequency_per_mm[0])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_correlation_is_signal_over_signal_and_noise(ratio):
    """White signal of variance s, white noise of variance n: s/(s + n) in every shell (van Heel 2005)."""
    rng = np.random.default_rng(3)
    first, second = halves(rng, (64, 64, 64), blur=0, noise=1 / np.sqrt(ratio))
    found = fourier_shell_correlation(first, second, voxel_size_mm=1.0)
    # the outer half of the shells holds some 1e5 coefficients
    assert found.correlation[16:].mean() == pytest.approx(ratio / (1 + ratio), abs=0.01)


@pytest.mark.parametrize("axes", ["zyx", "yx", "z"])
def test_resolution_of_a_blurred_signal(axes):
    """Signal exp(−4π²f²s²) over noise n: crosses 0.2071 (half a bit for many coefficients) where it must."""
    rng = np.random.default_rng(4)
    blur, noise = 1.5, 0.1
    first, second = halves(rng, (96, 96, 96), blur=blur, noise=noise)
    found = fourier_shell_correlation(first, second, voxel_size_mm=0.02, axes=axes)
    threshold = float(np.interp(1 / found.resolution_mm, found.frequency_per_mm, found.threshold))
    snr = threshold / (1 - threshold)
    variance = noise**2 * snr  # of the signal per coefficient at the crossing
    # along one axis the other two hold the blurred signal's own width: its power is less by their mean
    kept = {"zyx": 1.0, "yx": np.mean(transfer(blur, 96)), "z": np.mean(transfer(blur, 96)) ** 2}[axes]
    frequency = np.sqrt(np.log(kept / variance)) / (2 * np.pi * blur) / 0.02
    # the threshold is crossed within a shell; the curve of a few coefficients scatters
    assert 1 / found.resolution_mm == pytest.approx(frequency, rel=0.06)


def transfer(blur, count):
    """Power of white noise blurred along one periodic axis, per coefficient."""
    return np.exp(-((2 * np.pi * np.fft.fftfreq(count) * blur) ** 2))


def test_half_bit_curve_of_many_coefficients():
    """0.2071/1.2071 is the correlation of half sets at a signal-to-noise ratio of 0.2071."""
    assert half_bit_threshold(np.array([1e12]))[0] == pytest.approx(0.2071 / 1.2071, rel=1e-5)
    assert half_bit_threshold(np.array([1.0]))[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"second": np.ones((8, 8, 9))}, "one (z, y, x) shape"),
        ({"voxel_size_mm": 0.0}, "voxel_size_mm"),
        ({"axes": "xy"}, "axes"),
        ({"first": np.full((8, 8, 8), np.nan)}, "finite"),
        ({"first": np.ones((8, 8, 8))}, "constant"),
    ],
)
def test_wrong_input(change, words):
    box = np.random.default_rng(5).standard_normal((8, 8, 8))
    arguments = {"first": box, "second": box, "voxel_size_mm": 1.0} | change
    with pytest.raises(InputError) as caught:
        fourier_shell_correlation(arguments.pop("first"), arguments.pop("second"), **arguments)
    assert words in str(caught.value)


def test_a_box_of_few_slices_needs_rings():
    box = np.random.default_rng(6).standard_normal((3, 32, 32))
    with pytest.raises(InputError, match="along z"):
        fourier_shell_correlation(box, box, voxel_size_mm=1.0)
    assert fourier_shell_correlation(box, box, voxel_size_mm=1.0, axes="yx").correlation.size == 16
