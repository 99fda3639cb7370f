"""Time to open and to drag through a study of 2048³ voxels: xvfb-run -a python benchmarks/viewer.py [FOLDER].

The middle 64 rows of level 0 and all of the levels from 2 on hold noise, the rest is missing.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NAPARI_ASYNC", "1")
import numpy as np
import psutil

from deltamu.recon.volumes.blocks import write_block
from deltamu.recon.volumes.image import create_image

SIDE, VOXEL_MM = 2048, 0.0068
MIDDLE = SIDE // 2 // 64


def make(folder: Path) -> Path:
    """Write the study, if it is not there."""
    group = folder / "study.zarr" / "states" / "pristine"
    if (folder / "done").exists():
        return folder
    image = create_image(group, "attenuation", shape=(SIDE,) * 3, voxel_size_mm=VOXEL_MM, unit="cm^-1")
    rng = np.random.default_rng(1)
    for k, level in enumerate(image.levels):
        slabs = [MIDDLE] if k == 0 else range(level.slabs) if k >= 2 else []
        for slab in slabs:
            rows = min(level.slab, level.shape[0] - slab * level.slab)
            write_block(level, slab, rng.random((rows, *level.shape[1:]), dtype=np.float32))
    (folder / "done").touch()
    return folder


def main() -> None:
    """Open, zoom in until level 0 shows, drag through rows."""
    folder = make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
    import napari

    from deltamu.viewers.command import wait_until_loaded
    from deltamu.viewers.napari_layers import add_opened
    from deltamu.viewers.opening import open_path

    viewer = napari.Viewer()
    viewer.window.resize(1500, 950)
    begun = time.perf_counter()
    add_opened(viewer, open_path(folder))
    wait_until_loaded(viewer)
    print(f"open: {time.perf_counter() - begun:.2f} s")
    layer = viewer.layers[0]
    rows = MIDDLE * 64
    viewer.dims.set_current_step(0, rows + 3)
    viewer.camera.zoom = 1.05 / VOXEL_MM
    wait_until_loaded(viewer)
    print(f"level {layer.data_level} is shown, {np.ptp(layer.corner_pixels, axis=0)} voxels")
    drag("rows already read", viewer, range(rows + 4, rows + 30))
    drag("first plane of a new chunk row", viewer, [rows + 33])
    drag("rows already read", viewer, range(rows + 34, rows + 60))
    print(f"peak memory: {peak_bytes() / 1e9:.2f} GB")
    viewer.close()


def drag(name: str, viewer: object, steps: object) -> None:
    """Move the slider and wait for the picture; also how long the window did not answer."""
    from deltamu.viewers.command import let_window_work

    whole, blocked = [], []
    for step in steps:
        begun = time.perf_counter()
        viewer.dims.set_current_step(0, step)
        blocked.append(time.perf_counter() - begun)
        while not viewer.layers[0].loaded:
            let_window_work(2)
        let_window_work(0)
        whole.append(time.perf_counter() - begun)
    print(
        f"{name}: median {1e3 * np.median(whole):.0f} ms, slowest {1e3 * max(whole):.0f} ms; "
        f"window blocked at most {1e3 * max(blocked):.0f} ms"
    )


def peak_bytes() -> int:
    """Largest resident size so far."""
    import resource

    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
