"""Spots found by the frames before and after."""

import numpy as np

from deltamu.recon.operando.temporal_spots import SpotNoise, find_temporal_spots

SHAPE = (80, 90)


def frames(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    level = np.where(np.arange(SHAPE[0]) < 40, 0.1, 0.9)[:, None]
    return [(rng.poisson(level * 2000, SHAPE) / 2000).astype(np.float32) for _ in range(3)]


def noise() -> SpotNoise:
    return SpotNoise(np.zeros(SHAPE, np.float32), np.full(SHAPE, 1 / 2000, np.float32), 5.0)


def test_hits_are_replaced_also_on_an_edge_and_at_the_border():
    before, frame, after = frames(1)
    hits = [(39, 20), (40, 50), (0, 0), (79, 89), (60, 0)]
    clean = frame.copy()
    for row, column in hits:
        frame[row, column] += 1.5
    spots, values = find_temporal_spots(frame, before, after, noise())
    assert {row * SHAPE[1] + column for row, column in hits} <= set(spots.tolist())
    # what is flagged beside hits and by chance: neighbours from 2.5 σ on
    assert spots.size < 4 * len(hits)
    frame.ravel()[spots] = values
    assert np.abs(frame - clean).max() < 8 * np.sqrt(0.9 / 2000)


def test_noise_alone_is_left_alone():
    before, frame, after = frames(2)
    spots, _ = find_temporal_spots(frame, before, after, noise())
    # a pixel exceeds the brighter of two by 5 σ with a chance below 1e-6; 7200 pixels
    assert spots.size == 0


def test_a_hit_in_a_neighbour_does_not_spread():
    before, frame, after = frames(3)
    frame[10, 10] += 2.0
    before[10, 10] += 1.5
    spots, values = find_temporal_spots(frame, before, after, noise())
    where = np.flatnonzero(spots == 10 * SHAPE[1] + 10)
    assert where.size == 1
    assert abs(values[where[0]] - 0.1) < 8 * np.sqrt(0.1 / 2000)


def test_hits_in_two_frames_in_a_row_are_both_found():
    before, frame, after = frames(4)
    frame[50, 50] += 1.5
    after[50, 50] += 0.9
    spots, values = find_temporal_spots(frame, before, after, noise())
    where = np.flatnonzero(spots == 50 * SHAPE[1] + 50)
    assert where.size == 1
    assert abs(values[where[0]] - 0.9) < 8 * np.sqrt(0.9 / 2000)
