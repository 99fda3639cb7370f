"""What napari calls when a study, a scan or a volume is dropped into its window."""

from collections.abc import Callable, Sequence
from pathlib import Path

from deltamu.recon.errors import DeltamuError
from deltamu.viewers.napari_layers import LayerData, layer_data, tell
from deltamu.viewers.opening import looks_like_ours, open_path
from deltamu.viewers.shortcuts import make_at_home

NOTHING: list[LayerData] = [(None,)]  # type: ignore[list-item]
Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of a path that is for us, None otherwise."""
    first = path if isinstance(path, str) else path[0]
    return read_layers if looks_like_ours(Path(first)) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read a path, or several; what cannot be read becomes a sentence in the window."""
    from napari import current_viewer
    from napari.utils.notifications import show_error

    layers: list[LayerData] = []
    for place in [path] if isinstance(path, str) else path:
        try:
            opened = open_path(place)
        except DeltamuError as error:
            show_error(str(error))
            continue
        layers += [layer_data(layer, output=opened.output) for layer in opened.layers]
        tell(opened.notes)
    viewer = current_viewer()
    if layers and viewer is not None:
        make_at_home(viewer)
    return layers or NOTHING
