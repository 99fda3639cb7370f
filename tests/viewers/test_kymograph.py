"""The kymograph of a series, and its cursors linked with the slider and the frame."""

import json

import numpy as np
import pytest
import tifffile

from deltamu.recon.errors import InputError
from deltamu.recon.volumes.blocks import create_stack, write_block
from deltamu.viewers.kymograph_view import KymographView
from deltamu.viewers.napari_layers import add_opened, series_of, study_of
from deltamu.viewers.opening import open_path

FRAMES, ROWS, COLUMNS, PIXEL_MM, STEP_S = 6, 20, 16, 0.05, 600.0
# the layers lie one row lower at the left edge than at the right one
OFFSETS_PX = np.array([0.5, 0.0, -0.5])


@pytest.fixture
def series(tmp_path):
    """A finished series made without a run; in frame t, the transmission of the cathode is 1 + t/10 of the first."""
    for name, level, count in (("frames", 900, FRAMES), ("flats", 1000, 2), ("darks", 10, 2)):
        (tmp_path / name).mkdir()
        for index in range(count):
            tifffile.imwrite(
                tmp_path / name / f"{index}.tif", np.full((ROWS, COLUMNS), level + index, np.uint16)
            )
    (tmp_path / "series.toml").write_text(
        f"[series]\npath = 'frames'\nflats = '../flats'\ndarks = '../darks'\npixel_size_mm = {PIXEL_MM}\n"
        f"interval_s = {STEP_S}\n[layers]\norder = ['anode', 'separator', 'cathode']\n"
        "thickness_mm = [0.3, 0.3, 0.4]\nradius_mm = 0.4\n"
    )
    write_results(tmp_path / "result")
    return tmp_path


def write_results(output):
    times = np.arange(FRAMES) * STEP_S
    ratio = np.ones((FRAMES, ROWS), np.float32)
    ratio[:, 12:16] += 0.1 * np.arange(FRAMES, dtype=np.float32)[:, None]
    (output / "series.zarr" / "maps").mkdir(parents=True)
    np.savez(
        output / "series.zarr" / "results.npz", boundaries_px=np.array([7.5, 11.5]), frame_times_s=times,
        strip_edges_mm=np.array([-0.4, -0.2, 0.2, 0.4]), offsets_px=OFFSETS_PX, record_times_s=times,
        record_voltage_v=3 + times / 6000, voltage_v=3 + times / 6000, charge_mah=times / 3600,
        dose=1 + np.arange(FRAMES) / 10,
        **{"kymograph/core/ratio": ratio, "kymograph/core/sigma": 0.01 * ratio, "kymograph/core/times_s": times},
    )  # fmt: skip
    maps = create_stack(
        output / "series.zarr" / "maps" / "ratio", shape=(1, ROWS, COLUMNS), chunks=(1, ROWS, COLUMNS)
    )
    write_block(maps, 0, np.ones((1, ROWS, COLUMNS), np.float32))
    summary = {
        "frames": {"pixel_size_mm": PIXEL_MM, "rows": ROWS, "step_s": STEP_S, "averaged": 1, "reference": [0, 1]},
        "regions": {"core": {"label": "core", "columns_mm": [[-0.2, 0.2]]}}, "events": [], "colors": "safe",
        "zones": {"cathode": {"label": "cathode", "rows": [11.5, 15.5]}}, "stack": {"axis_column": 7.5},
    }  # fmt: skip
    (output / "summary.json").write_text(json.dumps(summary))
    (output / "series.toml").write_text("")


def test_it_reads_what_the_kymograph_holds(series):
    view = KymographView(series / "result")
    found = view.read("core", 0.5, 0.7)
    assert found.ratio == pytest.approx(1.3)
    assert found.sigma == pytest.approx(0.013)
    assert found.voltage_v == pytest.approx(3.3)
    assert found.zone == "cathode"
    assert "0.500 h" in found.text
    assert np.isnan(view.read("core", 0.5, 2.0).ratio)


def test_a_place_of_the_frame_and_a_position_are_inverse_along_the_tilt(series):
    view = KymographView(series / "result")
    line = view.line_at(0.62)
    assert np.ptp(line[:, 0]) == pytest.approx(PIXEL_MM)
    for row, column in line:
        assert view.position_at(row, column) == pytest.approx(0.62)
    # on the axis the centre of row 12 lies 12.5 pixels below the upper end
    assert view.position_at(12 * PIXEL_MM, 7.5 * PIXEL_MM) == pytest.approx(12.5 * PIXEL_MM)


