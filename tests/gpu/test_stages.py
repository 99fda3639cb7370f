"""Stages around the reconstruction that keep arrays where they are."""

import numpy as np
import pytest

from deltamu.recon.change.difference import difference
from deltamu.recon.change.resampling import resample
from deltamu.recon.errors import InputError
from deltamu.recon.geometry import RigidTransform
from deltamu.recon.preprocess.stripe_audit import audit_stripes
from deltamu.recon.preprocess.stripes import detect_stripes, remove_stripes, stripe_scores


def rings():
    rng = np.random.default_rng(1)
    return (rng.normal(size=(40, 3, 30)) + 3 * rng.normal(size=(3, 30))).astype(np.float32)


@pytest.mark.parametrize(("method", "mode"), [("sorting", "on"), ("sorting", "auto"), ("gains", "on")])
def test_stripes_are_removed_there(device, agree, method, mode):
    expected = remove_stripes(rings(), method=method, mode=mode, size=5)
    assert (expected != rings()).any()
    # a median chooses one of the values; a mean over the angles may be summed in another order
    tolerance = 1e-6 if method == "gains" else 0
    agree(remove_stripes(device.asarray(rings()), method=method, mode=mode, size=5), expected, tolerance)


def wide_and_dead():
    """Smooth views with a wide stripe, a column that does not respond and one that fluctuates."""
    rng = np.random.default_rng(4)
    views = 1 + 0.5 * np.cos(np.add.outer(np.arange(60) / 9, np.arange(90) / 20))[:, None]
    views = (views + 0.01 * rng.normal(size=(60, 2, 90))).astype(np.float32)
    views[:, :, 20:26] *= 1.3
    views[:, :, 50] = 0.9
    views[:, :, 70] += rng.normal(size=(60, 2))
    return views


@pytest.mark.parametrize("method", ["large", "dead", "all"])
def test_defects_are_removed_there(device, agree, method):
    expected = remove_stripes(wide_and_dead(), method=method, size=21)
    found = remove_stripes(device.asarray(wide_and_dead()), method=method, size=21)
    # means may be summed in another order
    agree(found, expected, 3e-6)
    changed = np.abs(expected - wide_and_dead()).max(axis=(0, 1))
    assert min(changed[[22, 50, 70]]) > 0.1
    there, here = (
        audit_stripes(device.asarray(wide_and_dead()), found),
        audit_stripes(wide_and_dead(), expected),
    )
    assert there.removed_rms == pytest.approx(here.removed_rms, rel=1e-5)
    assert there.object_share == pytest.approx(here.object_share, abs=1e-4)


def test_stripes_are_looked_for_there(device, agree):
    known = {
        "open_beam_variance": np.full((7, 30), 0.01, np.float32),
        "autocorrelation": np.full((3, 3), 1 / 9),
    }
    views = np.random.default_rng(5).normal(size=(40, 7, 30)).astype(np.float32)
    for options in ({}, known):
        # medians choose; the mean over the angles may be summed in another order
        agree(stripe_scores(device.asarray(views), **options), stripe_scores(views, **options), 1e-6)
    found = detect_stripes(device.asarray(views), **known)
    expected = detect_stripes(views, **known)
    assert found.variance_ratio == pytest.approx(expected.variance_ratio, rel=1e-5)
    assert found.strong_fraction == expected.strong_fraction


def test_filters_that_are_not_there_are_named(device):
    with pytest.raises(InputError, match="'wavelet'"):
        remove_stripes(device.asarray(rings()), method="wavelet", size=5)


def test_nothing_but_maps_goes_to_the_host(device, monkeypatch):
    """Neither line integrals nor the sinograms of a row are fetched on the way."""
    largest = []
    fetch = device.ndarray.get

    def watched(array, *arguments, **options):
        largest.append(array.ndim)
        return fetch(array, *arguments, **options)

    if device.__version__ != "0.0.fake":
        pytest.skip("only the stand-in can be watched")
    monkeypatch.setattr(device.ndarray, "get", watched)
    views = device.asarray(wide_and_dead())
    for method in ("gains", "sorting", "large", "dead", "all"):
        remove_stripes(views, method=method, mode="on", size=21)
        assert max(largest, default=0) <= (2 if method == "gains" else 1), method
        largest.clear()
    remove_stripes(views, mode="auto")
    assert max(largest, default=0) <= 2


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("z_range", [None, (2, 6), (40, 42)])
def test_a_state_is_resampled_and_subtracted_there(device, agree, order, z_range):
    rng = np.random.default_rng(2)
    reference, moving = rng.normal(size=(2, 9, 8, 10)).astype(np.float32)
    motion = RigidTransform((2.0, -1.0, 3.0), (0.01, 0.02, -0.03))
    options = {"voxel_size_mm": 0.05, "order": order, "z_range": z_range, "reference_shape": (50, 8, 10)}
    expected = resample(moving, motion, **options)
    found = resample(device.asarray(moving), motion, **options)
    agree(found, expected, 2e-6)
    if z_range == (2, 6):
        part = reference[2:6]
        change = difference(device.asarray(part), found, sigma_reference=0.1, sigma_moving=0.2)
        on_cpu = difference(part, expected, sigma_reference=0.1, sigma_moving=0.2)
        agree(change.delta_mu, on_cpu.delta_mu, 2e-6)
        agree(change.z_score, on_cpu.z_score, 2e-6)
        assert change.missing == on_cpu.missing
