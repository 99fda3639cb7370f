"""A study in a real window: the reader, the layers, the command line."""

import importlib
import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest

from deltamu.recon.cli import main
from deltamu.viewers.napari_layers import add_opened, our_layers, study_of
from deltamu.viewers.opening import open_path

CHANGE = "discharged-pristine"


def test_layers_lie_in_millimetres_and_start_at_the_cathode(viewer, small_study, qtbot):
    add_opened(viewer, open_path(small_study))
    assert [layer.name for layer in viewer.layers][-2:] == ["Δμ discharged − pristine", "layers"]
    change = next(our_layers(viewer, "change"))
    np.testing.assert_allclose(change.scale, 0.1)
    assert [str(unit) for unit in change.units] == ["millimeter"] * 3
    assert change.contrast_limits[0] == -change.contrast_limits[1]
    assert viewer.dims.point[0] == pytest.approx(0.75, abs=0.1)
    assert study_of(viewer) == str(small_study)
    # the middle of the pellet, half of it above and half below the slice
    assert change.get_value((0.7, 1.2, 1.0), world=True)[1] == pytest.approx(1.0, abs=0.3)
    labels = next(our_layers(viewer, "layers"))
    assert labels.get_status((0.7, 1.2, 1.0), world=True)["value"].endswith("layer: cathode")


def test_the_reader_takes_a_study_through_the_manifest(viewer, small_study, qtbot):
    viewer.open(str(small_study), plugin="deltamu")
    assert len(viewer.layers) == 6
    assert study_of(viewer) == str(small_study)


def no_store(folder):
    (folder / "study.zarr" / "zarr.json").unlink(missing_ok=True)


def older_store(folder):
    no_store(folder)
    (folder / "study.zarr" / ".zgroup").write_text('{"zarr_format": 2}')


def damaged_images(folder):
    for image in (folder / "study.zarr").rglob("zarr.json"):
        if image.parent.name in ("attenuation", "delta_mu", "z_score", "labels"):
            image.write_text("{")


def never_run(folder):
    shutil.rmtree(folder / "study.zarr")
    (folder / "study.toml").write_text('reference = "only"\n[states.only]\nscan = "scan"\n')


BREAKAGES = {
    no_store: "no such store", older_store: "zarr 2 store", damaged_images: "no image that can be shown",
    never_run: "has not been run yet",
}  # fmt: skip


def test_what_is_dropped_and_broken_becomes_a_sentence(viewer, small_study, tmp_path, qtbot):
    from napari.utils.notifications import notification_manager

    for number, (damage, sentence) in enumerate(BREAKAGES.items()):
        broken = tmp_path / str(number)
        shutil.copytree(small_study, broken)
        damage(broken)
        before = len(notification_manager.records)
        assert viewer.open(str(broken), plugin="deltamu") == []
        (record,) = notification_manager.records[before:]
        assert sentence in record.message
        assert record.severity == "error"
        assert "Traceback" not in record.message


def test_what_is_missing_in_a_half_written_study_is_told_beside_what_is_there(viewer, small_study, qtbot):
    from napari.utils.notifications import notification_manager

    (small_study / "summary.json").unlink()
    shutil.rmtree(small_study / "study.zarr" / "layers")
    before = len(notification_manager.records)
    assert viewer.open(str(small_study), plugin="deltamu")
    said = " ".join(record.message for record in notification_manager.records[before:])
    assert "the study is not finished" in said
    assert "no layers yet" in said
    for name in ("Inspect change", "Depth", "Registration check"):
        widget = viewer.window.add_plugin_dock_widget("deltamu", name)[1]
        assert "summary.json" in widget.message.text()


def test_a_reader_leaves_what_is_not_ours_to_others(tmp_path):
    from deltamu.viewers.readers import get_reader

    assert get_reader(str(tmp_path / "cat.png")) is None
    assert get_reader([str(tmp_path / "cat.png")]) is None


def test_coarse_levels_lie_over_the_fine_one(viewer, small_study, qtbot):
    add_opened(viewer, open_path(small_study))
    layer = next(our_layers(viewer, "state", subject="pristine"))
    fine, coarse = (np.asarray(level) for level in (layer.data[0], layer.data[1]))
    # rows 2 to 9 of 0.1 mm are filled: the same edge on both levels, to half a voxel of the coarse one
    assert fine.mean(axis=(1, 2)).argmax() // 2 == coarse.mean(axis=(1, 2)).argmax()


def test_the_manifest_is_valid_and_every_command_can_be_imported():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("deltamu")
    for command in manifest.contributions.commands or ():
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.slow
def test_the_command_line_writes_a_picture(viewer, small_study, tmp_path):
    viewer.close()
    out = tmp_path / "view.png"
    program = [sys.executable, "-m", "deltamu.recon.cli", "view", str(small_study), "--screenshot", str(out)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    import imageio.v3 as iio

    picture = iio.imread(out)[..., :3].astype(int)
    # red stands for more attenuation: the change is in the picture
    assert np.count_nonzero((picture[..., 0] > 150) & (picture[..., 1] < 90) & (picture[..., 2] < 90)) > 2000


def test_without_napari_it_says_what_to_install(monkeypatch, capsys, small_study):
    monkeypatch.setitem(sys.modules, "napari", None)
    assert main(["view", str(small_study)]) == 2
    assert "pip install 'deltamu[viewer]'" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("napari") is None, reason="napari is not installed")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a display")
def test_without_a_display_it_says_so(monkeypatch, capsys, small_study):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main(["view", str(small_study)]) == 3
    assert "no display" in capsys.readouterr().err


def test_a_folder_that_is_no_study_needs_no_window(capsys, tmp_path):
    assert main(["view", str(tmp_path)]) == 2
    assert "neither a study" in capsys.readouterr().err


def test_keys_change_what_is_shown(viewer, small_study, qtbot):
    from deltamu.viewers.shortcuts import bind_keys, toggle_change, toggle_outlines

    add_opened(viewer, open_path(small_study))
    bind_keys(viewer)
    change, outlines = next(our_layers(viewer, "change")), next(our_layers(viewer, "layers"))
    toggle_change(viewer)
    assert not change.visible
    toggle_change(viewer)
    assert change.visible
    toggle_outlines(viewer)
    assert not outlines.visible


def test_the_help_lists_keys_and_widgets(capsys):
    with pytest.raises(SystemExit):
        main(["view", "--help"])
    text = capsys.readouterr().out
    for word in ("Alt-N", "Alt-O", "Inspect change", "Registration check"):
        assert word in text


@pytest.mark.slow
def test_the_sample_is_in_the_menu_and_opens(viewer, demo_folder, qtbot, monkeypatch):
    from deltamu.viewers import samples

    monkeypatch.setattr(samples, "sample_folder", lambda: demo_folder)
    viewer.open_sample("deltamu", "tiny")
    assert study_of(viewer) == str(demo_folder / "result")


def test_a_dropped_study_brings_its_help_into_the_menu(viewer, small_study, qtbot):
    from qtpy.QtWidgets import QApplication, QMessageBox

    from deltamu.viewers.shortcuts import HELP_ENTRY

    for _ in range(2):
        viewer.open(str(small_study), plugin="deltamu")
    (entry,) = [action for action in viewer.window.help_menu.actions() if action.text() == HELP_ENTRY]
    entry.trigger()
    (box,) = [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, QMessageBox)]
    assert box.isVisible()
    for word in ("Alt-N", "Kymograph", "deltamu run"):
        assert word in box.text()
    box.close()
    qtbot.waitUntil(
        lambda: not [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox)], timeout=5000
    )
