"""From raw frames to line integrals on the device: each step, and all of them, against the CPU."""

from dataclasses import replace

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.correction import (
    Correction,
    clean_transmission,
    correct_frames,
    line_integral_variance,
)
from deltamu.recon.preprocess.flat_drift import FlatDrift
from deltamu.recon.preprocess.hardening import PolynomialHardening, SpectrumHardening, linearise
from deltamu.recon.preprocess.line_spread import LineSpreadTail
from deltamu.recon.preprocess.noise import white_noise
from deltamu.recon.preprocess.scatter import BlackBodyBackground, UniformBackground
from deltamu.recon.preprocess.smooth_surface import smooth_surface
from deltamu.recon.preprocess.transmission import starved_per_row, transmission
from deltamu.recon.preprocess.weights import ray_weights

VIEWS, ROWS, COLUMNS, ADU_PER_COUNT = 3, 24, 60, 5.0
# what is asked of line integrals on a GPU and on the CPU
TOLERANCE = 1e-5


def base():
    """Dark, open beam, spots by their noise, dose by the air at both sides, bias of the logarithm."""
    rng = np.random.default_rng(1)
    flat = (30_000 * (1 + 0.05 * rng.normal(size=(ROWS, COLUMNS)))).astype(np.float32)
    dark = (100 + rng.normal(size=flat.shape)).astype(np.float32)
    bad = np.zeros(flat.shape, bool)
    bad[3, 4], bad[10, 20:23], bad[:, 40] = True, True, True
    noise = white_noise(ADU_PER_COUNT, read_variance=4.0, gain_drift=0.0, origin="given")
    return Correction(dark, flat, 20.0, bad, ((0, 8), (52, 60)), noise, (1e-6, ADU_PER_COUNT / 30_000))


def raw_frames(correction):
    """A cylinder that is opaque in some rows, in a beam of changing dose, with hits, as a camera stores it."""
    rng = np.random.default_rng(2)
    chord = np.sqrt(np.maximum(1 - (np.linspace(-1.5, 1.5, COLUMNS)) ** 2, 0))
    depth = np.where(np.arange(ROWS) % 12 < 4, 9.0, 1.5)[:, None] * chord
    dose = np.array([1.0, 0.9, 1.1])[:, None, None]
    counts = rng.poisson(dose * np.exp(-depth) * correction.flat / ADU_PER_COUNT)
    hits = np.where(rng.random(counts.shape) < 0.01, rng.exponential(6000, counts.shape), 0)
    return np.clip(ADU_PER_COUNT * counts + hits + correction.dark, 0, 65535).astype(np.uint16)


def surface():
    places = np.array([[4, 8], [4, 50], [20, 8], [20, 50], [12, 30]], float)
    levels = 0.02 + 0.005 * np.random.default_rng(3).random((VIEWS, 5))
    return BlackBodyBackground(
        smooth_surface(places, (ROWS, COLUMNS)), places, levels, np.full(5, 0.015), 0.95
    )


def corners():
    found = np.zeros((ROWS, COLUMNS), np.float32)
    found[4:12, 12:18] = 0.01
    return found


DRIFT = FlatDrift(
    0.01 * np.cos(np.linspace(0, 3, COLUMNS, dtype=np.float32)) * np.ones((ROWS, 1), np.float32),
    np.array([-0.5, 0.0, 0.5]),
)
STEPS = {
    "default": {},
    "no spots": {"spot_noise": None},
    "dark spots": {"dark_spots": True},
    "corners": {"corner_variance": corners()},
    "no dose": {"air_columns": ()},
    "counted dose": {"doses": np.array([1.0, 0.9, 1.1])},
    "inert region": {"inert_region": (5, 10, 0, 6), "inert_level": 0.98},
    "uniform background": {"background": UniformBackground(0.02)},
    "black bodies": {"background": surface()},
    "tail": {"tail": LineSpreadTail(0.05, 6.0)},
    "drift": {"flat_drift": DRIFT},
    "counts not known": {
        "noise": white_noise(ADU_PER_COUNT, read_variance=0.0, gain_drift=0.0, origin="views")
    },
    "all": {
        "dark_spots": True,
        "corner_variance": corners(),
        "background": surface(),
        "tail": LineSpreadTail(0.05, 6.0),
        "flat_drift": DRIFT,
    },
}


