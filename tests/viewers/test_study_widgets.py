"""Inspect and Depth in a real window."""

import numpy as np
import pytest

from deltamu.viewers.napari_layers import add_opened
from deltamu.viewers.opening import open_path

CHANGE = "discharged-pristine"
pytestmark = pytest.mark.slow


@pytest.fixture
def shown(viewer, demo):
    add_opened(viewer, open_path(demo / "result"))
    return viewer


def dock(viewer, name):
    return viewer.window.add_plugin_dock_widget("deltamu", name)[1]


def test_inspect_moves_reads_and_thresholds(shown, qtbot):
    from qtpy.QtCore import QPoint, Qt

    widget = dock(shown, "Inspect change")
    assert not widget.message.isVisible()
    assert len(widget.panels) == 3 * 4
    before = widget.panels["xy", "Δμ"].pixels.copy()
    widget.change_box.setCurrentIndex(2)
    assert widget.change == "charged-discharged"
    assert np.any(widget.panels["xy", "Δμ"].pixels != before)
    all_of_it = widget.panels["xy", "Δμ"].pixels.copy()
    widget.threshold_box.setValue(3.0)
    hidden = np.any(widget.panels["xy", "Δμ"].pixels != all_of_it, axis=-1)
    # white is what was hidden, and nothing else changed
    assert hidden.any()
    assert widget.panels["xy", "Δμ"].pixels[hidden][:, :3].min() > 240
    panel = widget.panels["xz", "pristine"]
    panel.resize(200, 100)
    qtbot.mouseClick(panel, Qt.MouseButton.LeftButton, pos=QPoint(100, 20))
    assert shown.dims.point[0] == pytest.approx(widget.point[0], abs=widget.inspection.labels.voxel_size_mm)
    assert f"z {widget.point[0]:.3f}" in widget.readout.text()
    shown.dims.set_current_step(0, 10)
    assert widget.point[0] == pytest.approx(10 * 0.09)


def test_depth_shows_the_table_and_follows_the_cursor(shown, qtbot):
    widget = dock(shown, "Depth")
    table = widget.view.content.profiles[CHANGE]
    np.testing.assert_array_equal(widget.profiles[CHANGE].mean, table.mean)
    before = widget.panel.pixels.copy()
    widget.slider.setValue(widget.slider.value() + 4)
    assert np.any(widget.panel.pixels != before)
    assert f"{widget.depth_mm:.3f}" in widget.depth_label.text()
    assert widget.plot.cursor.get_xdata()[0] == pytest.approx(widget.depth_mm)


def test_a_drawn_region_gets_its_profile_and_is_exported(shown, qtbot, tmp_path):
    widget = dock(shown, "Depth")
    widget.draw_region()
    assert widget.region == "region"
    assert "nothing is drawn" in widget.note.text()
    layer = shown.layers["region"]
    y, x = widget.view.layer.axis_mm
    square = np.array([[y - 1, x - 1], [y - 1, x + 1], [y + 1, x + 1], [y + 1, x - 1]])
    layer.add_polygons(square)
    assert 0 < widget.profiles[CHANGE].count.max() < widget.view.content.profiles[CHANGE].count.max()
    # as the region is drawn on, its profile follows
    before = widget.profiles[CHANGE].count.max()
    layer.add_polygons(np.add(square, [0, 0.5]))
    assert widget.profiles[CHANGE].count.max() > before
    for ending in ("csv", "png", "svg"):
        assert widget.save(tmp_path / f"p.{ending}").stat().st_size > 500
    shown.layers.remove("region")
    assert widget.region == "core"


def test_a_broken_study_is_told_in_the_widget(viewer, demo, qtbot):
    (demo / "result" / "profiles" / f"{CHANGE}.csv").unlink()
    add_opened(viewer, open_path(demo / "result"))
    widget = dock(viewer, "Depth")
    assert "missing" in widget.message.text()
    assert not widget.body.isVisible()


def test_without_a_study_it_says_what_to_open(viewer, qtbot):
    assert "No study is open" in dock(viewer, "Inspect change").message.text()
