"""Memory of a command while it runs: what its processes hold that no file backs."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERTZ = 20


@dataclass(frozen=True)
class Sampled:
    """A finished command.

    Attributes
    ----------
    status : int
    seconds : float
    output : str
        Both streams.
    samples : list of (float, int)
        Time (seconds since the epoch) and bytes of RssAnon + RssShmem of the command and its children.
    """

    status: int
    seconds: float
    output: str
    samples: list[tuple[float, int]]

    @property
    def peak_bytes(self) -> int:
        """Largest sample."""
        return max((held for _, held in self.samples), default=0)


def run_sampled(command: Sequence[str], *, environment: dict[str, str] | None = None) -> Sampled:
    """Run a command and sample its memory 20 times a second; Linux only."""
    samples = []
    begun = time.perf_counter()
    with subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        following = begun
        while process.poll() is None:
            samples.append((time.time(), sum(anonymous_bytes(pid) for pid in family(process.pid))))
            following = max(following + 1 / HERTZ, time.perf_counter())
            time.sleep(max(following - time.perf_counter(), 0))
        seconds = time.perf_counter() - begun
        output = process.stdout.read() if process.stdout else ""
    return Sampled(process.returncode, seconds, output, samples)


def family(pid: int) -> list[int]:
    """Return a process and all that it has started, directly or not."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def anonymous_bytes(pid: int) -> int:
    """RssAnon + RssShmem of one process, 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
