"""What is installed, what the machine offers, and how to get what is missing."""

import importlib.util
import platform
from importlib import metadata

import psutil

from deltamu.kernels.backend import thread_count
from deltamu.kernels.gpu_checks import describe_gpus, gpu_problem
from deltamu.recon.solvers.engine_inputs import INSTALL

OPTIONAL = {
    "astropy": ("FITS scans", "pip install 'deltamu[fits]'"),
    "hdf5plugin": ("compressed HDF5 of some beamlines", "pip install 'deltamu[hdf5]'"),
    "astra": ("engine = 'astra', comparison with ASTRA", INSTALL["astra"]),
    "tomopy": ("engine = 'tomopy'", INSTALL["tomopy"]),
}
CORE = ("numpy", "scipy", "zarr", "h5py", "tifffile", "pydantic", "periodictable", "matplotlib")


def describe_installation() -> str:
    """Return the text of `deltamu info`."""
    memory = psutil.virtual_memory()
    lines = [
        f"deltamu {metadata.version('deltamu')}, Python {platform.python_version()}, {platform.platform()}",
        "libraries: " + ", ".join(f"{name} {metadata.version(name)}" for name in CORE),
        f"processor: {thread_count()} threads used; kernels {_openmp()}",
        f"memory: {memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free",
        f"GPU: {_gpu()}",
    ]
    for module, (purpose, command) in OPTIONAL.items():
        there = importlib.util.find_spec(module) is not None
        lines.append(f"{purpose}: " + ("available" if there else f"not installed ({command})"))
    return "\n".join(lines)


def _gpu() -> str:
    problem = gpu_problem()
    return (
        f"none can be used: {problem}" if problem else f"{describe_gpus()}; --device gpu reconstructs on it"
    )


def _openmp() -> str:
    from deltamu.kernels import _cpu

    return (
        "with OpenMP"
        if _cpu.openmp
        else "without OpenMP: one thread only (rebuild with a compiler that has it)"
    )
