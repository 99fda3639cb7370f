"""How fast the viewer answers: a study of 2048³ voxels, the depth profiles, the live slices of a scan.

deltamu demo demo
xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/viewer.py demo [--big FOLDER]

In the large study the middle 64 rows of level 0 and all of the levels from 2 on hold noise, the rest is missing.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NAPARI_ASYNC", "1")
import numpy as np
import psutil
from side_by_side import RESULTS, facts_line, machine, write_results

from deltamu.recon.volumes.blocks import write_block
from deltamu.recon.volumes.image import create_image
from deltamu.viewers.command import let_window_work, wait_until_loaded
from deltamu.viewers.napari_layers import add_opened
from deltamu.viewers.opening import open_path

SIDE, VOXEL_MM = 2048, 0.0068
MIDDLE = SIDE // 2 // 64
WINDOW = (1500, 950)
LIMITS_MS = {
    "open 2048³": 3000, "drag, rows already read": 100, "first plane of a chunk row": 400,
    "drag on from it": 100, "jump to a chunk row, not read": 400, "profile of another region, first": 200, "profile of another region, again": 200,
    "Prepare, centre": 500, "Prepare, row": 500,
}  # fmt: skip


def main() -> None:
    """Measure everything and write results/viewer.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder of `deltamu demo`")
    parser.add_argument("--big", type=Path, help="keep the large study here")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        steps, facts = measure_big_study(make(options.big or Path(scratch)))
    steps |= measure_depth(options.demo / "result") | measure_prepare(options.demo / "raw" / "charged.h5")
    record = {"machine": machine(), "facts": facts, "steps_ms": steps}
    write_results(options.output, "viewer", record, report(steps, facts))


def make(folder: Path) -> Path:
    """Write the large study, if it is not there."""
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


def measure_big_study(folder: Path) -> tuple[dict[str, list[float]], dict[str, object]]:
    """Open, zoom in until level 0 shows, drag through rows."""
    viewer = new_viewer()
    begun = time.perf_counter()
    add_opened(viewer, open_path(folder))
    wait_until_loaded(viewer)
    steps = {"open 2048³": [1e3 * (time.perf_counter() - begun)]}
    layer, rows = viewer.layers[0], MIDDLE * 64
    viewer.dims.set_current_step(0, rows + 3)
    zoom_in(viewer, 1.05 / VOXEL_MM)
    wait_until_loaded(viewer)
    blocked: list[float] = []
    layer.data[0].cache.wait()
    steps["drag, rows already read"] = drag(viewer, range(rows + 4, rows + 30), blocked)
    steps["first plane of a chunk row"] = drag(viewer, [rows + 33], blocked)
    steps["drag on from it"] = drag(viewer, range(rows + 34, rows + 60), blocked)
    # where nothing was read ahead; what the disk itself keeps in memory, it still has
    layer.data[0].cache.clear()
    steps["jump to a chunk row, not read"] = drag(viewer, [rows + 9], blocked)
    shown = "×".join(str(n + 1) for n in np.ptp(layer.corner_pixels, axis=0)[1:])
    facts = {
        "level shown": int(layer.data_level), "voxels shown": shown, "peak memory GB": round(peak_bytes() / 1e9, 2),
        "window blocked at most ms": round(max(blocked), 1),
    }  # fmt: skip
    viewer.close()
    return steps, facts


def measure_depth(result: Path) -> dict[str, list[float]]:
    """Choose other regions in the Depth widget until their profiles are drawn."""
    viewer = new_viewer()
    add_opened(viewer, open_path(result))
    wait_until_loaded(viewer)
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Depth")[1]
    let_window_work(2000)
    first = [timed(lambda: choose(widget, "whole"))]
    again = [timed(lambda region=region: choose(widget, region)) for region in 5 * ("rim", "core", "whole")]
    viewer.close()
    return {"profile of another region, first": first, "profile of another region, again": again}


def measure_prepare(scan: Path) -> dict[str, list[float]]:
    """Move the sliders of the Prepare widget until the slice is drawn."""
    viewer = new_viewer()
    add_opened(viewer, open_path(scan))
    wait_until_loaded(viewer)
    widget = viewer.window.add_plugin_dock_widget("deltamu", "Prepare")[1]
    widget.load()
    while widget.trials is None:
        let_window_work(50)
    at = widget.center_box.value()
    centers = [timed(lambda k=k: widget.center_box.setValue(at + 0.1 * k)) for k in range(1, 15)]
    rows = [timed(lambda k=k: widget.row_slider.setValue(k)) for k in range(5, 15)]
    viewer.close()
    return {"Prepare, centre": centers, "Prepare, row": rows}


def new_viewer():
    """Open a window as `deltamu view` does."""
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    return viewer


def zoom_in(viewer, zoom: float) -> None:
    """Set the zoom; its place in napari moved with version 0.9."""
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    camera.zoom = zoom


def choose(widget, region: str) -> None:
    """Choose a region, and draw now what would be drawn when the window has time."""
    widget.region_box.setCurrentText(region)
    widget.plot.draw()


def timed(work) -> float:
    """Milliseconds until work is done and painted."""
    begun = time.perf_counter()
    work()
    let_window_work(0)
    return 1e3 * (time.perf_counter() - begun)


def drag(viewer, steps, blocked: list[float]) -> list[float]:
    """Milliseconds for each step of the slider until its plane shows; `blocked`: how long the window did not answer."""
    whole = []
    for step in steps:
        begun = time.perf_counter()
        viewer.dims.set_current_step(0, step)
        blocked.append(1e3 * (time.perf_counter() - begun))
        while not viewer.layers[0].loaded:
            let_window_work(2)
        let_window_work(0)
        whole.append(1e3 * (time.perf_counter() - begun))
    return whole


def report(steps: dict[str, list[float]], facts: dict[str, object]) -> str:
    """One table, with the limits that were set."""
    lines = [
        "# The viewer", "", facts_line(machine()), "", facts_line(facts), "",
        "| step | times | median ms | slowest ms | limit ms |", "|---|---|---|---|---|",
        *(
            f"| {name} | {len(times)} | {np.median(times):.0f} | {max(times):.0f} | {LIMITS_MS[name]} |"
            for name, times in steps.items()
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def peak_bytes() -> int:
    """Largest resident size so far."""
    import resource

    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
