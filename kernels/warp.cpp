// Affine resampling of volumes: trilinear, and cubic B-spline with its prefilter.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "dispatch.h"
#include "warp.h"

namespace py = pybind11;
using deltamu::POLE;
using deltamu::Volume;
using Index = deltamu::Place;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

DELTAMU_DISPATCH void linear_row(const Volume &volume, const deltamu::Line &line, float fill, float *out, Index count) {
    for (Index x = 0; x < count; ++x) {
        const double t = static_cast<double>(x);
        deltamu::Tap taps[3];
        const bool inside = deltamu::find_taps(volume, line.start[0] + t * line.step[0],
                                               line.start[1] + t * line.step[1], line.start[2] + t * line.step[2], taps);
        out[x] = inside ? deltamu::trilinear(volume, taps) : fill;
    }
}

DELTAMU_DISPATCH void cubic_row(const Volume &volume, const deltamu::Line &line, float fill, float *out, Index count) {
    for (Index x = 0; x < count; ++x) {
        const double t = static_cast<double>(x);
        deltamu::CubicTaps tz, ty, tx;
        const bool inside = deltamu::find_cubic(line.start[0] + t * line.step[0], volume.nz, volume.ny * volume.nx, tz) &&
                            deltamu::find_cubic(line.start[1] + t * line.step[1], volume.ny, volume.nx, ty) &&
                            deltamu::find_cubic(line.start[2] + t * line.step[2], volume.nx, 1, tx);
        out[x] = inside ? deltamu::cubic(volume, tz, ty, tx) : fill;
    }
}

void check_shapes(const FloatArray &volume, const DoubleArray &affine, const FloatArray &out) {
    if (volume.ndim() != 3 || out.ndim() != 3) throw py::value_error("warp: expected volumes (z, y, x)");
    if (affine.ndim() != 2 || affine.shape(0) != 3 || affine.shape(1) != 4)
        throw py::value_error("warp: affine: expected shape (3, 4)");
}

template <typename Row>
void warp_rows(const FloatArray &volume, const DoubleArray &affine, float fill, FloatArray &out, Row row) {
    check_shapes(volume, affine, out);
    const Volume source{volume.data(), volume.shape(0), volume.shape(1), volume.shape(2)};
    const double *matrix = affine.data();
    float *target = out.mutable_data();
    const Index nz = out.shape(0), ny = out.shape(1), nx = out.shape(2);
    py::gil_scoped_release release;
#pragma omp parallel for schedule(dynamic, 16)
    for (Index r = 0; r < nz * ny; ++r) row(source, deltamu::line_of_row(matrix, r / ny, r % ny), fill, target + r * nx, nx);
}

void warp_linear(const FloatArray &volume, const DoubleArray &affine, float fill, FloatArray out) {
    warp_rows(volume, affine, fill, out, linear_row);
}

void warp_cubic(const FloatArray &coefficients, const DoubleArray &affine, float fill, FloatArray out) {
    warp_rows(coefficients, affine, fill, out, cubic_row);
}

// In place on `width` neighbouring lines at a time; the volume is continued by its mirror image.
DELTAMU_DISPATCH void prefilter_lines(float *data, Index count, Index stride, Index width, double *work) {
    for (Index i = 0; i < count; ++i)
        for (Index w = 0; w < width; ++w) work[i * width + w] = 6.0 * data[i * stride + w];
    const Index horizon = std::min<Index>(count, deltamu::HORIZON);
    for (Index w = 0; w < width; ++w) {
        double sum = work[w], power = POLE;
        for (Index i = 1; i < horizon; ++i, power *= POLE) sum += power * work[i * width + w];
        if (horizon == count) {
            // a short line: the mirror image adds the way back, and the whole repeats with period 2 (count - 1)
            double back = power;
            for (Index i = count - 2; i > 0; --i, back *= POLE) sum += back * work[i * width + w];
            sum /= 1 - std::pow(POLE, static_cast<double>(2 * (count - 1)));
        }
        work[w] = sum;
    }
    for (Index i = 1; i < count; ++i)
        for (Index w = 0; w < width; ++w) work[i * width + w] += POLE * work[(i - 1) * width + w];
    double *last = work + (count - 1) * width;
    for (Index w = 0; w < width; ++w) last[w] = POLE / (POLE * POLE - 1) * (last[w] + POLE * last[w - width]);
    for (Index i = count - 2; i >= 0; --i)
        for (Index w = 0; w < width; ++w) work[i * width + w] = POLE * (work[(i + 1) * width + w] - work[i * width + w]);
    for (Index i = 0; i < count; ++i)
        for (Index w = 0; w < width; ++w) data[i * stride + w] = static_cast<float>(work[i * width + w]);
}

// Lines along one axis in groups of up to 16 that lie next to each other in memory.
void prefilter_axis(float *data, Index outer, Index count, Index inner) {
    if (count < 2) return;
    const Index width = std::min<Index>(inner, 16), groups = (inner + width - 1) / width;
#pragma omp parallel
    {
        std::vector<double> work(static_cast<std::size_t>(count * width));
#pragma omp for schedule(static)
        for (Index g = 0; g < outer * groups; ++g) {
            const Index first = (g % groups) * width;
            prefilter_lines(data + (g / groups) * count * inner + first, count, inner, std::min(width, inner - first),
                            work.data());
        }
    }
}

void spline_coefficients(FloatArray volume) {
    if (volume.ndim() != 3) throw py::value_error("warp: expected a volume (z, y, x)");
    float *data = volume.mutable_data();
    const Index nz = volume.shape(0), ny = volume.shape(1), nx = volume.shape(2);
    py::gil_scoped_release release;
    prefilter_axis(data, nz * ny, nx, 1);
    prefilter_axis(data, nz, ny, nx);
    prefilter_axis(data, 1, nz, ny * nx);
}

}  // namespace

void bind_warp(py::module_ &module) {
    module.def("warp_linear", &warp_linear, py::arg("volume").noconvert(), py::arg("affine").noconvert(),
               py::arg("fill"), py::arg("out").noconvert());
    module.def("warp_cubic", &warp_cubic, py::arg("coefficients").noconvert(), py::arg("affine").noconvert(),
               py::arg("fill"), py::arg("out").noconvert());
    module.def("spline_coefficients", &spline_coefficients, py::arg("volume").noconvert());
}
