"""Frames of one view become one without gamma spots and without loss of light."""

import numpy as np
import pytest

from deltamu.recon.scans.combine import combine_frames
from deltamu.recon.scans.read import scan_from_arrays

DARK, COUNTS_PER_ADU = 100.0, 0.25


def noisy(
    count: int, *, dose: tuple[float, ...] | None = None, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a step between 200 and 2000 counts, and their expectation in ADU."""
    random = np.random.default_rng(seed)
    counts = np.where(np.arange(200) < 100, 200.0, 2000.0) * np.ones((150, 1))
    factors = np.ones(count) if dose is None else np.asarray(dose)
    frames = np.stack([random.poisson(counts * f) / COUNTS_PER_ADU + DARK for f in factors])
    return frames.astype(np.float32), counts / COUNTS_PER_ADU + DARK


@pytest.mark.parametrize("count", [2, 3, 5])
def test_spots_leave_nothing_behind(count):
    frames, truth = noisy(count)
    clean = combine_frames(frames, dark_level=DARK)
    spots = np.random.default_rng(2).random(frames.shape) < 1e-3
    # at most one frame of a view hit, as for gammas of 0.1 % of the pixels
    spots[1:] &= ~spots[0]
    frames[spots] += 20000
    hit = spots.any(axis=0)
    if count > 2:
        hit &= spots.sum(axis=0) == 1
    else:
        hit &= ~spots.all(axis=0)
    combined = combine_frames(frames, dark_level=DARK)
    # what is left of a spot is within the noise of a single frame: 6 sqrt(2000) / 0.25 ADU
    assert np.max(np.abs(combined - truth)[hit]) < 6 * np.sqrt(2000) / COUNTS_PER_ADU
    # the other pixels are as without spots, but for the dose, known to 1e-4 of the light
    np.testing.assert_allclose(combined[~hit], clean[~hit], rtol=3e-4)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_mean_is_not_biased_and_nearly_all_light_is_used(count):
    frames, truth = noisy(count)
    combined = combine_frames(frames, dark_level=DARK).astype(float)
    single = np.std((frames[0] - truth)[:, 100:])
    # the threshold of 5.5 sigma leaves out next to nothing: bias within the noise
    error = (combined - truth)[:, 100:]
    assert abs(error.mean()) < 4 * single / np.sqrt(count * error.size)
    assert error.std() == pytest.approx(single / np.sqrt(count), rel=0.03)


def test_unequal_dose_is_not_taken_for_spots():
    frames, _ = noisy(3, dose=(0.9, 1.0, 1.1))
    combined = combine_frames(frames, dark_level=DARK)
    level = np.median(combined[:, 100:])
    # common dose 1.0: the median of 15 000 pixels is known to 180 / sqrt(3 * 15000) * 1.25 = 1 ADU
    assert level == pytest.approx(2000 / COUNTS_PER_ADU + DARK, abs=10)
    assert np.median(combined[:, :100]) == pytest.approx(200 / COUNTS_PER_ADU + DARK, abs=5)


def test_median_and_mean():
    frames = np.stack([np.full((4, 4), v, np.float32) for v in (100, 100, 130)])
    np.testing.assert_allclose(combine_frames(frames, method="mean"), 110)
    np.testing.assert_allclose(combine_frames(frames, method="median"), 110)
    assert combine_frames(frames[:1]).shape == (4, 4)


def test_equal_frames_stay():
    frames = np.full((2, 4, 4), 7, np.float32)
    np.testing.assert_array_equal(combine_frames(frames), frames[0])


def test_a_scan_combines_the_same_in_any_block():
    frames, _ = noisy(12)
    frames[5, 10, 10] += 30000
    scan = scan_from_arrays(
        frames, np.repeat(np.arange(6) * 30.0, 2), darks=np.full((3, 150, 200), DARK), flats=frames[:2] * 2
    )
    everything = scan.read()
    assert everything.shape == (6, 150, 200)
    parts = np.concatenate([scan.read(i, i + 1) for i in range(6)])
    np.testing.assert_array_equal(everything, parts)
    assert everything[2, 10, 10] < 5000
