"""A stand-in for CuPy whose device is the CPU: the project's GPU code runs, kernels and all, without a GPU.

Arrays are as strict as CuPy's: they do not turn into NumPy arrays by themselves and do not mix with them. A
`RawModule` is compiled with g++ and its launch grid is executed thread by thread (`cuda_host.h`).
"""

import ctypes
import hashlib
import operator
import os
import subprocess
import threading
import types
from pathlib import Path

import numpy as np
from scipy import ndimage

HERE = Path(__file__).parent
SANITIZE = os.environ.get("DELTAMU_CUDA_HOST_SANITIZE", "")


class Settings:
    """How kernels are run: the order of threads and blocks, and where compiled sources are kept."""

    reversed = False
    folder: Path | None = None
    launches: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []  # noqa: RUF012
    # the largest stack of images that still finds room; refusals are counted
    most_views_bytes: int | None = None
    refused = 0
    lock = threading.Lock()


class OutOfMemoryError(MemoryError):
    pass


def _unwrapped(value):
    if isinstance(value, ndarray):
        return value._values
    if isinstance(value, np.ndarray) and value.ndim > 0:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, tuple | list):
        return type(value)(_unwrapped(part) for part in value)
    if isinstance(value, dict):
        return {key: _unwrapped(part) for key, part in value.items()}
    return value


def _wrapped(value):
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(_wrapped(part) for part in value)
    return value


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """A NumPy array behind CuPy's rules."""

    __module__ = "cupy"

    def __init__(self, values):
        self._values = values

    def __array__(self, *_args, **_options):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return _call(getattr(ufunc, method), inputs, options)

    def __array_function__(self, function, _types, inputs, options):
        return _call(function, inputs, options)

    def get(self, stream=None, out=None):
        if out is None:
            return self._values.copy()
        out[...] = self._values
        return out

    def set(self, values, stream=None):
        self._values[...] = values

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._values, name)
        if not callable(found) or isinstance(found, np.dtype):
            return _wrapped(found) if isinstance(found, np.ndarray) else found
        return lambda *inputs, **options: _call(found, inputs, options)

    def __getitem__(self, key):
        return _wrapped(self._values[_unwrapped(key)])

    def __setitem__(self, key, value):
        self._values[_unwrapped(key)] = _unwrapped(value)

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        return (_wrapped(part) for part in self._values)

    def __bool__(self):
        return bool(self._values)

    def __float__(self):
        return float(self._values)

    def __int__(self):
        return int(self._values)

    def __index__(self):
        return operator.index(self._values.item())


def _call(function, inputs, options):
    options, out = dict(options), options.get("out")
    result = function(*_unwrapped(tuple(inputs)), **_unwrapped(options))
    if out is not None:
        return out[0] if isinstance(out, tuple) else out
    return _wrapped(result)


class RawModule:
    """Compiles CUDA source for the CPU."""

    def __init__(self, code, *, options=(), name_expressions=(), backend="nvrtc"):
        self._names = tuple(name_expressions)
        self._library = ctypes.CDLL(str(_built(code, self._names)))

    def get_function(self, name):
        if name not in self._names:
            raise ValueError(f"{name} is none of the name expressions")
        function = getattr(self._library, f"run_{self._names.index(name)}")
        function.restype = ctypes.c_char_p

        def launch(grid, block, arguments, *, shared_mem=0):
            _launch(name, function, grid, block, arguments, shared_mem)

        return launch


