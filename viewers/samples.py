"""Sample data of napari's menu: the tiny simulated study, computed when it is first asked for."""

from pathlib import Path

from deltamu.recon.errors import DeltamuError
from deltamu.viewers.napari_layers import LayerData, layer_data
from deltamu.viewers.opening import open_path


def tiny_study() -> list[LayerData]:
    """Simulate and compute the tiny study (a quarter of a minute the first time), and return its layers."""
    from napari.utils.notifications import show_error, show_info

    folder = sample_folder()
    try:
        if not (folder / "result" / "report.html").is_file():
            from deltamu.recon.study.demo import run_demo

            show_info("simulating and computing the tiny study; this takes a quarter of a minute, once")
            run_demo(folder, preset="tiny")
        opened = open_path(folder)
    except DeltamuError as error:
        show_error(str(error))
        return []
    return [layer_data(layer, output=opened.output) for layer in opened.layers]


def sample_folder() -> Path:
    """Folder of the tiny study, in the user's cache; of its own for each version."""
    import os
    from importlib import metadata

    cache = os.environ.get("XDG_CACHE_HOME")
    root = Path(cache) if cache else Path.home() / ".cache"
    return root / "deltamu" / f"tiny-{metadata.version('deltamu')}"
