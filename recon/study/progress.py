"""How a run tells what it is doing, and how it is asked to stop."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from deltamu.recon.errors import Cancelled

Cancel = Callable[[], bool]


class Progress(Protocol):
    """Called after every finished piece of a stage."""

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """`done` of `total` pieces of a stage are finished for a state."""


def silent(stage: str, state: str, done: int, total: int) -> None:
    """Tell nothing."""


def never() -> bool:
    """Never ask to stop."""
    return False


def stop_if_asked(cancel: Cancel) -> None:
    """Raise Cancelled when the user asked to stop."""
    if cancel():
        raise Cancelled(
            "stopped as asked; everything finished so far is kept, the same command continues from here"
        )


class PlainProgress:
    """One line per finished stage, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._begun: dict[str, float] = {}
        self._latest = time.monotonic()

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """Print a line when the last piece of a stage is finished."""
        label = f"{stage} {state}".strip()
        # the first piece of a stage began when the last one before it ended
        begun = self._begun.setdefault(label, self._latest)
        self._latest = time.monotonic()
        if done >= total:
            print(f"deltamu: {label}: done ({self._latest - begun:.1f} s)", file=self._stream, flush=True)


class BarProgress:
    """A bar with the time left per stage, on a terminal."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, state: str, done: int, total: int) -> None:
        """Advance the bar of a stage."""
        label = f"{stage} {state}".strip()
        if label not in self._tasks:
            self._tasks[label] = self._bars.add_task(label, total=total)
        self._bars.update(self._tasks[label], completed=done, total=total)


@contextmanager
def terminal_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Bars with ETA when the stream is a terminal, plain lines otherwise."""
    target = stream or sys.stderr
    if not target.isatty():
        yield PlainProgress(target)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=target)) as bars:
        yield BarProgress(bars)
