"""Shifts of single views and the tilt of the axis, measured and taken out in a run."""

import json

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from deltamu.recon.errors import InputError
from deltamu.recon.preprocess.alignment import shifted_columns, without_gauge
from deltamu.recon.preprocess.axis_tilt import axis_tilt
from deltamu.recon.preprocess.moments import view_moments
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.study.aligning import alignment_of, measure_alignment
from deltamu.recon.study.pipeline import run
from deltamu.recon.study.settings import study_from_table
from deltamu.recon.study.settings_reconstruction import AlignmentSettings
from deltamu.recon.volumes.open import open_image

VIEWS, ROWS, COLUMNS, CENTER, PIXEL_MM = 181, 48, 128, 66.4, 0.05
ANGLES = np.arange(VIEWS) * np.pi / VIEWS
MIDDLE = (ROWS - 1) / 2
# (bottom, top, radius, place (x, y), attenuation per pixel): layers that lie beside the axis, each at another place
LAYERS = ((-30, -7, 40, (4, 2), 0.015), (-7, 3, 40, (-3, 6), 0.03), (3, 30, 30, (-8, 4), 0.02))
DEPTHS = 24


def views(*, column_px=0.0, row_px=0.0, roll_deg=0.0, lean_deg=0.0, layers=LAYERS):
    """Line integrals through the layers along rays that the geometry defines, summed over 24 depths of every disc."""
    lean, roll = np.tan(np.radians([lean_deg, roll_deg]))
    found = np.zeros((VIEWS, ROWS, COLUMNS))
    for k, (theta, dc, dr) in enumerate(
        zip(ANGLES, column_px + np.zeros(VIEWS), row_px + np.zeros(VIEWS), strict=True)
    ):
        row = (np.arange(ROWS) - MIDDLE - dr)[:, None]
        column = (np.arange(COLUMNS) - CENTER - dc)[None, :]
        across, height = column - roll * row, row + roll * column
        for bottom, top, radius, (x, y), mu in layers:
            half = np.sqrt(np.maximum(radius**2 - (across - x * np.cos(theta) - y * np.sin(theta)) ** 2, 0))
            middle = -x * np.sin(theta) + y * np.cos(theta)
            for share in (np.arange(DEPTHS) + 0.5) / DEPTHS * 2 - 1:
                z = height + lean * (middle + half * share)
                inside = np.clip(z - bottom + 0.5, 0, 1) - np.clip(z - top + 0.5, 0, 1)
                found[k] += mu * inside * half * 2 / DEPTHS
    return gaussian_filter(found, (0, 0.8, 0.8)).astype(np.float32)


def motions(name):
    rng, place = np.random.default_rng(2), np.arange(VIEWS) / VIEWS
    return {
        "jumps": (3.0 * (place > 0.5), -3.0 * (place > 0.35)),
        "drift": (2.0 * place**2, 2.0 * place - 1),
        "jitter": (0.3 * rng.standard_normal(VIEWS), 0.3 * rng.standard_normal(VIEWS)),
    }[name]


def noisy(line_integrals, seed=1):
    """The noise of a thousand counts."""
    return line_integrals + (0.03 * np.random.default_rng(seed).standard_normal(line_integrals.shape)).astype(
        np.float32
    )


@pytest.mark.parametrize("name", ["jumps", "drift", "jitter"])
def test_motions_are_measured_to_a_tenth_of_a_pixel(name):
    """Jumps of 3 px in the middle of a scan, drift of 2 px, jitter of 0.3 px, along columns and rows, up to the gauge."""
    column_px, row_px = motions(name)
    stack = noisy(views(column_px=column_px, row_px=row_px))
    found = alignment_of(measure_alignment(stack, ANGLES, AlignmentSettings(views=True)), VIEWS)
    assert np.sqrt(np.mean((found.column_px - without_gauge(column_px, ANGLES)) ** 2)) < 0.1
    assert np.sqrt(np.mean((found.row_px - (row_px - row_px.mean())) ** 2)) < 0.1


@pytest.mark.parametrize(("roll", "lean"), [(0.1, 0.0), (0.0, 0.1), (0.2, -0.15)])
def test_tilt_in_both_directions_to_two_hundredths_of_a_degree(roll, lean):
    moments = view_moments([noisy(views(roll_deg=roll, lean_deg=lean))])
    found = axis_tilt(moments, ANGLES)
    assert found.roll_deg == pytest.approx(roll, abs=0.02)
    assert found.lean_deg == pytest.approx(lean, abs=0.02)
    assert max(found.roll_error_deg, found.lean_error_deg) < 0.02


def test_a_lean_that_cannot_be_told_is_not_applied():
    """The centre of mass lies on the axis: no mass of a row changes with the angle."""
    central = tuple((bottom, top, radius, (0, 0), mu) for bottom, top, radius, _, mu in LAYERS)
    found = measure_alignment(
        noisy(views(lean_deg=0.1, layers=central)), ANGLES, AlignmentSettings(tilt=True)
    )
    assert found["lean_deg"] is None
    assert found["applied_lean_deg"] == 0
    assert found["roll_deg"] == pytest.approx(0, abs=0.02)