def test_frames_over_their_reference_lie_over_the_radiographs(series):
    layer = open_path(series).layers[-1]
    assert layer.role == "ratio"
    # frame t counts 900 + t above dark frames of 10.5 counts, with a dose of 1 + t/10
    expected = (889.5 + 4) / 889.5 / 1.4
    np.testing.assert_allclose(layer.levels[0][4], expected, rtol=1e-6)
    assert layer.limits == pytest.approx((2 - layer.limits[1], layer.limits[1]))
    assert (layer.scale[0], layer.units[0]) == (STEP_S / 60, "minute")


def test_results_of_other_frames_are_told(series):
    (series / "frames" / "5.tif").unlink()
    opened = open_path(series)
    assert any("dose of 6 frames, the series has 5" in note for note in opened.notes)
    assert "series" in {layer.role for layer in opened.layers}


def test_an_unfinished_series_is_told(series):
    (series / "result" / "summary.json").unlink()
    with pytest.raises(InputError, match="no finished series"):
        KymographView(series / "result")
    opened = open_path(series)
    assert any("no finished series" in note for note in opened.notes)
    assert "ratio" not in {layer.role for layer in opened.layers}


def test_cursors_of_plot_and_viewer_follow_each_other(viewer, series, qtbot):
    add_opened(viewer, open_path(series))
    assert series_of(viewer) == str(series / "result")
    assert study_of(viewer) is None
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Kymograph")[1]
    viewer.dims.set_current_step(0, 4)
    assert widget.hours == pytest.approx(4 * STEP_S / 3600)
    assert widget.plot.times[0].get_xdata()[0] == pytest.approx(widget.hours)
    click(widget.plot, 0.49, 0.71)
    # the frame nearest to the time, and its time
    assert viewer.dims.current_step[0] == 3
    assert widget.hours == pytest.approx(0.5)
    assert widget.position_mm == pytest.approx(0.71, abs=0.01)
    assert "cathode" in widget.readout.text()
    (line,) = viewer.layers["position"].data
    assert line[1, 0] == pytest.approx(widget.position_mm - 0.5 * PIXEL_MM)
    # a click over the voltage moves the time alone
    before = widget.position_mm
    click(widget.plot, 0.2, 3.2, axes=0)
    assert (viewer.dims.current_step[0], widget.position_mm) == (1, before)


def click(plot, hours, height, axes=-1):
    """Press the left button at a place of the plot in the units of its axes."""
    from matplotlib.backend_bases import MouseButton, MouseEvent

    plot.draw()
    x, y = plot.axes[axes].transData.transform((hours, height))
    plot.callbacks.process(
        "button_press_event", MouseEvent("button_press_event", plot, x, y, MouseButton.LEFT)
    )


def test_a_click_into_the_frame_sets_the_position(viewer, series, qtbot):
    add_opened(viewer, open_path(series))
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Kymograph")[1]
    viewer.cursor.position = (0.0, 12 * PIXEL_MM, 7.5 * PIXEL_MM)
    for callback in viewer.mouse_drag_callbacks:
        callback(viewer, None)
    assert widget.position_mm == pytest.approx(12.5 * PIXEL_MM)
    assert widget.plot.position.get_ydata()[0] == pytest.approx(widget.position_mm)


def test_a_film_is_written_behind_the_window(viewer, series, qtbot, monkeypatch):
    from deltamu.viewers.widgets import kymograph

    monkeypatch.setattr(kymograph, "draw_film", lambda content: content.output.name.encode())
    add_opened(viewer, open_path(series))
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Kymograph")[1]
    widget.export_film(series / "film.gif")
    assert not widget.film_button.isEnabled()
    qtbot.waitUntil(widget.film_button.isEnabled, timeout=10_000)
    assert (series / "film.gif").read_bytes() == b"result"
    assert "film.gif" in widget.note.text()
    (series / "file").write_text("")
    widget.export_film(series / "file" / "film.gif")
    qtbot.waitUntil(widget.film_button.isEnabled, timeout=10_000)
    # a sentence that names the file, not an error in the thread
    assert "film.gif" in widget.note.text()
    assert not widget.note.text().startswith("written")


def test_without_results_the_widget_says_what_to_run(viewer, series, qtbot):
    (series / "result" / "series.zarr").rename(series / "gone")
    opened = open_path(series)
    assert any("deltamu operando" in note for note in opened.notes)
    add_opened(viewer, opened)
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Kymograph")[1]
    assert "deltamu operando" in widget.message.text()
    assert not widget.body.isVisible()
