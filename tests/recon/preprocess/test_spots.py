"""Gamma spots of the simulated camera: what is found, what else is touched, and what is left in −ln T."""

from dataclasses import replace

import numpy as np
import pytest

from deltamu.recon.preprocess.correction import clean_transmission, correct_frames
from deltamu.recon.preprocess.prepare import prepare_correction
from deltamu.recon.scans.read import scan_from_arrays
from deltamu.recon.simulate.detector import expose, make_detector
from deltamu.recon.simulate.presets import Instrument, Preset, find_beam

PRESET = Preset(rows=96, columns=384, views=24, pixel_size_mm=0.036, counts=6_000)
INSTRUMENT = Instrument()


def frames(detector, transmission, first, *, hits):
    """Frames of one seed each: the gamma hits are drawn last, so that without them the rest is the same."""
    instrument = INSTRUMENT if hits else replace(INSTRUMENT, spot_rate=0.0)
    camera = replace(detector, instrument=instrument)
    return np.stack([
        expose(camera, image, camera.gain, dose=1.0, rng=np.random.default_rng([7, first + number]))
        for number, image in enumerate(transmission)
    ])  # fmt: skip


@pytest.fixture(scope="module")
def shots(make_scan):
    """Frames that are made once."""
    return make_shots(make_scan)


def make_shots(make_scan):
    """Views with and without hits of the same neutrons, their correction, and the noise of a pixel in transmission."""
    angles = np.arange(PRESET.views) * np.pi / PRESET.views
    steps = np.repeat([0.4, 1.3, 2.4, 2.6, 1.3, 0.4], PRESET.rows // 6)
    shape = {"views": PRESET.views, "rows": PRESET.rows, "columns": PRESET.columns}
    depth = make_scan(**shape, mu_rows=steps, flats=(1, 0), darks=1).truth["line_integrals"]
    detector = make_detector(PRESET, find_beam("ideal"), INSTRUMENT, seed=3)
    transmission = np.exp(-depth)
    with_hits, without = (frames(detector, transmission, 0, hits=hits) for hits in (True, False))
    flats = frames(detector, [None] * 20, 500, hits=True)
    darks = np.full((5, PRESET.rows, PRESET.columns), INSTRUMENT.offset_adu, np.float32)
    darks += np.random.default_rng(4).normal(0, 4, darks.shape).astype(np.float32)
    scan = scan_from_arrays(with_hits, np.degrees(angles), flats=flats, darks=darks, pixel_size_mm=0.036)
    correction = prepare_correction(scan)
    sigma = np.sqrt(INSTRUMENT.excess_noise * transmission / PRESET.counts) * np.sqrt(
        correction.noise.pixel_fraction
    )
    return with_hits, without, correction, sigma


def test_hits_are_found_and_nothing_else(shots):
    """At least 99 % above 8 σ of the local noise, 95 % above 6 σ; at most 0.05 % of the good pixels touched."""
    with_hits, without, correction, sigma = shots
    plain, _ = clean_transmission(with_hits, replace(correction, spot_noise=None))
    cleaned, fraction = clean_transmission(with_hits, correction)
    touched = plain != cleaned
    free = clean_transmission(without, replace(correction, spot_noise=None))[0]
    excess = (plain - free) / sigma
    good = ~np.broadcast_to(correction.bad_pixels, excess.shape)
    for limit, share in ((8, 0.99), (6, 0.95)):
        hit = good & (excess > limit)
        assert np.count_nonzero(hit) > 500
        assert touched[hit].mean() >= share, limit
    untouched = good & (np.abs(excess) < 1e-3)
    assert touched[untouched].mean() <= 5e-4
    assert fraction.mean() == pytest.approx(touched.mean())


def test_dark_spots_where_they_are_asked_for(shots):
    """Single and clustered, to half of the transmission; otherwise nothing but what bright spots need is replaced."""
    _, without, correction, sigma = shots
    rng = np.random.default_rng(6)
    shape = without.shape
    dirty, spots = without.astype(np.float32), np.zeros(shape, bool)
    for view, row, column in zip(*(rng.integers(6, n - 6, 150) for n in shape), strict=True):
        size = rng.integers(1, 4)
        spots[view, row : row + size, column : column + size] = True
    dark = correction.dark
    dirty = np.where(spots, dark + 0.5 * (dirty - dark), dirty)
    plain, _ = clean_transmission(dirty, replace(correction, spot_noise=None))
    bright, _ = clean_transmission(dirty, correction)
    both, _ = clean_transmission(dirty, replace(correction, dark_spots=True))
    good = ~np.broadcast_to(correction.bad_pixels, shape)
    deep = spots & good & (0.5 * plain / sigma > 8)
    assert np.count_nonzero(deep) > 300
    # beside the faces between layers, which are sharp here, the median is that of the other layer
    assert (plain != both)[deep].mean() > 0.97
    assert (plain != bright)[deep].mean() < 0.01
    assert ((plain != both) & good & ~spots).mean() < 5e-4


def test_missed_hits_leave_no_bias(shots):
    """The mean of −ln T beside that of the same neutrons without a hit: less than 1e-4."""
    with_hits, without, correction, _ = shots
    dirty, clean = (correct_frames(raw, correction).line_integrals for raw in (with_hits, without))
    assert abs(float((dirty - clean).mean(dtype=np.float64))) < 1e-4
