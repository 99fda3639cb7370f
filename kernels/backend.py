"""Which array library an operation uses, what it costs, and how many threads it takes."""

import ctypes
import importlib
import os
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

# options of mallopt in the GNU C library
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_HEAPS = -1, -3, -8
_KEPT_BLOCK_BYTES = 2**28


@dataclass(frozen=True)
class Cost:
    """Working memory of an operation beyond its input and output.

    Attributes
    ----------
    bytes_per_slice : int
        Grows with the number of slices that are worked on at a time.
    fixed_bytes : int
        Does not.
    """

    bytes_per_slice: int
    fixed_bytes: int

    def total(self, slices: int) -> int:
        """Bytes for `slices` slices at a time."""
        return self.fixed_bytes + slices * self.bytes_per_slice


def array_module(*arrays: Any) -> ModuleType:
    """Return cupy when any of the arrays lives on a GPU, otherwise numpy."""
    for array in arrays:
        if type(array).__module__.split(".")[0] == "cupy":
            return importlib.import_module("cupy")
    return np


def common_module(**arrays: Any) -> ModuleType:
    """Return the library that all arrays belong to.

    Raises
    ------
    ValueError
        If some live on the GPU and some do not.
    """
    modules = {name: array_module(array) for name, array in arrays.items()}
    if len(set(modules.values())) > 1:
        found = ", ".join(f"{name} in {module.__name__}" for name, module in modules.items())
        raise ValueError(f"found {found}; expected all arrays on the GPU (cupy) or all on the host (numpy)")
    return next(iter(modules.values()), np)


def to_host(array: Any) -> Any:
    """Return the array as a numpy array; no copy when it is one."""
    return array if isinstance(array, np.ndarray) else array.get()


def thread_count() -> int:
    """Threads that the CPU kernels use: OMP_NUM_THREADS, or the processors this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def release_freed_memory() -> None:
    """Give memory that was freed back to the system.

    The C library keeps what was freed for later; at the end of a stage, before one with other sizes, it would
    count twice. Does nothing where the C library has no such function.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share_one_heap() -> None:
    """Let threads that start from now on take memory from one heap of the C library.

    By default several threads have a heap each, and each keeps what it once needed: what a run holds would depend on
    which thread did what. Arrays are few and large, so threads do not wait for each other. Does nothing where the
    C library has no such function.
    """
    set_option = getattr(_c_library(), "mallopt", None)
    if set_option is not None:
        set_option(_MOST_HEAPS, 1)


def reuse_freed_memory() -> None:
    """Let the C library keep blocks of up to 256 MiB for the next array that needs one.

    By default it asks the system for every array above 32 MiB and gives it back when it is freed; for a slab that
    costs more than the arithmetic, for the system clears every page again. `release_freed_memory` gives back what is
    kept. Does nothing where the C library has no such function.
    """
    set_option = getattr(_c_library(), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        set_option(_TRIM_THRESHOLD, 2 * _KEPT_BLOCK_BYTES)


@cache
def _c_library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
