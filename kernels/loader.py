"""CUDA sources of this package: headers pasted in, compiled once per device, launched with checked arguments."""

import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
OPTIONS = ("--std=c++17",)
_INCLUDE = re.compile(r'#include "(\w+\.h)"')

Size = tuple[int, ...]
# along the second and third axis of a launch grid
MOST_BLOCKS = 65535


@dataclass(frozen=True)
class CudaSource:
    """One `.cu` file and the kernels in it.

    Attributes
    ----------
    stem : str
        Name of the file without `.cu`.
    kernels : tuple of str
        Names as C++ writes them, template arguments included.
    """

    stem: str
    kernels: tuple[str, ...]

    def text(self) -> str:
        """Return the source with the headers it includes in their places.

        A compiler that caches by the text it is given then sees an edited header.
        """
        return "\n".join(_pasted(f"{self.stem}.cu", set())) + "\n"

    def launch(
        self, kernel: str, grid: Size, block: Size, arguments: tuple[Any, ...], *, shared_bytes: int = 0
    ) -> None:
        """Run a kernel on the current device and stream.

        Parameters
        ----------
        kernel : str
            One of `kernels`.
        grid, block : tuples of up to 3 ints
        arguments : tuple
            C-contiguous device arrays, whole numbers (64 bits there) and floating-point numbers (32 bits there).
        shared_bytes : int
            Dynamic shared memory of a block.

        Raises
        ------
        ValueError
            If an array is not contiguous: its memory would be read in the wrong order.
        """
        cupy = importlib.import_module("cupy")
        module = _compiled(cupy, self, cupy.cuda.Device().id)
        passed = tuple(_argument(kernel, value) for value in arguments)
        module.get_function(kernel)(grid, block, passed, shared_mem=shared_bytes)


def blocks(count: int, block: int) -> int:
    """Blocks of `block` that cover `count`."""
    return -(-count // block)


@cache
def _compiled(cupy: ModuleType, source: CudaSource, device: int) -> Any:
    """Compile a source for one device. CuPy itself keeps the binary on the disk."""
    return cupy.RawModule(code=source.text(), options=OPTIONS, name_expressions=source.kernels)


def _argument(kernel: str, value: Any) -> Any:
    if isinstance(value, bool | int | np.integer):
        return np.int64(value)
    if isinstance(value, float | np.floating):
        return np.float32(value)
    if not value.flags.c_contiguous:
        raise ValueError(f"{kernel}: found an array of shape {value.shape} that is not contiguous")
    return value


def _pasted(name: str, seen: set[str]) -> list[str]:
    """Lines of a file, every header once, with the numbers that a compiler's messages shall have."""
    lines = [f'#line 1 "kernels/{name}"']
    for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
        header = _INCLUDE.fullmatch(line.strip())
        if header is None:
            lines.append("" if line.strip() == "#pragma once" else line)
        elif header[1] not in seen:
            seen.add(header[1])
            lines += [*_pasted(header[1], seen), f'#line {number + 1} "kernels/{name}"']
        else:
            lines.append("")
    return lines
