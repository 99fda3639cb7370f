// The one compiled module: every stem binds its functions here.
#include <pybind11/pybind11.h>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace py = pybind11;

void bind_align(py::module_ &module);
void bind_backproject(py::module_ &module);
void bind_flashes(py::module_ &module);
void bind_gridding(py::module_ &module);
void bind_warp(py::module_ &module);
void bind_project(py::module_ &module);
void bind_rays(py::module_ &module);
void bind_spots(py::module_ &module);
void bind_tv(py::module_ &module);

PYBIND11_MODULE(_cpu, module) {
#ifdef _OPENMP
    module.attr("openmp") = true;
#else
    module.attr("openmp") = false;
#endif
    bind_align(module);
    bind_backproject(module);
    bind_flashes(module);
    bind_gridding(module);
    bind_warp(module);
    bind_project(module);
    bind_rays(module);
    bind_spots(module);
    bind_tv(module);
}
