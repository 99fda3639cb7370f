"""One run at a time in an output folder."""

import os
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from deltamu.recon.atomic import disk_errors
from deltamu.recon.errors import InputError
from deltamu.recon.study.storage import remove_leftovers


class RunLock:
    """A lock on an output folder, held by `flock` until the end of the `with` block or of the process.

    On entering, half-written files of an interrupted run are removed: only the holder may.
    A killed process gives it back by itself. A child made by `fork` would inherit it: use threads or `spawn`.

    Parameters
    ----------
    output : path-like
        The folder; `.lock` in it is what is locked, `.lock.pid` says by whom.

    Raises
    ------
    InputError
        On entering, if another run holds the lock, or the folder cannot be written to.
    """

    def __init__(self, output: str | os.PathLike[str]) -> None:
        self.path = Path(output) / ".lock"
        self._owner = self.path.with_name(".lock.pid")
        # one lock for all threads of the process
        self._lock = FileLock(self.path, timeout=0, thread_local=False)

    def __enter__(self) -> "RunLock":
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise InputError(
                    f"{self.path.parent}: another run is using this output ({self._holder()}); "
                    "wait for it to end or choose another output"
                ) from None
            try:
                self._owner.write_text(f"{os.getpid()}\n")
                remove_leftovers(self.path.parent)
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _holder(self) -> str:
        try:
            return f"process {int(self._owner.read_text())}"
        except (OSError, ValueError):
            return "process unknown"
