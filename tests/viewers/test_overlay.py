"""A registration judged and moved by hand."""

import numpy as np
import pytest

from deltamu.recon.geometry import RigidTransform
from deltamu.recon.study.settings import read_study
from deltamu.viewers.napari_layers import add_opened
from deltamu.viewers.opening import open_path
from deltamu.viewers.overlay import MODES, Overlay

pytestmark = pytest.mark.slow


def test_the_transform_of_the_study_gives_the_registered_image(demo_folder):
    overlay = Overlay(demo_folder / "result")
    state = overlay.states[0]
    point = overlay.focus_mm
    moved = overlay.moved_plane(state, "xy", point, overlay.transform(state))
    stored = open_path(demo_folder / "result" / "study.zarr" / "registered" / state / "attenuation").layers[0]
    row = round(point[0] / stored.scale[0])
    expected = np.asarray(stored.levels[0][row])
    known = np.isfinite(moved) & np.isfinite(expected)
    assert known.mean() > 0.8
    # linear here, a cubic spline there: alike but for noise and edges
    assert np.corrcoef(moved[known], expected[known])[0, 1] > 0.98


def test_a_nudge_is_found_back(demo_folder):
    overlay = Overlay(demo_folder / "result")
    state = overlay.states[0]
    right = overlay.transform(state)
    nudged = RigidTransform(right.rotation_deg, tuple(np.array(right.translation_mm) + 0.06), right.center_mm)
    found = overlay.in_full(overlay.register_again(state, nudged).transform)
    # another mask than that of the study, on voxels of 0.09 mm: a tenth of one
    np.testing.assert_allclose(found.translation_mm, right.translation_mm, atol=0.009)


def test_the_widget_nudges_blinks_and_accepts(viewer, demo, qtbot):
    add_opened(viewer, open_path(demo / "result"))
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Registration check")[1]
    pictures = {}
    for mode in MODES:
        widget.mode_box.setCurrentText(mode)
        pictures[mode] = widget.panels["xy"].pixels.copy()
    assert len({picture.tobytes() for picture in pictures.values()}) == len(MODES)
    before = widget.panels["xz"].pixels.copy()
    widget.boxes[0].setValue(widget.boxes[0].value() + 0.2)
    assert np.any(widget.panels["xz"].pixels != before)
    widget.accept(demo / "study.toml")
    assert "registration.start" in widget.note.text()
    start = read_study(demo / "study.toml").registration.start[widget.state]
    assert start[0] == pytest.approx(widget.boxes[0].value(), abs=1e-6)
    widget.blink_box.setChecked(True)
    qtbot.waitUntil(lambda: widget.shows_moving, timeout=5000)
    widget.blink_box.setChecked(False)
