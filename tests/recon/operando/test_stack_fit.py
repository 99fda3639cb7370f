"""The stack found in simulated radiographs, against where the simulator put it."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltamu.recon.errors import InputError
from deltamu.recon.operando.drift import drift_reference, profile_reference, profile_shift, shift_profiles
from deltamu.recon.operando.stack_fit import fit_stack
from deltamu.recon.operando.stack_geometry import StackGeometry
from deltamu.recon.operando.stack_model import StackModel
from deltamu.recon.operando.strips import equal_chord_strips, symmetry_axis
from deltamu.recon.simulate.operando.camera import Drift, SeriesCamera
from deltamu.recon.simulate.operando.front_cell import FrontCell
from deltamu.recon.simulate.operando.stack import layer_starts
from deltamu.recon.simulate.presets import BEAMS, Instrument, Preset

PIXEL = 0.027
PRESET = Preset(rows=128, columns=512, views=10, pixel_size_mm=PIXEL, counts=6000, fine=2)


@functools.cache
def reference() -> tuple[np.ndarray, FrontCell, float]:
    """Transmission of the pristine front cell without noise, the cell, the column of its axis."""
    cell = FrontCell()
    times = 60.0 * (np.arange(10) - 10)
    camera = SeriesCamera(cell, PRESET, BEAMS["ideal"], Instrument(), times, Drift(0, 0, 0), 1)
    return camera.transmission(0), cell, camera.axis_px


@functools.cache
def geometry(seed: int) -> StackGeometry:
    clean, cell, _ = reference()
    counts = 6000 * 10 / 1.3
    seen = (np.random.default_rng(seed).poisson(clean * counts) / counts).astype(np.float32)
    strips = equal_chord_strips(
        radius_mm=3.0, margin_mm=0.1, axis_px=symmetry_axis(seen), pixel_size_mm=PIXEL, columns=512
    )
    weights = strips.weights(512)
    profiles = (seen @ weights).T.astype(float)
    sigma = np.sqrt(profiles / counts * (weights**2).sum(axis=0)[:, None])
    return fit_stack(
        profiles, sigma, strips, names=tuple(layer.name for layer in cell.layers),
        thickness_mm=tuple(layer.thickness_mm for layer in cell.layers), radius_mm=3.0, core_radius_mm=3.0,
    )  # fmt: skip


def test_the_axis_is_found():
    clean, _, axis = reference()
    # a twentieth of a pixel is 1.4 µm
    assert symmetry_axis(clean) == pytest.approx(axis, abs=0.05)


def test_boundaries_tilt_and_bow():
    _, cell, _ = reference()
    found = geometry(1)
    starts = layer_starts(cell.start_mm, cell.layers)
    # on the axis the chord averages a paraboloid of sagitta b to 2/3 b
    true = np.array([starts[name] for name in found.names[1:]]) + cell.surfaces.bow_mm * 2 / 3
    at = (found.model.boundaries - (PRESET.rows - 1) / 2) * PIXEL
    names = dict(zip(found.names[1:], 1e3 * (at - true), strict=True))
    # the electrode's faces matter; the almost opaque indium is seen by its edges only
    assert abs(names["cathode"]) < 2
    assert abs(names["collector_c"]) < 3
    assert abs(names["separator"]) < 5
    assert found.tilt_deg == pytest.approx(0.3, abs=0.02)
    assert found.bow_um == pytest.approx(15, abs=4)
    assert found.thickness_mm["cathode"] == pytest.approx(cell.cathode_mm, abs=0.007)


def test_a_stack_that_is_not_there_is_refused():
    clean, _, axis = reference()
    strips = equal_chord_strips(radius_mm=3.0, margin_mm=0.1, axis_px=axis, pixel_size_mm=PIXEL, columns=512)
    profiles = (clean @ strips.weights(512)).T.astype(float)
    sigma = np.full(profiles.shape, 1e-3)
    with pytest.raises(InputError, match="does not fit the"):
        fit_stack(profiles, sigma, strips, names=("a", "b", "c"), thickness_mm=(1, 1.5, 1), radius_mm=3.0,
                  core_radius_mm=3.0)  # fmt: skip
    with pytest.raises(InputError, match="frame only"):
        fit_stack(profiles, sigma, strips, names=("a", "b", "c"), thickness_mm=(1, 9.0, 1), radius_mm=3.0,
                  core_radius_mm=3.0)  # fmt: skip
    with pytest.raises(InputError, match="leaves the frame"):
        equal_chord_strips(radius_mm=9.0, margin_mm=0.1, axis_px=axis, pixel_size_mm=PIXEL, columns=512)
    with pytest.raises(InputError, match="unknown, known are"):
        geometry(1).index("cathod")


def test_the_derivatives_of_the_model():
    model = StackModel(np.array([9.3, 14.1, 22.7]), 0.6, 0.9, 32)
    depths = np.array([0.3, 2.0, 1.2, 0.4])
    step = 1e-5
    for k in range(3):
        moved = StackModel(model.boundaries + step * np.eye(3)[k], 0.6, 0.9, 32)
        numeric = (moved.transmission(depths) - model.transmission(depths)) / step
        # central curvature of 1e-5 pixels, on six samples per row
        np.testing.assert_allclose(model.by_boundaries(depths)[:, k], numeric, atol=2e-4)
    for k in range(4):
        numeric = (model.transmission(depths + step * np.eye(4)[k]) - model.transmission(depths)) / step
        np.testing.assert_allclose(model.by_depths(depths)[:, k], numeric, atol=2e-5)


def test_weights_of_strips_are_means_and_follow_the_sample():
    strips = equal_chord_strips(radius_mm=3.0, margin_mm=0.1, axis_px=255.8, pixel_size_mm=PIXEL, columns=512)
    ramp = np.arange(512.0)
    for shift in (0.0, 0.37, -2.2):
        weights = strips.weights(512, shift)
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
        middles = strips.middles_mm / PIXEL + 255.8 + shift
        # a strip's mean of a ramp is its middle but for the shares of two border pixels
        np.testing.assert_allclose(ramp @ weights, middles, atol=0.3)


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(-1.5, 1.5), scale=st.floats(0.9, 1.1))
def test_a_known_shift_is_measured(shift, scale):
    x = np.arange(128.0)

    def profile(at):
        return 0.5 + 0.3 * np.tanh((at - 30) / 2) - 0.4 * np.tanh((at - 90) / 2)

    used = (x < 45) | (x > 75)
    found = profile_shift(scale * profile(x - shift), profile_reference(profile(x), used, noise=1e-4))
    # edges of two pixels, splines of fifth order
    assert found == pytest.approx(shift, abs=0.005)
    back = shift_profiles(profile(x - shift)[None], np.array([shift]))[0]
    np.testing.assert_allclose(back[8:-8], profile(x)[8:-8], atol=0.002)


def test_drift_of_frames_with_noise():
    clean, cell, axis = reference()
    times = 60.0 * (np.arange(10) - 10)
    camera = SeriesCamera(cell, PRESET, BEAMS["ideal"], Instrument(), times, Drift(0.5, -0.35, 0.0), 1)
    counts = 6000 / 1.3
    seen = (np.random.default_rng(4).poisson(camera.transmission(9) * counts) / counts).astype(np.float32)
    rows = np.zeros(128, bool)
    rows[:40] = rows[100:] = True
    reference_frame = drift_reference(clean, pellet=slice(150, 360), inert_rows=rows, counts=counts)
    down, right = reference_frame.measure(seen)
    # the edges of steel against aluminium and of the housing, one frame of noise
    assert down == pytest.approx(0.5, abs=6 * reference_frame.rows.sigma_px + 0.01)
    assert right == pytest.approx(-0.35, abs=6 * reference_frame.columns.sigma_px + 0.01)
    assert reference_frame.rows.usable
    assert reference_frame.columns.usable
    assert axis > 0
