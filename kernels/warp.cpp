#include <pybind11/pybind11.h>

void bind_warp(pybind11::module_ &) {}
