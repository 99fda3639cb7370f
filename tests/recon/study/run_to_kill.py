"""A run of a study in a process of its own, which a test kills: at a point of the run, or from outside.

    python run_to_kill.py STUDY [--at POINT --pass N] [--without-report]

Prints the processor seconds when the first stage begins, and when the run has ended.
"""

import argparse
import os
import signal
import time
from pathlib import Path

from deltamu.recon.study import checkpoint, pipeline
from deltamu.recon.study.settings import read_study


def main() -> None:
    options = _options()
    if options.at:
        checkpoint.hook = _kill_at(options.at, options.passes)
    if options.without_report:
        pipeline.write_report = lambda output: output  # the arrays do not depend on it
    stages = pipeline._run_stages

    def announced(*arguments: object) -> None:
        print(f"begun {time.process_time():.3f}", flush=True)
        stages(*arguments)

    pipeline._run_stages = announced
    pipeline.run(read_study(options.study))
    print(f"ended {time.process_time():.3f}", flush=True)


def _kill_at(point: str, passes: int) -> checkpoint.Hook:
    left = passes

    def hook(here: checkpoint.Point, key: checkpoint.PieceKey) -> None:
        nonlocal left
        left -= here == point
        if here == point and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("study", type=Path)
    parser.add_argument("--at", default="")
    parser.add_argument("--pass", dest="passes", type=int, default=1)
    parser.add_argument("--without-report", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
