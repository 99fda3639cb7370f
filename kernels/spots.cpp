#include <pybind11/pybind11.h>

void bind_spots(pybind11::module_ &) {}
