"""Keys for looking at a study, and the text that lists them."""

from collections.abc import Callable
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
    """List the keys and what the widgets are for."""
    keys = "\n".join(f"{key:8}{(action.__doc__ or '').splitlines()[0]}" for key, action in KEYS.items())
    return f"{keys}\n\n{WIDGETS_TEXT}"


WIDGETS_TEXT = """Plugins > deltamu:
Inspect change      three planes of every state and of the change, values at a point
Depth               depth profiles of any region, the layer at a depth
Prepare             centre, tilt and corrections of a raw scan on live slices
Registration check  overlays, a registration moved by hand
Run                 start, stop and continue a study"""


def show_help(viewer: Any = None) -> None:
    """Show the keys in the window."""
    from napari.utils.notifications import show_info

    show_info(help_text())
