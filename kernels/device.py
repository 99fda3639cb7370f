"""Which device a run computes on, and why."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import psutil

from deltamu.kernels import gpu_checks

DeviceName = Literal["cpu", "gpu"]
# until the tests in tests/gpu have passed on a GPU, one is used only where it is asked for
UNTRIED = "its code has not been tried on one yet; --device gpu uses it after a trial against the CPU"


@dataclass(frozen=True)
class Device:
    """A place to compute: its name, and why it was chosen.

    Attributes
    ----------
    name : {"cpu", "gpu"}
    reason : str
        One line for the log and the report, empty when the choice was explicit.
    """

    name: DeviceName
    reason: str = ""

    def __post_init__(self) -> None:
        if self.name not in ("cpu", "gpu"):
            raise ValueError(f"device: found {self.name!r}, expected 'cpu' or 'gpu'")


def resolve_device(choice: str) -> Device:
    """Turn the user's choice into a device.

    Parameters
    ----------
    choice : {"auto", "cpu", "gpu"}

    Raises
    ------
    ValueError
        If the choice is none of the three.
    RuntimeError
        If a GPU was asked for and none can be used.
    """
    if choice == "cpu":
        return Device("cpu")
    if choice not in ("auto", "gpu"):
        raise ValueError(f"device: found {choice!r}, expected 'auto', 'cpu' or 'gpu'")
    problem = gpu_checks.gpu_problem()
    if choice == "auto":
        return Device("cpu", f"no GPU is used: {problem or UNTRIED}")
    if problem:
        raise RuntimeError(f"device: 'gpu' was asked for, but {problem}")
    return Device("gpu")


def free_memory(device: Device) -> int:
    """Bytes that can be allocated on the device now."""
    if device.name == "cpu":
        return int(psutil.virtual_memory().available)
    query: Callable[[], tuple[int, int]] = importlib.import_module("cupy").cuda.runtime.memGetInfo
    return int(query()[0])
