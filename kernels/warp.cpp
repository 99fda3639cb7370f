// Affine resampling of volumes: trilinear, and cubic B-spline with its prefilter.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "warp.h"

namespace py = pybind11;
using deltamu::Volume;
using Index = std::int64_t;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

// Input position of the first voxel of an output row, and its increment along the row.
struct Line {
    double start[3], step[3];
};

Line line_of_row(const double *affine, Index z, Index y) {
    Line line;
    for (int k = 0; k < 3; ++k) {
        const double *row = affine + 4 * k;
        line.start[k] = row[0] * static_cast<double>(z) + row[1] * static_cast<double>(y) + row[3];
        line.step[k] = row[2];
    }
    return line;
}

DELTAMU_DISPATCH void linear_row(const Volume &volume, const Line &line, float fill, float *out, Index count) {
    for (Index x = 0; x < count; ++x) {
        const double t = static_cast<double>(x);
        deltamu::Tap taps[3];
        const bool inside = deltamu::find_taps(volume, line.start[0] + t * line.step[0],
                                               line.start[1] + t * line.step[1], line.start[2] + t * line.step[2], taps);
        out[x] = inside ? deltamu::trilinear(volume, taps) : fill;
    }
}

// The four taps of a cubic B-spline along one axis; beyond the volume the coefficients are mirrored.
struct CubicTaps {
    Index index[4];
    float weight[4];
};

Index mirrored(Index i, Index size) {
    if (size == 1) return 0;
    const Index period = 2 * (size - 1);
    i = ((i % period) + period) % period;
    return i < size ? i : period - i;
}

bool find_cubic(double position, Index size, Index stride, CubicTaps &taps) {
    const double last = static_cast<double>(size - 1);
    if (!(position >= -deltamu::EDGE_TOLERANCE && position <= last + deltamu::EDGE_TOLERANCE)) return false;
    const double below = std::floor(position), f = position - below, g = 1 - f;
    const Index first = static_cast<Index>(below) - 1;
    const bool interior = first >= 0 && first + 3 < size;
    for (int k = 0; k < 4; ++k) taps.index[k] = (interior ? first + k : mirrored(first + k, size)) * stride;
    taps.weight[0] = static_cast<float>(g * g * g / 6);
    taps.weight[1] = static_cast<float>((4 - 6 * f * f + 3 * f * f * f) / 6);
    taps.weight[2] = static_cast<float>((4 - 6 * g * g + 3 * g * g * g) / 6);
    taps.weight[3] = static_cast<float>(f * f * f / 6);
    return true;
}

float cubic(const Volume &volume, const CubicTaps &tz, const CubicTaps &ty, const CubicTaps &tx) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
        float plane = 0;
        for (int j = 0; j < 4; ++j) {
            const float *row = volume.data + tz.index[i] + ty.index[j];
            float along = 0;
            for (int k = 0; k < 4; ++k) along += tx.weight[k] * row[tx.index[k]];
            plane += ty.weight[j] * along;
        }
        sum += tz.weight[i] * plane;
    }
    return sum;
}

DELTAMU_DISPATCH void cubic_row(const Volume &volume, const Line &line, float fill, float *out, Index count) {
    for (Index x = 0; x < count; ++x) {
        const double t = static_cast<double>(x);
        CubicTaps tz, ty, tx;
        const bool inside = find_cubic(line.start[0] + t * line.step[0], volume.nz, volume.ny * volume.nx, tz) &&
                            find_cubic(line.start[1] + t * line.step[1], volume.ny, volume.nx, ty) &&
                            find_cubic(line.start[2] + t * line.step[2], volume.nx, 1, tx);
        out[x] = inside ? cubic(volume, tz, ty, tx) : fill;
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
    for (Index r = 0; r < nz * ny; ++r) row(source, line_of_row(matrix, r / ny, r % ny), fill, target + r * nx, nx);
}

void warp_linear(const FloatArray &volume, const DoubleArray &affine, float fill, FloatArray out) {
    warp_rows(volume, affine, fill, out, linear_row);
}

void warp_cubic(const FloatArray &coefficients, const DoubleArray &affine, float fill, FloatArray out) {
    warp_rows(coefficients, affine, fill, out, cubic_row);
}

// Pole of the recursive filter that turns samples into cubic B-spline coefficients (Unser 1999).
const double POLE = std::sqrt(3.0) - 2.0;

// In place on `width` neighbouring lines at a time; the volume is continued by its mirror image.
DELTAMU_DISPATCH void prefilter_lines(float *data, Index count, Index stride, Index width, double *work) {
    for (Index i = 0; i < count; ++i)
        for (Index w = 0; w < width; ++w) work[i * width + w] = 6.0 * data[i * stride + w];
    const Index horizon = std::min<Index>(count, 40);  // POLE^40 is below 1e-22
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
