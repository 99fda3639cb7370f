"""What benchmarks beside other programs share: the case, rounds in turn, the machine, the files."""

import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deltamu.kernels.backend import thread_count
from deltamu.recon.simulate.ellipses import head_phantom, line_integrals

RESULTS = Path(__file__).parent / "results"
# by the processor's flag, the widest first
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}


@dataclass(frozen=True)
class Case:
    """Sinograms with exact truth; one column is 1 cm, so that attenuation is per column."""

    size: int
    views: int
    slices: int

    @property
    def angles(self):
        """Radians over half a turn."""
        return np.arange(self.views) * np.pi / self.views

    @property
    def center(self):
        """Column of the rotation axis."""
        return (self.size - 1) / 2

    def line_integrals(self):
        """(angle, row, column); the rows differ by a factor."""
        one = line_integrals(head_phantom(self.size), self.angles, columns=self.size)
        factors = 1 + np.arange(self.slices) / max(self.slices, 1)
        return (one[:, None] * factors[:, None]).astype(np.float32)


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Run all works in turn, `rounds` times; (round, 2) seconds of wall clock and of CPU for each.

    Whatever else the machine does falls on all of them alike, so ratios within a round are what to compare.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: np.array(pairs) for name, pairs in times.items()}


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else model
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    vectors = next((name for flag, name in VECTORS.items() if flag in flags), "unknown")
    versions = {name: importlib.metadata.version(name) for name in ("deltamu", "numpy", "scipy")}
    return {
        "device": "cpu",
        "date": datetime.date.today().isoformat(),
        "processor": model,
        "vectors": vectors,
        "processors": os.cpu_count(),
        "threads": thread_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
    }


def facts_line(facts: Mapping[str, object]) -> str:
    """The machine in one line."""
    return ", ".join(f"{key} {value}" for key, value in facts.items())


def write_results(folder: Path, name: str, record: Mapping[str, object], report: str) -> None:
    """Print the table, and write it and the raw numbers."""
    print(report)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / f"{name}.md").write_text(report)
