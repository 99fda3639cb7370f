"""A run in the background: watched, stopped half-way, continued, and wrong settings in words."""

import shutil
import threading

import pytest

from deltamu.recon.study.journal import finished_pieces

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def dock(viewer):
    return viewer.window.add_plugin_dock_widget("deltamu", "Run")[1]


@pytest.fixture
def fresh(demo):
    """A study whose result is still to be computed."""
    shutil.rmtree(demo / "result")
    return demo


def test_stopped_half_way_it_keeps_its_pieces_and_continues(viewer, fresh, qtbot):
    widget = dock(viewer)
    widget.path.setText(str(fresh / "study.toml"))
    stages = []
    widget.signals.told.connect(lambda stage, *rest: stages.append(stage))
    widget.start_button.click()
    assert not widget.start_button.isEnabled()
    qtbot.waitUntil(lambda: "reconstruct" in stages, timeout=240_000)
    widget.cancel_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=120_000)
    assert widget.how == "cancelled"
    assert "continues from here" in widget.message.text()
    assert not (fresh / "result" / "summary.json").exists()
    kept = (fresh / "result" / "journal.jsonl").read_bytes()
    widget.start_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=240_000)
    assert widget.how == "done", widget.message.text()
    assert (fresh / "result" / "journal.jsonl").read_bytes().startswith(kept)
    assert not running_threads()
    widget.open_button.click()
    assert any(layer.name.startswith("Δμ") for layer in viewer.layers)


def test_wrong_settings_are_told_in_words(viewer, tmp_path, qtbot):
    widget = dock(viewer)
    (tmp_path / "study.toml").write_text('reference = "only"\nfliter = 1\n[states.only]\nscan = "x"\n')
    widget.path.setText(str(tmp_path / "study.toml"))
    widget.start_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=30_000)
    assert widget.how == "failed"
    assert "fliter" in widget.message.text()
    assert "Traceback" not in widget.message.text()


def test_closing_the_window_stops_the_run_and_loses_nothing(viewer, fresh, qtbot):
    widget = dock(viewer)
    widget.path.setText(str(fresh / "study.toml"))
    stages = []
    widget.signals.told.connect(lambda stage, *rest: stages.append(stage))
    widget.start()
    qtbot.waitUntil(lambda: "preprocess" in stages, timeout=240_000)
    viewer.close()
    qtbot.waitUntil(lambda: not running_threads(), timeout=120_000)
    pieces = finished_pieces(fresh / "result" / "journal.jsonl")
    assert pieces > 0
    assert not (fresh / "result" / "summary.json").exists()
    assert not list((fresh / "result").rglob("*.partial"))


def running_threads():
    return [thread for thread in threading.enumerate() if thread.name == "deltamu run"]
