"""Build of the compiled CPU kernels; everything else stands in pyproject.toml."""

import os
import sys
import tempfile
from pathlib import Path

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

SOURCES = sorted(str(path) for path in Path("kernels").glob("*.cpp"))
HEADERS = sorted(str(path) for path in Path("kernels").glob("*.h"))


class BuildKernels(build_ext):
    """Chooses the flags that the compiler at hand understands."""

    def build_extensions(self):
        """Add optimisation always, OpenMP where a trial program links with it."""
        flags = ["/O2"] if self.compiler.compiler_type == "msvc" else ["-O3", "-fno-math-errno"]
        if self._links_with_openmp():
            flags.append("-fopenmp")
            for extension in self.extensions:
                extension.extra_link_args.append("-fopenmp")
        else:
            print("deltamu: no OpenMP with this compiler; the kernels will use one thread", file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args.extend(flags)
        super().build_extensions()

    def _links_with_openmp(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "trial.cpp"
            source.write_text("#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-fopenmp"])
                self.compiler.link_executable(
                    objects, os.path.join(folder, "trial"), extra_postargs=["-fopenmp"]
                )
            except Exception:
                return False
        return True


ParallelCompile("DELTAMU_BUILD_JOBS", default=2).install()
setup(
    ext_modules=[Pybind11Extension("deltamu.kernels._cpu", SOURCES, cxx_std=17, depends=HEADERS)],
    cmdclass={"build_ext": BuildKernels},
)