def write_scan(path, line_integrals):
    beam, dark = 20_000.0, 100.0
    with h5py.File(path, "w") as file:
        file["exchange/data"] = np.rint(dark + beam * np.exp(-line_integrals)).astype(np.uint16)
        file["exchange/data_white"] = np.full((4, ROWS, COLUMNS), dark + beam, np.uint16)
        file["exchange/data_dark"] = np.full((4, ROWS, COLUMNS), dark, np.uint16)
        file["exchange/theta"] = np.degrees(ANGLES)
        file["exchange/theta"].attrs["units"] = "deg"


def as_they_are(line_integrals):
    return fbp(line_integrals, ANGLES, center=CENTER, pixel_size_mm=PIXEL_MM, filter="hann")


@pytest.mark.slow
def test_a_run_takes_out_jumps_and_tilt(tmp_path):
    """What is left of the displacement in the volume, against what it is without correction."""
    column_px, row_px = motions("jumps")
    moved = views(column_px=column_px, row_px=row_px, roll_deg=0.4)
    write_scan(tmp_path / "one.h5", moved)
    table = {
        "reference": "one", "alignment": {"views": True, "tilt": True}, "scan": {"pixel_size_mm": PIXEL_MM},
        "states": {"one": {"scan": "one.h5"}}, "preprocess": {"spots": False, "dose": "none", "stripes": "on"},
    }  # fmt: skip
    output = run(study_from_table(table, folder=tmp_path))
    aligned = np.asarray(open_image(output / "study.zarr/states/one/attenuation")[:])
    # the gauge: shifts have no mean of their own, and what of them a displaced sample would do is left to it
    rows = round(float(row_px.mean()))
    place = column_px - without_gauge(column_px, ANGLES)
    still = as_they_are(shifted_columns(views(), place - place.mean()))
    error = [np.abs(np.roll(v, -rows, 0) - still)[8:-8].mean() for v in (as_they_are(moved), aligned)]
    # a fraction of a row is left of the mean of the shifts, and faces of layers show it
    assert error[1] < 0.3 * error[0]
    summary = json.loads((output / "summary.json").read_text())
    facts = summary["states"]["one"]["alignment"]
    assert facts["column_largest_px"] > 1
    assert facts["roll_deg"] == pytest.approx(0.4, abs=0.02)
    assert "gauge" in summary["corrections"]["alignment"]


@pytest.mark.slow
def test_a_given_tilt_of_the_axis_is_taken_out(tmp_path):
    """Positive when the centre grows with the row, as the estimator of the centre finds it."""
    tilted = views(roll_deg=0.6)
    write_scan(tmp_path / "one.h5", tilted)
    table = {
        "reference": "one", "scan": {"pixel_size_mm": PIXEL_MM},
        "states": {"one": {"scan": "one.h5", "center": CENTER, "tilt_deg": 0.6}},
        "preprocess": {"spots": False, "dose": "none", "stripes": "off"},
    }  # fmt: skip
    output = run(study_from_table(table, folder=tmp_path))
    given = np.asarray(open_image(output / "study.zarr/states/one/attenuation")[:])
    still = as_they_are(views())
    error = [np.abs(v - still)[8:-8].mean() for v in (as_they_are(tilted), given)]
    # what remains is the noise that interpolation between rows leaves of sharp faces; the other sign doubles it
    assert error[1] < 0.65 * error[0]
    summary = json.loads((output / "summary.json").read_text())
    assert summary["states"]["one"]["alignment"] == {"roll_deg": 0.6, "applied_roll_deg": 0.6}
    assert "one 0.6°" in summary["corrections"]["alignment"]


@pytest.mark.parametrize(
    "aligned", [{"alignment": {"views": True}}, {"states": {"one": {"scan": "one.h5", "tilt_deg": 0.1}}}]
)
def test_alignment_goes_with_filtered_back_projection(tmp_path, aligned):
    table = {
        "reference": "one", "states": {"one": {"scan": "one.h5"}}, "reconstruction": {"method": "sirt"}, **aligned,
    }  # fmt: skip
    with pytest.raises(InputError, match="'fbp' only"):
        study_from_table(table, folder=tmp_path)


def test_a_volume_has_no_tilt_and_an_axis_does_not_lie(tmp_path):
    for state, words in (
        ({"volume": "v.tif", "tilt_deg": 0.1}, "tilt_deg belongs to a scan"),
        ({"scan": "one.h5", "tilt_deg": 60}, "less than 45"),
    ):
        with pytest.raises(InputError, match=words):
            study_from_table({"reference": "one", "states": {"one": state}}, folder=tmp_path)
