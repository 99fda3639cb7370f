"""How many frames per second a series passes from its files to profiles, and what memory it takes meanwhile.

python benchmarks/operando.py FOLDER

The Li-S cell of `deltamu demo --operando front` on a detector of 1024 × 1024 pixels; sixteen frames are simulated with
all faults of the camera and written again and again as 16-bit TIFF files, 2 MB each, into FOLDER. `run_series` then
measures the first quarter of them and all of them, each in a process of its own. Counted is the stage that reads
every frame, corrects it, finds its drift, forms one profile per strip and keeps them on disk; files that were just
written are read from the memory of the operating system.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from peak_memory import run_sampled

from deltamu.recon.simulate.operando.designs import find_design
from deltamu.recon.simulate.operando.series_files import make_camera
from deltamu.recon.simulate.presets import Preset
from deltamu.recon.study.operando.demo import series_toml

SIDE, DISTINCT, PIXEL_MM = 1024, 16, 0.0135


def write_frames(folder: Path, frames: int, side: int) -> None:
    """Write frames, flats, darks and series.toml."""
    design = find_design("front")
    preset = Preset(side, side, frames, PIXEL_MM * SIDE / side, 1500 * (SIDE / side) ** 2, 1)
    design = replace(design, preset=preset)
    camera = make_camera(
        replace(design, preset=replace(preset, views=max(DISTINCT, design.rest_frames))), seed=1
    )
    for kind, recorded in camera.references().items():
        write_folder(folder / "raw" / kind, recorded, len(recorded))
    write_folder(folder / "raw" / "projections", [camera.frame(n) for n in range(DISTINCT)], frames)
    settings = series_toml(design).replace('times_file = "times.csv"', f"interval_s = {design.frame_s}")
    before, after = settings.split("[cycler]")
    without_cycler = before + "[layers]" + after.split("[layers]")[1]
    (folder / "series.toml").write_text(without_cycler, encoding="utf-8")


def write_folder(folder: Path, recorded: list, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        tifffile.imwrite(folder / f"frame_{number:05d}.tif", recorded[number % len(recorded)], metadata=None)


def child(settings: Path, frames: int) -> None:
    """Run a series and print when each stage had made progress."""
    from deltamu.recon.study.operando.pipeline import run_series
    from deltamu.recon.study.operando.settings import read_series_study

    study = read_series_study(settings)
    chosen = study.series.model_copy(update={"frame_select": f"0:{frames}"})
    output = settings.parent / f"result_{frames}"
    study = study.model_copy(update={"series": chosen, "output": str(output)})
    run_series(study, progress=lambda stage, *_: print("progress", stage, time.time(), flush=True))
    seconds = json.loads((output / "summary.json").read_text(encoding="utf-8"))["timing_s"]
    print("seconds", json.dumps(seconds))


def measure(settings: Path, frames: int) -> dict[str, float]:
    """Run in a process of its own; memory of the stage of frames alone, and of the whole run."""
    sampled = run_sampled([sys.executable, __file__, "--child", str(frames), str(settings.parent)])
    if sampled.status:
        raise SystemExit(sampled.output)
    lines = [line.split() for line in sampled.output.splitlines() if line.startswith("progress")]
    begun = next(float(at) for _, stage, at in lines if stage == "reference")
    ended = max(float(at) for _, stage, at in lines if stage == "frames")
    meanwhile = max(held for at, held in sampled.samples if begun <= at <= ended)
    return {
        "frames": frames, "seconds": ended - begun, "frames_per_s": frames / (ended - begun),
        "peak_mb_of_frames": meanwhile / 1e6, "peak_mb_of_run": sampled.peak_bytes / 1e6, "run_s": sampled.seconds,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Frames per second and memory of a series of radiographs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--child", type=int)
    options = parser.parse_args(arguments)
    settings = options.folder / "series.toml"
    if options.child is not None:
        child(settings, options.child)
        return
    if not settings.exists():
        write_frames(options.folder, options.frames, options.side)
    runs = [measure(settings, count) for count in (options.frames // 4, options.frames)]
    for run in runs:
        shutil.rmtree(options.folder / f"result_{run['frames']}")
    record = {
        "shape": [options.frames, options.side, options.side], "runs": runs, "threads": len(os.sched_getaffinity(0)),
        "machine": platform.machine(), "numpy": np.__version__,
    }  # fmt: skip
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "operando.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for run in runs:
        print(", ".join(f"{name} {value:.4g}" for name, value in run.items()))


if __name__ == "__main__":
    main()
