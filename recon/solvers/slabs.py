"""Sharing the slabs of a computation between workers, with smaller slabs where memory runs out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

Compute = Callable[[int, int, int], None]


def share_slabs(compute: Compute, rows: int, *, slab: int, workers: int = 1) -> None:
    """Compute all rows, slab by slab; every worker takes the next slab as soon as it is free.

    A slab for which `compute` raises MemoryError is halved, as are all that follow. Slabs start at even rows
    while they are taller than one, because slices ride in pairs.

    Parameters
    ----------
    compute : callable
        Called with (worker, first row, row after the last), in as many threads as there are workers.
    rows : int
    slab : int
        Rows at a time to begin with.
    workers : int

    Raises
    ------
    MemoryError
        If a single row does not fit.
    """
    if min(slab, workers) < 1:
        raise ValueError(f"slab, workers: found {slab}, {workers}; expected positive numbers")
    waiting = _Waiting(rows, slab)
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(_work, compute, worker, waiting) for worker in range(workers)]
    for task in tasks:
        task.result()


def _work(compute: Compute, worker: int, waiting: "_Waiting") -> None:
    while (slab := waiting.take()) is not None:
        try:
            compute(worker, *slab)
        except MemoryError:
            if slab[1] - slab[0] == 1:
                waiting.stop()
                raise
            waiting.return_halved(*slab)
        except BaseException:
            waiting.stop()
            raise


class _Waiting:
    """Rows that nobody has taken yet, and how many may be taken at a time."""

    def __init__(self, rows: int, slab: int) -> None:
        self._parts, self._most, self._lock = [(0, rows)] if rows else [], slab, Lock()

    def take(self) -> tuple[int, int] | None:
        with self._lock:
            if not self._parts:
                return None
            first, stop = self._parts.pop()
            if stop - first > self._most:
                self._parts.append((first + self._most, stop))
                stop = first + self._most
            return first, stop

    def return_halved(self, first: int, stop: int) -> None:
        with self._lock:
            half = (stop - first) // 2
            self._most = min(self._most, half - half % 2 or 1)
            self._parts.append((first, stop))

    def stop(self) -> None:
        with self._lock:
            self._parts.clear()
