"""Trial slices and what is written into a study."""

import numpy as np
import pytest

from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.study.settings import read_study
from deltamu.viewers.study_edit import edit_study, state_of_scan
from deltamu.viewers.trial_slices import TrialOptions, TrialSlices, shifted

STUDY = '# mine\nreference = "only"\n[states.only]  # the cell\nscan = "scan"\n'


def test_a_shifted_line_is_where_it_should_be():
    columns = np.arange(64)
    line = np.exp(-0.5 * ((columns - 30) / 3) ** 2).astype(np.float32)[None, None]
    # a Gaussian of 3 pixels is band-limited to 1e-7 of its height
    np.testing.assert_allclose(
        shifted(line, 2.3)[0, 0], np.exp(-0.5 * ((columns - 32.3) / 3) ** 2), atol=1e-5
    )


def test_a_study_is_edited_and_keeps_its_comments(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    edit_study(path, {("states", "only", "center"): 12.5, ("reconstruction", "filter"): "cosine"})
    assert "# mine" in path.read_text()
    assert "# the cell" in path.read_text()
    assert read_study(path).states["only"].center == 12.5
    assert read_study(path).reconstruction.filter == "cosine"
    assert state_of_scan(path, tmp_path / "scan") == "only"


def test_a_wrong_edit_leaves_the_study_alone(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    with pytest.raises(InputError, match="filter"):
        edit_study(path, {("reconstruction", "filter"): "magic"})
    assert path.read_text() == STUDY
    with pytest.raises(InputError, match="no state uses"):
        state_of_scan(path, tmp_path / "other")


@pytest.mark.slow
def test_a_trial_slice_is_the_reconstruction_of_its_row(demo_folder):
    from deltamu.recon import line_integrals, read_scan

    scan = read_scan(demo_folder / "raw" / "charged.h5")
    trials = TrialSlices(scan)
    index = 30
    center = 0.5 * (scan.shape[2] - 1) + 1.3
    found = trials.slice(index, TrialOptions(center))
    rows = line_integrals(scan)[:, trials.rows[index] : trials.rows[index] + 1]
    expected = fbp(rows, scan.angles, center=center, pixel_size_mm=scan.pixel_size_mm, filter="hann")[0]
    # a Fourier shift of noise that reaches the Nyquist frequency, damped by the filter: inside the disc
    y, x = np.mgrid[: len(found), : len(found)] - 0.5 * (len(found) - 1)
    inside = np.hypot(y, x) < 0.4 * len(found)
    assert np.std((found - expected)[inside]) < 0.02 * np.std(expected[inside])


@pytest.mark.slow
def test_the_tilt_moves_the_centre_with_the_row(demo_folder):
    from deltamu.recon import read_scan

    trials = TrialSlices(read_scan(demo_folder / "raw" / "charged.h5"))
    options = TrialOptions(80.0, tilt_deg=1.0)
    top, bottom = trials.center_of_row(0, options), trials.center_of_row(len(trials.rows) - 1, options)
    assert bottom - top == pytest.approx(np.tan(np.radians(1.0)) * (trials.scan.shape[1] - 1))
    assert 0.5 * (top + bottom) == pytest.approx(80.0)


@pytest.mark.slow
def test_the_widget_reads_shows_and_writes(viewer, demo, qtbot):
    from deltamu.viewers.napari_layers import add_opened
    from deltamu.viewers.opening import open_path

    add_opened(viewer, open_path(demo / "raw" / "charged.h5"))
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Prepare")[1]
    widget.load_button.click()
    qtbot.waitUntil(lambda: widget.trials is not None, timeout=120_000)
    assert "±" in widget.automatic.text()
    before = widget.after.pixels.copy()
    widget.center_box.setValue(widget.center_box.value() + 3)
    assert np.any(widget.after.pixels != before)
    np.testing.assert_array_equal(widget.before.pixels, before)
    widget.tilt_box.setValue(0.25)
    widget.write(demo / "study.toml")
    charged = read_study(demo / "study.toml").states["charged"]
    # the file holds three decimals
    assert charged.center == pytest.approx(widget.center_box.value(), abs=0.0006)
    assert charged.tilt_deg == 0.25
    widget.tilt_box.setValue(0.0)
    widget.write(demo / "study.toml")
    assert read_study(demo / "study.toml").states["charged"].tilt_deg is None


@pytest.mark.slow
def test_a_window_may_close_while_a_scan_is_read(viewer, demo_folder, qtbot):
    from deltamu.viewers.napari_layers import add_opened
    from deltamu.viewers.opening import open_path

    add_opened(viewer, open_path(demo_folder / "raw" / "charged.h5"))
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Prepare")[1]
    ended = []
    widget.load()
    widget.worker.finished.connect(lambda: ended.append(True))
    viewer.close()
    # the thread ends without a scan, and nothing of it reaches for the window
    qtbot.waitUntil(lambda: bool(ended), timeout=60_000)
    assert widget.trials is None


def test_without_a_scan_the_widget_says_so(viewer, qtbot):
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Prepare")[1]
    widget.load_button.click()
    assert "No scan is open" in widget.message.text()


def test_a_start_of_a_registration_belongs_to_a_state(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    edit_study(path, {("registration", "start", "only"): [0.1, 0.0, 0.0, 1.0, 0.0, 0.0]})
    assert read_study(path).registration.start["only"][3] == 1.0
    with pytest.raises(InputError, match="no state 'onyl'"):
        edit_study(path, {("registration", "start", "onyl"): [0.0] * 6})
