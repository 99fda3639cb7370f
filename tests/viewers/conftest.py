"""Studies to look at, and a window to look at them in."""

import importlib.util
import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deltamu.recon.volumes.image import create_image, finish_image, slab_rows, write_slab

SHAPE, VOXEL_MM = (16, 24, 20), 0.1
CHANGE = "discharged-pristine"
HEADER = "depth_mm,mean,standard_error,spread,count,eroded,lithium_mol_cm3,charge_mAh_cm3"


def write_image(group: Path, name: str, values: np.ndarray, unit: str, *, finished: bool = True) -> Path:
    image = create_image(
        group, name, shape=values.shape, voxel_size_mm=VOXEL_MM, unit=unit, dtype=values.dtype
    )
    for slab in range(image.slabs):
        write_slab(image, slab, np.ascontiguousarray(values[slab_rows(image, slab)]))
    if finished:
        finish_image(image)
    return image.path


def small_volumes() -> dict[str, np.ndarray]:
    """A cathode of label 2 in rows 6 to 9, whose attenuation rises from 1 to 2."""
    rng = np.random.default_rng(3)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 4:20, 4:16], labels[6:10, 4:20, 4:16] = 1, 2
    pristine = (labels > 0) + rng.normal(0, 0.05, SHAPE)
    discharged = pristine + (labels == 2)
    return {
        "labels": labels,
        "pristine": pristine.astype(np.float32),
        "discharged": discharged.astype(np.float32),
    }


@pytest.fixture
def volumes() -> dict[str, np.ndarray]:
    """What the small study is made of."""
    return small_volumes()


@pytest.fixture
def small_study(tmp_path: Path, volumes: dict[str, np.ndarray]) -> Path:
    """A small finished study with two states and one change, made without a run."""
    folder = tmp_path / "result"
    store = folder / "study.zarr"
    for state in ("pristine", "discharged"):
        write_image(store / "states" / state, "attenuation", volumes[state], "cm^-1")
    write_image(store / "registered" / "discharged", "attenuation", volumes["discharged"], "cm^-1")
    delta = volumes["discharged"] - volumes["pristine"]
    write_image(store / "changes" / CHANGE, "delta_mu", delta, "cm^-1")
    write_image(store / "changes" / CHANGE, "sigma", np.full_like(delta, 0.1), "cm^-1")
    write_image(store / "changes" / CHANGE, "z_score", delta / np.float32(0.1), "1")
    write_image(store / "layers", "labels", volumes["labels"], "1")
    (folder / "profiles").mkdir()
    rows = [f"{0.05 + 0.1 * i:.3f},1.0,0.01,0.05,100,1,0.016,430" for i in range(4)]
    (folder / "profiles" / f"{CHANGE}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    summary = {
        "schema": 1, "name": "small", "reference": "pristine", "profile_layer": "cathode", "states": {"pristine": {}, "discharged": {}},
        "changes": {CHANGE: {}}, "layers": {"separator": {"label": 1}, "cathode": {"label": 2}},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny demo, run once; do not change it."""
    given = os.environ.get("DELTAMU_TINY")
    if given:
        return Path(given)
    from deltamu.recon.study.demo import run_demo

    folder = tmp_path_factory.mktemp("demo") / "tiny"
    run_demo(folder, preset="tiny")
    return folder


@pytest.fixture
def demo(demo_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny demo's folder that a test may change."""
    return Path(shutil.copytree(demo_folder, tmp_path / "demo"))


def why_no_window() -> str:
    """Why there can be no window here; empty where there can be one."""
    for module in ("napari", "qtpy", "pytestqt"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed; pip install '.[viewer]' pytest-qt"
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in names):
        return "there is no display; xvfb-run -a python -m pytest tests/viewers"
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings that our code causes, a deprecated name of napari for one, are errors here."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(r"error:::deltamu\.viewers"))


@pytest.fixture
def viewer(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[object]:
    """A real window of napari; after the test nothing of it may be left, and nobody may have complained."""
    reason = why_no_window()
    if reason:
        pytest.skip(reason)
    qtbot, qtlog = request.getfixturevalue("qtbot"), request.getfixturevalue("qtlog")
    import napari

    before = set(threading.enumerate())
    shown = napari.Viewer(show=True)
    yield shown
    # a test may have closed it
    if napari.current_viewer() is shown:
        check_graphics(shown)
        shown.close()
    qtbot.waitUntil(lambda: not left_over(before), timeout=10_000)
    assert [record.message for record in qtlog.records if record.log_type_name not in ("DEBUG", "INFO")] == []
    said = [
        record
        for record in caplog.get_records("call")
        if record.name.startswith(("vispy", "napari", "deltamu.viewers"))
    ]
    assert [record.getMessage() for record in said if record.levelno >= logging.WARNING] == []


def check_graphics(viewer: Any) -> None:
    """Draw once more, and ask OpenGL whether anything went wrong so far."""
    from vispy.gloo import gl

    viewer.screenshot(canvas_only=True, flash=False)
    gl.check_error("after the test")


def left_over(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads that are new and would keep the program from ending."""
    return [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
