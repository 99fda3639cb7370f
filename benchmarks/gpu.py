"""Kernels on a GPU, resident and from host to host, side by side with ASTRA's CUDA code.

    python benchmarks/gpu.py [--sizes 512x720,1024x1500,2048x1800] [--rounds 5] [--toy] [--output FOLDER]

Needs a usable GPU (`deltamu info`). Every operation runs once without being counted, then in turn with the others,
round after round; times are between two synchronisations of the device. Before an operation is timed, its result on
a small case is compared with the CPU's: what differs by more than 1e-4 of the largest value is not timed.
"""

import argparse
import importlib
import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from deltamu.kernels.backproject import add_views
from deltamu.kernels.gpu_checks import describe_gpus, driver_version, gpu_problem
from deltamu.kernels.project import backproject, project
from deltamu.kernels.rays import backproject_rays, project_rays
from deltamu.kernels.tv import tv_proximal
from deltamu.kernels.warp import warp
from deltamu.recon.solvers.fbp import fbp
from deltamu.recon.solvers.fbp_gpu import fbp_on_gpus

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 1e-4
# rows of a case; times are told per voxel and view, or per voxel
SLICES = 64


@dataclass(frozen=True)
class Case:
    """A parallel-beam scan of random numbers: speed does not depend on what is in it."""

    size: int
    views: int
    slices: int

    @property
    def angles(self):
        """Radians over half a turn."""
        return np.arange(self.views) * np.pi / self.views

    @property
    def matrices(self):
        """(view, 2, 4): voxel index (x, y, z, 1) to (column, row)."""
        c, s, middle = np.cos(self.angles), np.sin(self.angles), (self.size - 1) / 2
        zero = np.zeros(self.views)
        column = np.stack([c, s, zero, middle * (1 - c - s)], axis=1)
        return np.stack([column, np.broadcast_to([0.0, 0.0, 1.0, 0.0], column.shape)], axis=1)

    def data(self):
        """Line integrals (angle, row, column) and a volume (z, y, x)."""
        rng = np.random.default_rng(1)
        views = rng.random((self.views, self.slices, self.size), np.float32)
        return views, rng.random((self.slices, self.size, self.size), np.float32)


@dataclass(frozen=True)
class Operation:
    """`compute` takes (case, views, volume) as arrays of either library; `work` counts what is done."""

    name: str
    compute: Callable
    work: Callable
    unit: str


@dataclass(frozen=True)
class Measurement:
    """One operation on one case."""

    operation: str
    size: int
    views: int
    slices: int
    wall_s: float
    rate: float
    unit: str
    rounds_s: list[float]
    error: float | None


def updates(case):
    """Voxels times views."""
    return case.slices * case.size**2 * case.views


def voxels(case):
    return case.slices * case.size**2


def reconstruct(case, views, _volume):
    return fbp(views, case.angles, center=(case.size - 1) / 2, pixel_size_mm=10.0)


def project_slices(case, _views, volume):
    return project(volume, case.angles, center=(case.size - 1) / 2, columns=case.size)


def backproject_slices(case, views, _volume):
    return backproject(views, case.angles, center=(case.size - 1) / 2, size=case.size)


def sum_views(storage):
    def compute(case, views, volume):
        total = volume * 0
        add_views(total, views, case.matrices, storage=storage)
        return total

    return compute


def project_general(case, _views, volume):
    return project_rays(volume, case.matrices, detector_shape=(case.slices, case.size))


def backproject_general(case, views, _volume):
    return backproject_rays(views, case.matrices, volume_shape=(case.slices, case.size, case.size))


def minimise_variation(_case, _views, volume):
    return tv_proximal(volume, 0.1, iterations=20)


def resample(order):
    turned = np.array([[1.0, 0.01, 0, 0.2], [-0.01, 1.0, 0.02, 0.3], [0, -0.02, 1.0, 0.1]])
    return lambda _case, _views, volume: warp(
        volume, turned, output_shape=volume.shape, order=order, fill=0.0
    )


OPERATIONS = (
    Operation("FBP by gridding", reconstruct, updates, "updates/s"),
    Operation("direct back-projection, 32 bits", sum_views("float32"), updates, "updates/s"),
    Operation("direct back-projection, 16 bits", sum_views("float16"), updates, "updates/s"),
    Operation("projector, slices", project_slices, updates, "updates/s"),
    Operation("its transpose", backproject_slices, updates, "updates/s"),
    Operation("projector, general rays", project_general, updates, "updates/s"),
    Operation("its transpose, atomic sums", backproject_general, updates, "updates/s"),
    Operation("TV proximal, 20 iterations", minimise_variation, voxels, "voxels/s"),
    Operation("resampling, trilinear", resample(1), voxels, "voxels/s"),
    Operation("resampling, cubic", resample(3), voxels, "voxels/s"),
)


