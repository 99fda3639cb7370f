"""Blocks of volumes that were read lately, kept within a number of bytes for all images together."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE_BYTES = 512 << 20

Block = NDArray[Any]


class ChunkCache:
    """The least recently used blocks make room for new ones; may be used from several threads.

    Parameters
    ----------
    capacity : int
        Bytes.
    """

    def __init__(self, capacity: int = CACHE_BYTES) -> None:
        self.capacity = capacity
        self._blocks: OrderedDict[Hashable, Block] = OrderedDict()
        self._bytes = 0
        self._guard = threading.Lock()
        self._filling: threading.Thread | None = None
        self._places: dict[Hashable, int] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that are held."""
        return self._bytes

    def get(self, key: Hashable) -> Block | None:
        """Return a block if it is there."""
        with self._guard:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def put(self, key: Hashable, block: Block) -> None:
        """Keep a copy of a block, unless it is larger than the cache."""
        if block.nbytes > self.capacity:
            return
        own = np.array(block)
        own.flags.writeable = False
        with self._guard:
            old = self._blocks.pop(key, None)
            self._bytes += own.nbytes - (0 if old is None else old.nbytes)
            self._blocks[key] = own
            while self._bytes > self.capacity:
                self._bytes -= self._blocks.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget all blocks."""
        self.wait()
        with self._guard:
            self._blocks.clear()
            self._places.clear()
            self._bytes = 0

    def step_to(self, key: Hashable, place: int) -> int:
        """How far a place is from the one of the call before; 0 at the first call."""
        with self._guard:
            step = place - self._places.get(key, place)
            self._places[key] = place
            return step

    def fill_later(self, work: Callable[[], object]) -> None:
        """Do work that fills the cache in the background; dropped while earlier work is going on."""
        with self._guard:
            if self._filling is not None and self._filling.is_alive():
                return
            self._filling = threading.Thread(target=_quietly, args=(work,), name="deltamu chunks")
            self._filling.start()

    def wait(self) -> None:
        """Wait for the work in the background."""
        if self._filling is not None:
            self._filling.join()


def _quietly(work: Callable[[], object]) -> None:
    # who asks for the same chunk is told of the error
    with suppress(Exception):
        work()


SHARED = ChunkCache()
