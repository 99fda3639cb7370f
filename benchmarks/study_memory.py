"""What every stage of `deltamu run` holds, beside what its plan states: RssAnon + RssShmem, sampled at 20 Hz."""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from peak_memory import Sampled, run_sampled

from deltamu.recon.study.pipeline import plan_study
from deltamu.recon.study.settings import Study, read_study
from deltamu.recon.study.sources import open_sources, state_plans


@dataclass(frozen=True)
class StageMemory:
    """One row of the table: bytes."""

    stage: str
    stated: int
    measured: int


def main() -> None:
    """Print the table of one study, which is computed afresh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--memory", help="limit, for example 4G")
    options = parser.parse_args()
    for row in measure(options.study, memory=options.memory):
        print(
            f"{row.stage:12} stated {row.stated / 1e6:8.1f} MB   measured {row.measured / 1e6:8.1f} MB   "
            f"{row.measured / row.stated:.2f}"
        )


def measure(path: Path, *, memory: str | None = None) -> list[StageMemory]:
    """Run a study in a process of its own and compare each stage with its statement."""
    study = read_study(path)
    stated = plan_study(study, state_plans(open_sources(study)), memory=memory).stages
    limit = [] if memory is None else ["--memory", memory]
    sampled = run_sampled([sys.executable, "-m", "deltamu.recon.cli", "run", str(path), "--fresh", *limit])
    if sampled.status:
        raise SystemExit(sampled.output)
    measured = stage_peaks(study, sampled)
    return [StageMemory(stage.name, stage.memory_bytes, measured.get(stage.name, 0)) for stage in stated]


def stage_peaks(study: Study, sampled: Sampled) -> dict[str, int]:
    """Largest sample of every stage, by the marks that the run left in its log."""
    events = map(json.loads, (study.output_dir / "log.jsonl").read_text().splitlines())
    marks = [
        (datetime.fromisoformat(event["time"]).timestamp(), event["name"])
        for event in events
        if event["event"] == "stage"
    ]
    peaks: dict[str, int] = {}
    for time, held in sampled.samples:
        stage = next((name for begun, name in reversed(marks) if begun <= time), "")
        peaks[stage] = max(peaks.get(stage, 0), held)
    return peaks


if __name__ == "__main__":
    main()