def deviation(operation, cupy, case):
    """Largest difference from the CPU on a small case, relative to the largest value there."""
    views, volume = case.data()
    expected = operation.compute(case, views, volume)
    found = cupy.asnumpy(operation.compute(case, cupy.asarray(views), cupy.asarray(volume)))
    known = np.isfinite(expected)
    return float(abs(found - expected)[known].max() / abs(expected[known]).max())


def seconds_of(work, synchronize):
    synchronize()
    begun = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - begun


def measure(cupy, case, small, rounds):
    """Times of all operations on arrays that stay on the device, then of FBP from host to host."""
    views, volume = case.data()
    resident = cupy.asarray(views), cupy.asarray(volume)
    synchronize = cupy.cuda.Device().synchronize
    works, errors = {}, {}
    for operation in OPERATIONS:
        errors[operation.name] = deviation(operation, cupy, small)
        if errors[operation.name] <= TOLERANCE or "16 bits" in operation.name:
            works[operation.name] = lambda operation=operation: operation.compute(case, *resident)
    options = {"center": (case.size - 1) / 2, "pixel_size_mm": 10.0}
    works["FBP, host to host"] = lambda: fbp_on_gpus(views, case.angles, **options)
    if astra_work := astra_program(case, views):
        works["ASTRA FBP_CUDA, host to host"] = astra_work
    for work in works.values():
        work()
    times = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds_of(work, synchronize))
    return [summarise(name, case, times.get(name, []), errors.get(name)) for name in {**errors, **works}]


def astra_program(case, views):
    """ASTRA's FBP on the GPU, slice by slice; None where it cannot be imported or has no CUDA."""
    try:
        import astra
    except ImportError:
        return None
    if not astra.use_cuda():
        return None
    geometry = astra.create_proj_geom("parallel", 1.0, case.size, case.angles)
    projector = astra.create_projector("cuda", geometry, astra.create_vol_geom(case.size, case.size))

    def compute():
        for row in range(case.slices):
            astra.create_reconstruction("FBP_CUDA", projector, np.ascontiguousarray(views[:, row]))
        astra.clear()

    return compute


def summarise(name, case, times, error):
    work, unit = next(((o.work, o.unit) for o in OPERATIONS if o.name == name), (updates, "updates/s"))
    wall = statistics.median(times) if times else float("nan")
    return Measurement(
        name, case.size, case.views, case.slices, round(wall, 6), work(case) / wall, unit,
        [round(t, 6) for t in times], error,
    )  # fmt: skip


def machine():
    """What the numbers were measured on."""
    return {
        "gpu": describe_gpus(),
        "driver": driver_version(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "deltamu": importlib.metadata.version("deltamu"),
        "numpy": importlib.metadata.version("numpy"),
    }


def table(measurements, facts):
    lines = [
        "# Kernels on a GPU",
        "",
        ", ".join(f"{key} {value}" for key, value in facts.items()),
        "",
        f"Error: largest difference from the CPU on a small case, of the largest value; above {TOLERANCE:g} nothing is timed.",
        "",
        "| size, views, slices | operation | s | per second | error |",
        "|---|---|---|---|---|",
    ]
    for m in measurements:
        error = "–" if m.error is None else f"{m.error:.1e}"
        timed = f"{m.wall_s:.4f} | {m.rate:.3g} {m.unit}" if m.rounds_s else "not timed | –"
        lines.append(f"| {m.size}², {m.views}, {m.slices} | {m.operation} | {timed} | {error} |")
    return "\n".join(lines) + "\n"


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", default="512x720,1024x1500,2048x1800", help="columns x views, comma-separated"
    )
    parser.add_argument("--slices", type=int, default=SLICES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--toy", action="store_true", help="a tiny case: does it run")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    if options.toy:
        options.sizes, options.slices, options.rounds = "12x10", 2, 1
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    if problem := gpu_problem():
        raise SystemExit(f"no GPU can be used: {problem}")
    cupy = importlib.import_module("cupy")
    small = Case(12, 10, 2) if options.toy else Case(64, 90, 9)
    measurements = []
    for text in options.sizes.split(","):
        size, views = (int(number) for number in text.split("x"))
        measurements += measure(cupy, Case(size, views, options.slices), small, options.rounds)
    facts = machine()
    report = table(measurements, facts)
    print(report)
    options.output.mkdir(parents=True, exist_ok=True)
    name = "gpu_toy" if options.toy else "gpu"
    record = {"machine": facts, "measurements": [asdict(m) for m in measurements]}
    (options.output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.output / f"{name}.md").write_text(report)


if __name__ == "__main__":
    main()
