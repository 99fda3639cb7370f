#include <pybind11/pybind11.h>

void bind_gridding(pybind11::module_ &) {}
