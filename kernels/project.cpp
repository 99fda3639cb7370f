#include <pybind11/pybind11.h>

void bind_project(pybind11::module_ &) {}
