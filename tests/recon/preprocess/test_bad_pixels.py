"""Pixels that no division mends: found in flats and darks, and in the views where they fail during the scan."""

import numpy as np
import pytest

from deltamu.recon.preprocess.bad_pixels import bad_in_views, find_bad_pixels
from deltamu.recon.preprocess.correction import correct_frames
from deltamu.recon.preprocess.prepare import prepare_correction

# (row, column) of pixels that fail after the flats, behind the cell, in air and on its rim; a dead one behind the opaque
# layer of rows 8 to 15 cannot be told from a good one
HOT = [(10, 128), (20, 20), (5, 74)]
DEAD = [(22, 150), (25, 30)]
FLICKERING = [(20, 100), (27, 200)]
# two neighbours, and a column
PAIR = [(18, 60), (18, 61)]
COLUMN = 170


@pytest.fixture(scope="module")
def failed(make_scan):
    """A scan of two layers in which pixels fail after the flats, and the mask of them."""
    scan = make_scan(views=24, rows=32, mu_rows=np.repeat([1.3, 10.2, 2.6, 1.3], 8), hits=3e-4)
    rng = np.random.default_rng(5)
    mask = np.zeros(scan.shape[1:], bool)
    for row, column in HOT + PAIR:
        scan.frames[:, row, column] = 60_000
    for row, column in DEAD:
        scan.frames[:, row, column] = 100
    for row, column in FLICKERING:
        scan.frames[:, row, column] *= rng.choice([0.3, 1.0, 3.0], 24)
    scan.frames[:, :, COLUMN] = 100 + 0.2 * (scan.frames[:, :, COLUMN] - 100)
    for row, column in HOT + PAIR + DEAD + FLICKERING:
        mask[row, column] = True
    mask[:, COLUMN] = True
    return scan, mask


def test_pixels_that_fail_during_the_scan_are_interpolated(failed, make_scan):
    """All of them and no others; the line integrals are those of the pixels around."""
    scan, mask = failed
    correction = prepare_correction(scan)
    np.testing.assert_array_equal(correction.bad_pixels, mask)
    assert any("in the views" in note for note in correction.notes)
    found = correct_frames(scan.frames, correction).line_integrals.mean(axis=0)
    error = found - scan.truth["line_integrals"].mean(axis=0)
    # three standard errors of gains of 0.5 % and of 24 views of 6000 counts behind 2.6 cm⁻¹; rims and layers curve
    assert max(abs(error[place]) for place in [HOT[1], *DEAD, *FLICKERING, *PAIR]) < 0.03


def test_a_scan_without_failures_has_no_bad_pixels_in_its_views(make_scan):
    """Rims, layers, hits, gain drift of 1 % and single dark frames are none."""
    scan = make_scan(
        views=24,
        rows=32,
        mu_rows=np.repeat([1.3, 10.2, 2.6, 1.3], 8),
        hits=3e-3,
        gain_drift=0.01,
        offset=(0, 0),
    )
    assert not prepare_correction(scan).bad_pixels.any()


@pytest.mark.parametrize("views", [1, 2])
def test_too_few_views_say_nothing(views):
    frames = np.ones((views, 9, 9), np.float32)
    frames[:, 4, 4] = 5
    variance = np.full((9, 9), 1e-4, np.float32), np.zeros((9, 9), np.float32)
    assert not bad_in_views(frames, variance).any()


def test_pixels_that_fail_in_flats_and_darks():
    rng = np.random.default_rng(1)
    flats = (1000 + 20 * rng.standard_normal((20, 24, 24))).astype(np.float32)
    darks = (100 + 3 * rng.standard_normal((20, 24, 24))).astype(np.float32)
    flats[:, 3, 4], flats[:, 7, 8] = 300, 2500
    darks[:, 12, 13] += 200
    flats[:, 15, 16] += 300 * rng.standard_normal(20)
    bad = find_bad_pixels(flats.mean(axis=0), darks.mean(axis=0), flats, darks)
    assert np.argwhere(bad).tolist() == [[3, 4], [7, 8], [12, 13], [15, 16]]
