"""Arrays (z, y, x) whose planes are made when they are read."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class PlanesOnDemand(ABC):
    """A float32 array (z, y, x) of which only the planes that are asked for take memory."""

    ndim = 3

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""

    @abstractmethod
    def planes(self, begin: int, end: int) -> Array:
        """Make planes begin to end − 1, which lie inside the array."""

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any) -> Array:
        """Make the planes that an index or a slice names, and index them further."""
        chosen, *rest = key if isinstance(key, tuple) else (key,)
        if not isinstance(chosen, slice):
            plane = range(self.shape[0])[chosen]
            result: Array = self.planes(plane, plane + 1)[(0, *rest)]
            return result
        begin, end, stride = chosen.indices(self.shape[0])
        return self.planes(begin, max(end, begin))[(slice(None, None, stride), *rest)]
