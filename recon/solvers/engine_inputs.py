"""What the reconstructions by other programs have in common: their inputs, and what to say when they are missing."""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import array_module
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.fbp import check_views

Array = NDArray[np.float32]
Float = NDArray[np.float64]
# engine: command that installs it; tomopy is not on PyPI
INSTALL = {"astra": "pip install 'deltamu[astra]'", "tomopy": "conda install -c conda-forge tomopy"}


def import_engine(name: str) -> Any:
    """Import the package of an engine.

    Raises
    ------
    InputError
        With the command that installs it, when it cannot be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"engine: '{name}' cannot be imported ({error}); try: {INSTALL[name]}") from None


def engine_views(
    views: NDArray[np.floating], angles: NDArray[np.floating], *, center: float, pixel_size_mm: float
) -> tuple[Array, Float]:
    """As `check_views`, and refuse values that are not finite, which our own kernels find themselves.

    Raises
    ------
    InputError
        If an argument is out of range, a value is not finite, or the arrays are on a GPU.
    """
    if array_module(views) is not np:
        raise InputError("line_integrals: found an array on a GPU; this engine takes NumPy arrays")
    found, theta = check_views(views, angles, center=center, pixel_size_mm=pixel_size_mm)
    if not np.all(np.isfinite(found)):
        raise InputError("line_integrals: found values that are not finite; mask or repair them first")
    return found, theta


def check_iterations(iterations: int) -> None:
    """Raise InputError unless at least one iteration is asked for."""
    if iterations < 1:
        raise InputError(f"iterations: found {iterations}, expected at least 1")
