"""Keys for looking at a study, and the text that lists them."""

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from deltamu.viewers.napari_layers import our_layers

if TYPE_CHECKING:
    from napari.viewer import Viewer

Action = Callable[["Viewer"], None]


def next_change(viewer: "Viewer") -> None:
    """Show the next change, alone among them."""
    layers = list(our_layers(viewer, "change"))
    # the topmost is the first change of the study
    layers.reverse()
    if layers:
        shown = next((i for i, layer in enumerate(layers) if layer.visible), -1)
        for i, layer in enumerate(layers):
            layer.visible = i == (shown + 1) % len(layers)


def toggle_outlines(viewer: "Viewer") -> None:
    """Show or hide the outlines of the layers."""
    for layer in our_layers(viewer, "layers"):
        layer.visible = not layer.visible


def toggle_change(viewer: "Viewer") -> None:
    """Show or hide the changes, to see the state beneath."""
    layers = list(our_layers(viewer, "change"))
    if any(layer.visible for layer in layers):
        for layer in layers:
            layer.visible = False
    else:
        next_change(viewer)


KEYS: dict[str, Action] = {"Alt-N": next_change, "Alt-O": toggle_outlines, "Alt-C": toggle_change}


def bind_keys(viewer: "Viewer") -> None:
    """Bind the keys to a viewer."""
    for key, action in KEYS.items():
        viewer.bind_key(key, action, overwrite=True)


def help_text() -> str:
    """List the keys, what the widgets are for, and the commands."""
    keys = "\n".join(f"{key:8}{(action.__doc__ or '').splitlines()[0]}" for key, action in KEYS.items())
    return f"{keys}\n\n{WIDGETS_TEXT}\n\n{COMMANDS_TEXT}"


HELP_ENTRY = "Keys and widgets of deltamu"
COMMANDS_TEXT = """Command line:
deltamu view PATH            a study, a scan, a series or a volume
deltamu run study.toml       start or continue a study
deltamu operando series.toml start or continue a series of radiographs
deltamu report DIR           the report
deltamu figures DIR          figures for print, a film through the depth
deltamu export DIR           volumes for other programs"""
WIDGETS_TEXT = """Plugins > deltamu:
Inspect change      three planes of every state and of the change, values at a point
Depth               depth profiles of any region, the layer at a depth
Prepare             centre, tilt and corrections of a raw scan on live slices
Registration check  overlays, a registration moved by hand
Run                 start, stop and continue a study
Kymograph           lithium against depth and time of a series of radiographs"""


def show_help(viewer: Any = None) -> None:
    """Show the keys, the widgets and the commands in a window of their own."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QMessageBox

    box = QMessageBox()
    box.setWindowTitle(HELP_ENTRY)
    box.setText(f"<pre>{escape(help_text())}</pre>")
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    # kept by its own signal until it is closed; the window stays usable meanwhile
    box.setModal(False)
    box.finished.connect(lambda _, box=box: box.deleteLater())
    box.show()


def add_help_entry(viewer: "Viewer") -> None:
    """Put the help into the window's Help menu, once."""
    menu = viewer.window.help_menu
    if all(action.text() != HELP_ENTRY for action in menu.actions()):
        menu.addAction(HELP_ENTRY).triggered.connect(lambda: show_help(viewer))


def make_at_home(viewer: "Viewer") -> None:
    """Bind our keys and add our help to a window that shows something of ours."""
    bind_keys(viewer)
    add_help_entry(viewer)