@pytest.mark.parametrize("step", STEPS)
def test_same_line_integrals_as_on_the_cpu(device, step):
    correction = replace(base(), **STEPS[step])
    raw = raw_frames(correction)
    expected = correct_frames(raw, correction)
    found = correct_frames(device.asarray(raw), correction)
    assert isinstance(found.line_integrals, device.ndarray)
    assert found.line_integrals.dtype == np.float32
    assert np.abs(found.line_integrals.get() - expected.line_integrals).max() <= TOLERANCE
    assert np.array_equal(found.starved.get(), expected.starved)
    assert 0 < np.count_nonzero(expected.starved) < raw.size / 2
    assert np.array_equal(found.spots_fraction, expected.spots_fraction)
    assert np.allclose(found.dose, expected.dose, rtol=1e-6, atol=0)


def test_each_step_does_something():
    """Otherwise the comparison above would say nothing of it."""
    raw = raw_frames(base())
    default = correct_frames(raw, base()).line_integrals
    for step, options in STEPS.items():
        changed = correct_frames(raw, replace(base(), **options)).line_integrals
        assert (step == "default") == np.array_equal(changed, default), step


def test_spots_and_radiographs_are_the_same(device):
    correction = replace(base(), **STEPS["all"])
    raw = raw_frames(correction)
    there, here = clean_transmission(device.asarray(raw), correction), clean_transmission(raw, correction)
    assert np.array_equal(there[0].get(), here[0])
    seen = transmission(device.asarray(raw), correction).get()
    # a transmission of 1 divides by the dose, whose sum may be taken in another order
    assert np.abs(seen - transmission(raw, correction)).max() <= 2e-6


@pytest.mark.parametrize("step", ["default", "black bodies", "uniform background"])
def test_variance_and_weights_stay_there(device, agree, step):
    correction = replace(base(), **STEPS[step])
    corrected = correct_frames(raw_frames(correction), correction)
    expected = line_integral_variance(corrected.line_integrals, corrected.dose, correction)
    lines = device.asarray(corrected.line_integrals)
    found = line_integral_variance(lines, corrected.dose, correction)
    agree(found, expected, 1e-6)
    agree(ray_weights(found, correction), ray_weights(expected, correction), 1e-6)
    some = slice(4, 12)
    part = line_integral_variance(lines[:, some], corrected.dose, correction, rows=some)
    agree(part, expected[:, some], 1e-6)
    there = correct_frames(device.asarray(raw_frames(correction)), correction)
    assert starved_per_row(there).tolist() == starved_per_row(corrected).tolist()


def test_maps_are_copied_once(device):
    correction = replace(base(), **STEPS["all"])
    raw = device.asarray(raw_frames(correction))
    moved = correction.beside(raw)
    assert correction.beside(raw) is moved
    assert moved.background.surface.rows is correction.background.beside(raw).surface.rows
    assert isinstance(moved.flat, device.ndarray)
    assert isinstance(correction.flat, np.ndarray)
    # another correction that is made of it has maps of its own
    assert replace(correction, dark=correction.dark + 1).beside(raw) is not moved


@pytest.mark.parametrize(
    "hardening",
    [SpectrumHardening(4.0), PolynomialHardening((1.0, 0.03), 3.0)],
    ids=["spectrum", "polynomial"],
)
def test_hardening_is_undone_there(device, hardening):
    """Also of some rows of a larger array, which are not contiguous."""
    depth = np.random.default_rng(6).uniform(-0.05, 4, (3, 8, 50)).astype(np.float32)
    casing = np.full(50, 0.02, np.float32)
    for inert in (None, casing):
        expected = linearise(depth[:, 2:5], hardening, inert=inert)
        assert np.abs(expected[0] - depth[:, 2:5]).max() > 0.1
        moved = None if inert is None else device.asarray(inert)
        found = linearise(device.asarray(depth)[:, 2:5], hardening, inert=moved)
        for there, here in zip(found, expected, strict=True):
            assert there.dtype == np.float32
            assert np.abs(there.get() - here).max() <= TOLERANCE


def test_frames_in_the_dark_are_refused_there_too(device):
    dark = np.broadcast_to(base().dark, (VIEWS, ROWS, COLUMNS)).copy()
    with pytest.raises(InputError, match="projection 7: no beam"):
        correct_frames(device.asarray(dark), base(), first_view=7)
    with pytest.raises(InputError, match="projection 7: every pixel has too few counts"):
        correct_frames(device.asarray(dark), replace(base(), air_columns=()), first_view=7)