def _built(code, names):
    """Path of the compiled library; the same source is compiled once per folder."""
    text = '#include "cuda_host.h"\n' + code + "".join(_entry(i, name) for i, name in enumerate(names))
    key = hashlib.sha256((text + SANITIZE + (HERE / "cuda_host.h").read_text()).encode()).hexdigest()[:16]
    source = Settings.folder / f"{key}.cpp"
    library = source.with_suffix(".so")
    if not library.exists():
        source.write_text(text)
        sanitize = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
        command = [
            "g++",
            "-std=c++20",
            "-O1",
            "-g",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Wno-unknown-pragmas",
            *sanitize,
        ]
        built = source.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [*command, f"-I{HERE}", str(source), "-o", str(built)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or done.stderr:
            raise RuntimeError(f"the CUDA source does not compile for the host:\n{done.stderr}")
        built.replace(library)
    return library


def _entry(number, name):
    return (
        f'\nextern "C" const char *run_{number}(const unsigned *sizes, std::size_t shared_bytes, bool reversed,\n'
        "    const char *codes, void **arguments) {\n"
        "    static std::string problem;\n"
        f"    problem = cuda_host::launch(&{name}, sizes, shared_bytes, reversed, cuda_host::split(codes), arguments);\n"
        "    return problem.c_str();\n}\n"
    )


def _launch(name, function, grid, block, arguments, shared_bytes):
    grid, block = (tuple(size) + (1,) * (3 - len(size)) for size in (grid, block))
    _check_sizes(name, grid, block, shared_bytes)
    codes, pointers, kept = [], [], []
    for value in arguments:
        code, holder = _passed(name, value)
        codes.append(code)
        kept.append(holder)
        pointers.append(ctypes.cast(ctypes.pointer(holder), ctypes.c_void_p))
    Settings.launches.append((name, grid, block))
    with Settings.lock:
        problem = function(
        (ctypes.c_uint * 6)(*grid, *block), ctypes.c_size_t(shared_bytes), ctypes.c_bool(Settings.reversed),
        " ".join(codes).encode(), (ctypes.c_void_p * len(pointers))(*pointers),
    )  # fmt: skip
    if problem:
        raise RuntimeError(f"{name}: {problem.decode()}")


def _check_sizes(name, grid, block, shared_bytes):
    """What every device of compute capability 7.5 and later grants."""
    threads = block[0] * block[1] * block[2]
    if not (0 < threads <= 1024 and block[2] <= 64 and min(grid) > 0 and max(grid[1:]) <= 65535):
        raise RuntimeError(f"{name}: no device runs a grid of {grid} blocks of {block} threads")
    if shared_bytes > 48 * 1024:
        raise RuntimeError(f"{name}: {shared_bytes} bytes of shared memory are more than every device has")


def _passed(name, value):
    """Type code of an argument, and what holds it in memory."""
    if isinstance(value, ndarray):
        kind = value.dtype.kind if value.dtype.kind in "iuf" else "s" if value.dtype.kind in "cV" else "u"
        kind = "s" if value.dtype == np.float16 else kind
        return f"*{kind}{value.dtype.itemsize}", ctypes.c_void_p(value._values.ctypes.data)
    if not isinstance(value, np.generic):
        raise TypeError(
            f"{name}: found an argument of type {type(value)}, expected a device array or a NumPy number"
        )
    return f"{value.dtype.kind}{value.dtype.itemsize}", np.ctypeslib.as_ctypes_type(value.dtype)(value.item())


def _device_function(function):
    return lambda *inputs, **options: _call(function, inputs, options)


def _from_host(function):
    """A function that takes host arrays too; what comes from the host is a copy."""

    def moved(values, *inputs, **options):
        if isinstance(values, ndarray):
            return _call(function, (values, *inputs), options)
        return _wrapped(np.array(values, *inputs, **options))

    return moved


def _allocated(shape, dtype=float):
    values = np.empty(shape, dtype)
    limit = Settings.most_views_bytes
    if limit is not None and values.ndim == 3 and values.dtype == np.float32 and values.nbytes > limit:
        Settings.refused += 1
        raise OutOfMemoryError(f"Out of memory allocating {values.nbytes} bytes")
    return ndarray(values)


def _interpolated(values, *table):
    if not values.flags.c_contiguous:
        raise NotImplementedError("Non-C-contiguous x is currently not supported")
    return _call(np.interp, (values, *table), {})


class _Fourier(types.ModuleType):
    def __getattr__(self, name):
        return _device_function(getattr(np.fft, name))


class FakeFilters(types.ModuleType):
    """cupyx.scipy.ndimage: SciPy's filters of the same names, on its own arrays."""

    def __init__(self):
        super().__init__("cupyx.scipy.ndimage")

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _device_function(getattr(ndimage, name))


class _Device:
    """One of two devices; the current one is each thread's own."""

    compute_capability = "90"
    current = threading.local()

    def __init__(self, number=None):
        self.id = getattr(self.current, "id", 0) if number is None else number

    def __enter__(self):
        self.before, self.current.id = getattr(self.current, "id", 0), self.id
        return self

    def __exit__(self, *_raised):
        self.current.id = self.before

    def synchronize(self):
        return None


class _Stream:
    def __init__(self, non_blocking=False):
        self.non_blocking = non_blocking

    def __enter__(self):
        return self

    def __exit__(self, *_raised):
        return None

    def synchronize(self):
        return None


class _Pool:
    def free_all_blocks(self):
        return None


class FakeCupy(types.ModuleType):
    """The module; what it does not name is NumPy's, on its own arrays."""

    def __init__(self):
        super().__init__("cupy")
        self.__version__ = "0.0.fake"
        self.ndarray, self.RawModule = ndarray, RawModule
        self.asarray, self.array = _from_host(np.asarray), _from_host(np.array)
        self.asnumpy = lambda values: values.get() if isinstance(values, ndarray) else np.asarray(values)
        self.get_default_memory_pool = _Pool
        self.empty, self.interp = _allocated, _interpolated
        self.fft = _Fourier("cupy.fft")
        self.cuda = types.SimpleNamespace(
            Device=_Device,
            Stream=_Stream,
            get_current_stream=_Stream,
            memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=types.SimpleNamespace(
                getDeviceCount=lambda: 2, memGetInfo=lambda: (2**30, 2**31), CUDARuntimeError=RuntimeError
            ),
        )

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(np, name)
        return _device_function(found) if callable(found) and not isinstance(found, type) else found


class FakeCupyx(types.ModuleType):
    """CuPy's second module: memory from which copies run beside computations."""

    def __init__(self):
        super().__init__("cupyx")
        self.empty_pinned = np.empty
