"""Descriptions of a detector whose maps are needed where the frames are: on the host, or on a GPU."""

import copy
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
from scipy import ndimage

from deltamu.kernels.backend import array_module

_ELSEWHERE = "_elsewhere"


def image_filters(array: Any) -> ModuleType:
    """Return scipy.ndimage, or its equal for arrays on a GPU."""
    return ndimage if array_module(array) is np else import_module("cupyx.scipy.ndimage")


class OnDevice:
    """Base of frozen dataclasses that hold maps; numbers of a view or of a place stay on the host.

    Attributes
    ----------
    maps : tuple of str
        Fields that are copied to the device where they are arrays, or objects with maps of their own.
    """

    maps: ClassVar[tuple[str, ...]] = ()

    def beside(self, array: Any) -> Self:
        """Return this object with its maps where `array` is; each device gets them once.

        Parameters
        ----------
        array : numpy or cupy array
        """
        xp = array_module(array)
        if xp is np:
            return self
        copies: dict[int, Self] = self.__dict__.setdefault(_ELSEWHERE, {})
        device = int(xp.cuda.Device().id)
        if device not in copies:
            copies[device] = self._moved(array, xp)
            # other streams use them too
            xp.cuda.get_current_stream().synchronize()
        return copies[device]

    def _moved(self, array: Any, xp: Any) -> Self:
        moved = copy.copy(self)
        moved.__dict__.pop(_ELSEWHERE, None)
        for name in self.maps:
            value = getattr(self, name)
            if isinstance(value, OnDevice):
                object.__setattr__(moved, name, value.beside(array))
            elif isinstance(value, np.ndarray):
                object.__setattr__(moved, name, xp.asarray(value))
        return moved
