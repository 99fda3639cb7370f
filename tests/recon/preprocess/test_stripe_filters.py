"""Stripe filters beside algotom's, what they do to rings and to flat layers, and the audit of what they removed."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.stripe_audit import audit_stripes
from deltamu.recon.preprocess.stripe_filters import (
    sorted_median,
    stripe_columns,
    wavelet_fourier,
    without_all_stripes,
    without_dead_stripes,
    without_large_stripes,
)
from deltamu.recon.preprocess.stripes import remove_stripes
from deltamu.recon.solvers.fbp import fbp

VIEWS, COLUMNS, PIXEL_MM = 181, 257, 0.04


def disc_sinogram(rng, *, noise=0.01, radius=80.0, offset=9.0, views=VIEWS):
    angle = np.arange(views) * np.pi / views
    column = np.arange(COLUMNS) - (COLUMNS - 1) / 2
    chord = 2 * np.sqrt(np.maximum(radius**2 - (column - offset * np.cos(angle)[:, None]) ** 2, 0)) / radius
    return (chord + 0.2 + noise * rng.standard_normal(chord.shape)).astype(np.float32)


def striped(rng):
    """Small stripes everywhere, a wide one, a dead column and one that fluctuates."""
    sinogram = disc_sinogram(rng)
    sinogram += 0.02 * rng.standard_normal(COLUMNS).astype(np.float32)
    sinogram[:, 60:66] *= 1.2
    sinogram[:, 150] = 0.9
    sinogram[:, 190] += rng.standard_normal(VIEWS).astype(np.float32)
    return sinogram


@pytest.mark.parametrize(
    ("ours", "theirs", "size"),
    [
        (sorted_median, lambda a, r: r.remove_stripe_based_sorting(a, 21), 21),
        (without_large_stripes, lambda a, r: r.remove_large_stripe(a, 3.0, 51), 51),
        (without_dead_stripes, lambda a, r: r.remove_dead_stripe(a, 3.0, 51), 51),
        (without_all_stripes, lambda a, r: r.remove_all_stripe(a, 3.0, 51, 21), 21),
    ],
)
def test_the_same_as_algotom(ours, theirs, size):
    """To the rounding of float32, away from the border: beyond it algotom mirrors half a pixel farther out."""
    removal = pytest.importorskip("algotom.prep.removal")
    sinogram = striped(np.random.default_rng(5))
    expected = theirs(sinogram, removal)
    inner = np.s_[:, 52:-52]
    np.testing.assert_allclose(ours(sinogram, size)[inner], expected[inner], atol=3e-6)


def test_the_wavelet_filter_removes_what_algotoms_does():
    """Not the same to rounding: algotom's window misses frequency zero by one where the length is even."""
    removal = pytest.importorskip("algotom.prep.removal")
    sinogram = disc_sinogram(np.random.default_rng(6))
    errors = 0.03 * np.random.default_rng(7).standard_normal(COLUMNS).astype(np.float32)
    ours = wavelet_fourier(sinogram + errors) - wavelet_fourier(sinogram)
    theirs = removal.remove_stripe_based_wavelet_fft(
        sinogram + errors, 3
    ) - removal.remove_stripe_based_wavelet_fft(sinogram, 3)
    # what is left of the stripes: nothing from column to column, what is wider than the coarsest wavelet in all
    assert np.diff(ours, 2).std() < 0.01 * np.diff(errors, 2).std()
    assert np.std(ours) < 1.05 * np.std(theirs)


def test_defects_stand_out():
    rng = np.random.default_rng(1)
    values = 1 + 0.01 * rng.standard_normal(400)
    values[[30, 200]] = 1.4, 0.5
    assert np.flatnonzero(stripe_columns(values)).tolist() == [30, 200]
    assert not stripe_columns(np.ones(100)).any()


def layers(rows=20):
    """Attenuation of flat layers, one per few rows, cm⁻¹."""
    return np.repeat([1.4, 2.6, 2.9, 1.3], rows // 4)


def gain_errors(rows, views, offset):
    """Line integrals of flat layers with the noise of a view, and gain errors of 0.5 %."""
    rng = np.random.default_rng(8)
    shape = disc_sinogram(rng, noise=0.0, radius=75.0, views=views, offset=offset) - 0.2
    clean = shape[:, None] * (layers(rows)[:, None] * 75.0 * PIXEL_MM / 10).astype(np.float32)
    clean += (0.003 * rng.standard_normal(clean.shape)).astype(np.float32)
    return clean, (0.005 * rng.standard_normal(clean.shape[1:])).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "offset"), [("gains", 9.0), ("gains", 0.0), ("wavelet", 9.0)])
