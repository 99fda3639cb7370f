"""A run of a study in a thread of its own, without a window system."""

import threading
from collections.abc import Callable
from pathlib import Path

from deltamu.recon.errors import Cancelled, DeltamuError
from deltamu.recon.study.pipeline import run
from deltamu.recon.study.progress import Progress
from deltamu.recon.study.settings import read_study

Ended = Callable[[str, str], None]
DONE, CANCELLED, FAILED = "done", "cancelled", "failed"


class RunSession:
    """Starts a run, or continues one, and can stop it.

    Parameters
    ----------
    study : Path
        A study.toml.
    progress : callable(stage, state, done, total)
    ended : callable(how, text)
        `how` is "done" (the text is the output folder), "cancelled" or "failed" (a sentence). Both are called in
        the thread of the run.
    """

    def __init__(self, study: Path, *, progress: Progress, ended: Ended) -> None:
        self.study = study
        self._progress, self._ended = progress, ended
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="deltamu run")

    def start(self) -> None:
        """Start; what an earlier run finished is kept."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask to stop after the current piece."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False where it has not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            output = run(read_study(self.study), progress=self._progress, cancel=self._stop.is_set)
        except Cancelled as stopped:
            self._ended(CANCELLED, str(stopped))
        except DeltamuError as error:
            self._ended(FAILED, str(error))
        except MemoryError:
            self._ended(FAILED, "not enough memory; set run.memory in study.toml to less")
        except OSError as error:
            self._ended(FAILED, f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))
        # a fault of ours must reach the window too, or it would seem to run for ever
        except Exception as error:
            self._ended(FAILED, f"an error in deltamu, please report it: {type(error).__name__}: {error}")
        else:
            self._ended(DONE, str(output))
