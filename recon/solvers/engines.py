"""Reconstruction methods of other programs, called by their names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltamu.kernels.backend import Cost, thread_count
from deltamu.recon.errors import InputError
from deltamu.recon.solvers.engine_astra import cgls_by_astra, fbp_by_astra, sirt_by_astra
from deltamu.recon.solvers.engine_inputs import import_engine
from deltamu.recon.solvers.engine_tomopy import (
    ROWS_AT_A_TIME,
    fbp_by_tomopy,
    mlem_by_tomopy,
    padded_width,
    sirt_by_tomopy,
)

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]

OWN = "deltamu"
# what the methods of each engine may be told; fbp: filter and cutoff as well
ENGINE_OPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "astra": {
        "fbp": (),
        "sirt": ("iterations", "relaxation", "lower", "upper"),
        "cgls": ("iterations",),
    },
    "tomopy": {"fbp": (), "sirt": ("iterations",), "mlem": ("iterations",)},
}
ENGINES = (OWN, *ENGINE_OPTIONS)
_FUNCTIONS: Mapping[tuple[str, str], Callable[..., Array]] = {
    ("astra", "fbp"): fbp_by_astra,
    ("astra", "sirt"): sirt_by_astra,
    ("astra", "cgls"): cgls_by_astra,
    ("tomopy", "fbp"): fbp_by_tomopy,
    ("tomopy", "sirt"): sirt_by_tomopy,
    ("tomopy", "mlem"): mlem_by_tomopy,
}
# their time on the CPU over ours for the same projections, measured for ASTRA; an estimate for plans
TIMES_OURS = 60
_COMPLEX = 8
_DOUBLE = 8


def engine_options(engine: str, method: str) -> tuple[str, ...]:
    """Options that a method of an engine takes.

    Raises
    ------
    InputError
        If there is no such engine, or it has no such method.
    """
    if engine not in ENGINE_OPTIONS:
        raise InputError(f"engine: found '{engine}', expected one of {', '.join(ENGINES)}")
    if method not in ENGINE_OPTIONS[engine]:
        raise InputError(
            f"engine: {engine} has no method {method} here; it has {', '.join(ENGINE_OPTIONS[engine])}"
        )
    return ENGINE_OPTIONS[engine][method]


def check_engine(engine: str) -> None:
    """Raise InputError with the command that installs it when an engine cannot be imported."""
    if engine != OWN:
        import_engine(engine)


def reconstruct_by_engine(
    line_integrals: NDArray[np.floating],
    angles: NDArray[np.floating],
    *,
    engine: str,
    method: str,
    device: str = "auto",
    **options: Any,
) -> Array:
    """Reconstruct by another program; options as its function takes them.

    Raises
    ------
    InputError
        If an argument is out of range, or the engine is not installed.
    """
    if engine == "astra":
        options["device"] = device
    return _FUNCTIONS[engine, method](line_integrals, angles, **options)


def engine_cost(engine: str, views: int, columns: int) -> Cost:
    """Working memory of `reconstruct_by_engine` beyond line integrals and result: it does not grow with the rows."""
    if engine == "astra":
        # one slice: sinogram as it came, padded and filtered with 64 bits; projections and volumes of ASTRA
        return Cost(0, columns * (views * (6 * _DOUBLE + 4 * 4) + 4 * 4 * columns))
    wide = padded_width(columns)
    block = ROWS_AT_A_TIME * views * wide * (4 * _DOUBLE)
    grids = thread_count() * _COMPLEX * wide * (wide + 2 * views)
    return Cost(0, block + grids + ROWS_AT_A_TIME * columns**2 * 3 * _DOUBLE)