def test_rings_go_and_flat_layers_stay(method, offset):
    """Gain drift of 0.5 %: rings at least ten times weaker, the mean of flat layers within 0.3 %.

    Rings are the second difference of the mean over circles, which is blind to what is smooth over columns. The default
    (gains) keeps the rim of a disc on the axis, where Münch's filter does not.
    """
    rows, views = 40, 200
    clean, gains = gain_errors(rows, views, offset)
    angles = np.arange(views) * np.pi / views
    options = {"center": (COLUMNS - 1) / 2, "pixel_size_mm": PIXEL_MM}
    treated = remove_stripes(clean + gains, method=method)
    plain, ringed, found = (fbp(s, angles, **options) for s in (clean, clean + gains, treated))
    assert _rings(found - plain) < _rings(ringed - plain) / 10
    y, x = np.mgrid[:COLUMNS, :COLUMNS] - (COLUMNS - 1) / 2
    core = np.hypot(y, x) < 55
    change = (found - plain)[:, core].mean(axis=1).reshape(4, -1).mean(axis=1)
    assert np.all(np.abs(change) < 0.003 * layers(4))
    warned = "follows the object" in audit_stripes(clean + gains, treated).warning
    assert warned == (method == "wavelet")


def test_the_rim_on_the_axis_is_no_gain():
    """Without gain errors the filter takes out what noise is; a rim goes on over the rows and stays."""
    coaxial, _ = gain_errors(40, 200, 0.0)
    taken = coaxial - remove_stripes(coaxial, method="gains")
    # noise of a view over the root of the views, of which a parabola keeps some; the rims are a hundred times as high
    assert np.sqrt(np.mean(taken**2)) < 1.3 * 0.003 / np.sqrt(200)


def _rings(difference):
    y, x = np.mgrid[:COLUMNS, :COLUMNS] - (COLUMNS - 1) / 2
    radius = np.hypot(y, x).round().astype(int)
    inside = (radius > 10) & (radius < 60)
    contrasts = []
    for image in difference:
        means = np.bincount(radius[inside], image[inside])[11:60] / np.bincount(radius[inside])[11:60]
        contrasts.append(np.diff(means, 2).std())
    return float(np.mean(contrasts))


def test_the_audit_tells_gains_from_edges():
    rng = np.random.default_rng(9)
    coaxial = np.stack([disc_sinogram(rng, offset=0.0) * level for level in layers()], axis=1)
    gains = 0.02 * rng.standard_normal(coaxial.shape[1:])
    good = audit_stripes(coaxial + gains, coaxial)
    # chance: three standard deviations of a correlation over 4600 pixels
    assert good.object_share < 0.045
    assert not good.warning
    assert good.removed_rms == pytest.approx(0.02, rel=0.05)
    damaged = audit_stripes(coaxial, remove_stripes(coaxial, method="sorting", size=41))
    assert damaged.object_share > 0.5
    assert "follows the object" in damaged.warning
    assert audit_stripes(coaxial, coaxial).removed_rms == 0


@pytest.mark.parametrize("method", ["gains", "sorting", "large", "dead", "all", "wavelet"])
def test_every_method_by_its_name(method):
    sinogram = striped(np.random.default_rng(5))
    found = remove_stripes(sinogram[:, None], method=method)
    assert found.shape == (VIEWS, 1, COLUMNS)
    assert found.dtype == np.float32
    columns = (sinogram.mean(axis=0), found[:, 0].mean(axis=0))
    before, after = (np.diff(c, 2)[60:-60].std() for c in columns)
    assert after < before


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="stripes"):
        remove_stripes(np.zeros((9, 2, 40), np.float32), method="magic")
    with pytest.raises(InputError, match="wavelets"):
        wavelet_fourier(np.zeros((10, 40), np.float32))
    with pytest.raises(InputError, match="shape"):
        audit_stripes(np.zeros((4, 3, 30)), np.zeros((4, 3, 31)))
