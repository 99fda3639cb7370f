"""`deltamu view`: open a study, a scan or a volume in napari."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltamu.recon.errors import InputError, ResourceError
from deltamu.viewers.shortcuts import help_text

if TYPE_CHECKING:
    from napari.viewer import Viewer

WINDOW = (1500, 950)
LONGEST_WAIT_S = 60.0
WIDGETS = {
    "inspect": "Inspect change",
    "depth": "Depth",
    "prepare": "Prepare",
    "registration": "Registration check",
    "run": "Run",
    "kymograph": "Kymograph",
}


def add_view(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add("view", _view, "look at a study, a raw scan or a volume in napari")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = help_text()
    parser.add_argument(
        "path", type=Path, help="output folder of a study or the one above it, a scan, a volume"
    )
    parser.add_argument(
        "--screenshot", type=Path, metavar="FILE", help="write a picture of the window and end"
    )
    parser.add_argument(
        "--widget", choices=WIDGETS, action="append", default=[], help="open this widget as well"
    )


def _view(options: argparse.Namespace) -> int:
    from deltamu.viewers.opening import open_path

    opened = open_path(options.path)
    napari = import_napari()
    check_display()
    viewer = napari.Viewer(title="deltamu")
    from deltamu.viewers.napari_layers import add_opened
    from deltamu.viewers.shortcuts import make_at_home

    viewer.window.resize(*WINDOW)
    add_opened(viewer, opened)
    make_at_home(viewer)
    for name in options.widget:
        viewer.window.add_plugin_dock_widget("deltamu", WIDGETS[name])
    if options.screenshot is None:
        napari.run()
        return 0
    take_screenshot(viewer, options.screenshot)
    viewer.close()
    print(f"written: {options.screenshot}")
    return 0


def import_napari() -> Any:
    """Import napari, with slices read in the background.

    Raises
    ------
    InputError
        If it is not installed.
    """
    os.environ.setdefault("NAPARI_ASYNC", "1")
    try:
        import napari
        import qtpy  # noqa: F401
    except ImportError as error:
        raise InputError(f"view: napari is not installed ({error}); pip install 'deltamu[viewer]'") from None
    except RuntimeError as error:
        raise InputError(f"view: no Qt is installed ({error}); pip install 'deltamu[viewer]'") from None
    return napari


def check_display() -> None:
    """Refuse to start without a display: Qt would end the process.

    Raises
    ------
    ResourceError
        If there is none.
    """
    if sys.platform.startswith("linux") and not any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    ):
        raise ResourceError("view: there is no display; on a server try `xvfb-run -a deltamu view …`")


def take_screenshot(viewer: "Viewer", path: Path) -> None:
    """Write a picture of the window once everything visible has been read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wait_until_loaded(viewer)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


def wait_until_loaded(viewer: "Viewer") -> None:
    """Let the window work until every visible layer shows what it should.

    Raises
    ------
    ResourceError
        If that takes longer than a minute.
    """
    end = time.monotonic() + LONGEST_WAIT_S
    settled = 0
    # a layer that was just drawn may ask for a finer level
    while settled < 5:
        let_window_work(20)
        loaded = all(layer.loaded for layer in viewer.layers if layer.visible)
        settled = settled + 1 if loaded else 0
        if time.monotonic() > end:
            raise ResourceError("view: the layers were not read within a minute; is the disk very slow?")


def let_window_work(milliseconds: int) -> None:
    """Let Qt do its work for a while."""
    from qtpy.QtCore import QEventLoop, QTimer

    # not QApplication.processEvents: in PySide6 6.12.0 every call of it takes a reference from None
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()
