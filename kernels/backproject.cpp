// Back-projection of filtered views: every voxel sums what stands where it is seen, bilinearly interpolated.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backproject.h"
#include "dispatch.h"

namespace py = pybind11;
using deltamu::Place;
using deltamu::ViewMatrix;
using deltamu::ViewShape;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

constexpr Place TILE_Z = 8, TILE_Y = 16, TILE_X = 128;

// Where a row of voxels is seen: the homogeneous position of its first voxel, and the change per voxel.
struct SeenRow {
    float start[3], step[3];

    SeenRow(const ViewMatrix &view, Place z, Place y, Place x) {
        for (int k = 0; k < 3; ++k) {
            const double *row = view.m[k];
            start[k] = static_cast<float>(row[0] * static_cast<double>(x) + row[1] * static_cast<double>(y) +
                                          row[2] * static_cast<double>(z) + row[3]);
            step[k] = static_cast<float>(row[0]);
        }
    }
};

DELTAMU_DISPATCH void add_parallel(const float *__restrict view, const ViewShape &shape, const SeenRow &seen, float *__restrict voxels,
                                   int count) {
    const float unknown = std::numeric_limits<float>::quiet_NaN();
    for (int x = 0; x < count; ++x) {
        const float t = static_cast<float>(x);
        voxels[x] += deltamu::read_view(view, shape, seen.start[0] + t * seen.step[0], seen.start[1] + t * seen.step[1],
                                        unknown);
    }
}

// Behind the source a voxel is not seen at all.
DELTAMU_DISPATCH void add_cone(const float *__restrict view, const ViewShape &shape, const SeenRow &seen, float *__restrict voxels,
                               int count) {
    const float unknown = std::numeric_limits<float>::quiet_NaN();
    for (int x = 0; x < count; ++x) {
        const float t = static_cast<float>(x);
        const float nearer = 1 / (seen.start[2] + t * seen.step[2]);
        const float column = (seen.start[0] + t * seen.step[0]) * nearer, row = (seen.start[1] + t * seen.step[1]) * nearer;
        const float value = deltamu::read_view(view, shape, column, row, unknown);
        voxels[x] += nearer * nearer * value + (nearer > 0 ? 0.0f : unknown);
    }
}

using AddRow = void (*)(const float *, const ViewShape &, const SeenRow &, float *, int);

void add_tile(const float *views, const std::vector<ViewMatrix> &matrices, const ViewShape &shape, AddRow add_row,
              float *volume, const Place size[3], Place z0, Place y0, Place x0) {
    const Place z1 = std::min(size[0], z0 + TILE_Z), y1 = std::min(size[1], y0 + TILE_Y);
    const int count = static_cast<int>(std::min(TILE_X, size[2] - x0));
    const Place pixels = static_cast<Place>(shape.rows) * shape.columns;
    for (std::size_t v = 0; v < matrices.size(); ++v)
        for (Place z = z0; z < z1; ++z)
            for (Place y = y0; y < y1; ++y)
                add_row(views + static_cast<Place>(v) * pixels, shape, SeenRow(matrices[v], z, y, x0),
                        volume + (z * size[1] + y) * size[2] + x0, count);
}

std::vector<ViewMatrix> matrices_of(const DoubleArray &given) {
    if (given.ndim() != 3 || given.shape(1) != 3 || given.shape(2) != 4)
        throw py::value_error("backproject: expected matrices of shape (view, 3, 4)");
    std::vector<ViewMatrix> matrices(static_cast<std::size_t>(given.shape(0)));
    for (Place v = 0; v < given.shape(0); ++v) std::copy_n(given.data(v), 12, &matrices[v].m[0][0]);
    return matrices;
}

void add_views(const FloatArray &views, const DoubleArray &given, bool cone, float row_margin, FloatArray volume) {
    if (views.ndim() != 3 || volume.ndim() != 3 || given.shape(0) != views.shape(0))
        throw py::value_error("backproject: expected views (view, row, column) and a volume (z, y, x)");
    if (views.shape(1) * views.shape(2) > std::numeric_limits<int>::max())
        throw py::value_error("backproject: a view has more pixels than 32 bits count");
    const std::vector<ViewMatrix> matrices = matrices_of(given);
    const ViewShape shape{static_cast<int>(views.shape(1)), static_cast<int>(views.shape(2)), row_margin};
    const Place size[3] = {volume.shape(0), volume.shape(1), volume.shape(2)};
    const float *source = views.data();
    float *target = volume.mutable_data();
    const AddRow add_row = cone ? add_cone : add_parallel;
    py::gil_scoped_release release;
#pragma omp parallel for schedule(dynamic, 1) collapse(3)
    for (Place z = 0; z < size[0]; z += TILE_Z)
        for (Place y = 0; y < size[1]; y += TILE_Y)
            for (Place x = 0; x < size[2]; x += TILE_X)
                add_tile(source, matrices, shape, add_row, target, size, z, y, x);
}

}  // namespace

void bind_backproject(py::module_ &module) {
    module.def("add_views", &add_views, py::arg("views").noconvert(), py::arg("matrices").noconvert(), py::arg("cone"),
               py::arg("row_margin"), py::arg("volume").noconvert());
}
