"""Stripes: found where every row shows them, not where a layer ends; removed without harm to what is flat."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.stripes import detect_stripes, judge_stripes, remove_stripes, stripe_scores

VIEWS, ROWS, COLUMNS, NOISE = 120, 24, 96, 0.004


def coaxial_layers(rng, *, off_axis=0.0):
    """Line integrals of two layers of unlike attenuation on the rotation axis, with a step at row 14.3."""
    column = np.arange(COLUMNS) - 47.5
    angle = np.arange(VIEWS) * np.pi / VIEWS
    chord = np.sqrt(np.maximum(900 - (column - off_axis * np.cos(angle)[:, None]) ** 2, 0)) / 30
    share = np.clip(np.arange(ROWS) - 13.8, 0, 1)[:, None]
    level = 0.8 * (1 - share) + 0.1 * share
    sinograms = chord[:, None, :] * level + 0.3 * np.exp(-((column / 40) ** 8))
    return (sinograms + NOISE * rng.standard_normal((VIEWS, ROWS, COLUMNS))).astype(np.float32)


def gain_errors(rng, sigma):
    return (sigma * rng.standard_normal((ROWS, COLUMNS))).astype(np.float32)


def predicted(sigma=0.0005):
    return np.full((ROWS, COLUMNS), sigma**2, np.float32)


def test_the_corners_of_a_coaxial_layer_are_no_stripes():
    """They stand far above the noise at the rows beside the step: removing "stripes" there smears the rim."""
    sinograms = coaxial_layers(np.random.default_rng(1))
    scores = np.abs(stripe_scores(sinograms, open_beam_variance=predicted()))
    assert scores.max() > 50
    assert not detect_stripes(sinograms, open_beam_variance=predicted()).detected


def test_gain_errors_in_every_row_are_stripes():
    rng = np.random.default_rng(2)
    sinograms = coaxial_layers(rng) + gain_errors(rng, 0.005)
    assert detect_stripes(sinograms, open_beam_variance=predicted()).detected


def test_a_few_columns_that_are_off_in_every_row_are_stripes():
    rng = np.random.default_rng(3)
    sinograms = coaxial_layers(rng)
    # neighbouring rows of a fluctuating column differ, otherwise it would be an edge along the rows
    sinograms[:, :, [30, 60, 75]] += 0.05 * rng.standard_normal((1, ROWS, 3)).astype(np.float32)
    report = detect_stripes(sinograms, open_beam_variance=predicted())
    assert report.detected
    assert report.variance_ratio < 3


def test_noise_that_the_open_beam_explains_is_no_stripe():
    rng = np.random.default_rng(4)
    sinograms = coaxial_layers(rng) + gain_errors(rng, 0.003)
    report = detect_stripes(sinograms, open_beam_variance=predicted(0.003))
    assert not report.detected
    # the variance of 24 x 96 pixels is known to some per cent; the views' own noise is in the prediction
    assert report.variance_ratio == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("step", [5, 8, 24])
def test_rows_read_in_parts_give_one_verdict(step):
    rng = np.random.default_rng(5)
    sinograms, shared = coaxial_layers(rng) + gain_errors(rng, 0.001), predicted()
    parts = [
        stripe_scores(
            sinograms[:, max(first - 2, 0) : first + step + 2],
            open_beam_variance=shared[max(first - 2, 0) : first + step + 2],
        )
        for first in range(2, ROWS - 2, step)
    ]
    whole = detect_stripes(sinograms, open_beam_variance=shared)
    assert judge_stripes(np.concatenate(parts)) == whole


def test_sorting_removes_rings_and_leaves_a_flat_layer():
    rng = np.random.default_rng(6)
    clean = coaxial_layers(rng, off_axis=6.0)
    errors = gain_errors(rng, 0.02)
    found = remove_stripes(clean + errors, method="sorting")
    inside = slice(35, 60)
    before, after = (np.std((s - clean).mean(axis=0)[:, inside]) for s in (clean + errors, found))
    # the median of 21 has 0.27 of the deviation of one; ranks that noise has mixed leave a little more
    assert after < 0.36 * before
    # a median over 21 columns of a chord of radius 30: its curvature over ten columns is some 2 per cent at the most
    flat = (found - clean)[:, :, inside].mean()
    assert abs(flat) < 0.01


def test_off_returns_the_input():
    sinograms = coaxial_layers(np.random.default_rng(7))
    assert remove_stripes(sinograms, mode="off") is sinograms
    assert remove_stripes(sinograms, mode="auto", open_beam_variance=predicted()) is sinograms


@pytest.mark.parametrize(("options", "words"), [({"size": 4}, "odd"), ({"mode": "maybe"}, "'auto'")])
def test_wrong_options(options, words):
    with pytest.raises(InputError, match=words):
        remove_stripes(np.zeros((4, 3, 30), np.float32), **options)
