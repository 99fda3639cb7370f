"""A beam whose shape changes during the scan: seen between the flats before and after, and undone in between."""

from dataclasses import replace

import numpy as np

from deltamu.recon.preprocess.correction import correct_frames
from deltamu.recon.preprocess.flat_drift import view_shares
from deltamu.recon.preprocess.prepare import prepare_correction


def drifting(scan, strength):
    """The same frames in a beam that tilts by `strength` from the first flat to the last."""
    columns = np.linspace(-0.5, 0.5, scan.shape[2])
    dark, before = scan.darks.mean(axis=0), scan.flats_after
    share = (np.arange(scan.shape[0]) + 0.5) / scan.shape[0]

    def tilted(frames, shares):
        return ((frames - dark) * (1 + strength * shares[:, None, None] * columns) + dark).astype(np.float32)

    ends = np.repeat([0.0, 1.0], [before, len(scan.flats) - before])
    return replace(scan, frames=tilted(scan.frames, share), flats=tilted(scan.flats, ends))


def test_the_beam_is_followed_between_the_flats(make_scan):
    """4 % across the field: air at the left and at the right side is air in every view."""
    scan = drifting(make_scan(views=16, hits=1e-4), 0.04)
    correction = prepare_correction(scan)
    assert correction.flat_drift is not None
    assert any("interpolated in time" in note for note in correction.notes)
    tilts = [
        lean_of_air(correct_frames(scan.frames, how).line_integrals - scan.truth["line_integrals"])
        for how in (replace(correction, flat_drift=None), correction)
    ]
    np.testing.assert_allclose(tilts[0][[0, -1]], [-0.017, 0.017], atol=0.003)
    # the noise of a mean of 24 x 32 pixels is 0.0005, twice in a difference
    assert np.abs(tilts[1]).max() < 0.003


def lean_of_air(error):
    """Left minus right edge of every view; the dose, which takes the mean of both, cannot change it."""
    return error[:, :, 2:26].mean(axis=(1, 2)) - error[:, :, -26:-2].mean(axis=(1, 2))


def test_a_steady_beam_is_left_alone(make_scan):
    assert prepare_correction(make_scan(views=16, gain_drift=0.001, hits=1e-4)).flat_drift is None
    assert prepare_correction(make_scan(views=16, flats=(20, 0))).flat_drift is None


def test_views_stand_between_the_flats_by_time_where_it_is_known(make_scan):
    scan = make_scan(views=4, flats=(10, 30))
    sets = (scan.flats[:10], scan.flats[10:])
    np.testing.assert_allclose(view_shares(scan, sets), np.array([0.125, 0.375, 0.625, 0.875]) - 0.75)
    scan.times_s, scan.flat_times_s = np.array([10.0, 20, 30, 90]), np.repeat([0.0, 100.0], [10, 30])
    np.testing.assert_allclose(view_shares(scan, sets), np.array([0.1, 0.2, 0.3, 0.9]) - 0.75)
