"""A volume with its voxel size and unit, read only where it is asked for."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deltamu.recon.errors import InputError


class ArrayLike3D(Protocol):
    """What a volume needs of its data: a shape, a type, and slices that come back as numpy arrays."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True)
class Volume:
    """An image of (z, y, x) voxels with a physical scale. Nothing is read before it is indexed.

    Attributes
    ----------
    data : array-like
        A numpy array, or a file that answers to slices.
    voxel_size_mm : float
        Edge of a voxel; voxels are cubes.
    unit : str
        Unit of the values, "cm^-1" for attenuation, "mm" for depth, "1" for pure numbers.
    name : str
        For messages and file names.
    origin_mm : tuple of 3 floats
        Where the centre of voxel 0 is, (z, y, x); not zero on the coarser levels of a pyramid.
    notes : tuple of str
        What was recognised or converted when it was read, one line each.

    Raises
    ------
    InputError
        If the data are not three-dimensional or empty, or the voxel size is not a positive number.
    """

    data: ArrayLike3D
    voxel_size_mm: float
    unit: str
    name: str = "volume"
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.data.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"{self.name}: found shape {shape}, expected (z, y, x) with at least one voxel")
        object.__setattr__(self, "voxel_size_mm", check_voxel_size(self.voxel_size_mm, self.name))
        if not self.unit:
            raise InputError(f"{self.name}: unit is empty; expected for example 'cm^-1', 'mm' or '1'")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        z, y, x = self.data.shape
        return int(z), int(y), int(x)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values that come back."""
        return np.dtype(self.data.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole volume in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a part: integers and slices, as for a numpy array."""
        return np.asarray(self.data[key])

    def read(self) -> NDArray[Any]:
        """Read all of it, (z, y, x)."""
        return self[:, :, :]


def check_voxel_size(value: float, name: str) -> float:
    """Return a voxel size in mm as a float, or say what is wrong with it.

    Raises
    ------
    InputError
        If it is not a positive finite number, or so large or small that it cannot be millimetres.
    """
    try:
        size = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name}: voxel_size_mm is {value!r}, expected one number in mm") from None
    if not np.isfinite(size) or size <= 0:
        raise InputError(f"{name}: voxel_size_mm is {size:g}, expected a positive number in mm")
    if not 1e-5 <= size <= 20:
        raise InputError(
            f"{name}: voxel_size_mm is {size:g} mm, which no tomograph has; expected millimetres "
            "(27 micrometres are 0.027)"
        )
    return size
