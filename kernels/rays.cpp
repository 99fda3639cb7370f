// Projection along rays of any geometry by Joseph's method (IEEE Trans. Med. Imaging 1, 1982) in three
// dimensions, and its exact transpose: both walk the same rays and compute the same weights.
//
// The transpose is divided by planes: whoever owns a plane adds what all rays leave in it, in one fixed order,
// so no two threads write the same voxel and the result does not depend on their number.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.h"
#include "rays.h"

namespace py = pybind11;
using deltamu::Place;
using deltamu::Ray;
using RayMap = deltamu::RayMap<double>;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

constexpr Place PLANES_AT_A_TIME = 16;
constexpr Place RIM_BELOW = 1, RIM_ABOVE = 2;

// A volume (z, y, x) within a rim of zeros that takes the place of bounds checks.
class RimmedVolume {
   public:
    RimmedVolume(Place nz, Place ny, Place nx)
        : size{nx, ny, nz}, stride{1, nx + RIM_BELOW + RIM_ABOVE, (nx + RIM_BELOW + RIM_ABOVE) * (ny + RIM_BELOW + RIM_ABOVE)},
          data_(static_cast<std::size_t>(stride[2] * (nz + RIM_BELOW + RIM_ABOVE))) {}

    float *origin() { return data_.data() + RIM_BELOW * (stride[0] + stride[1] + stride[2]); }
    const float *origin() const { return data_.data() + RIM_BELOW * (stride[0] + stride[1] + stride[2]); }

    void fill_from(const float *volume) {
#pragma omp parallel for schedule(static)
        for (Place z = 0; z < size[2]; ++z)
            for (Place y = 0; y < size[1]; ++y)
                std::copy_n(volume + (z * size[1] + y) * size[0], size[0], origin() + z * stride[2] + y * stride[1]);
    }

    void write_to(float *volume, float scale) const {
#pragma omp parallel for schedule(static)
        for (Place z = 0; z < size[2]; ++z)
            for (Place y = 0; y < size[1]; ++y) {
                const float *line = origin() + z * stride[2] + y * stride[1];
                for (Place x = 0; x < size[0]; ++x) volume[(z * size[1] + y) * size[0] + x] = scale * line[x];
            }
    }

    const Place size[3], stride[3];

   private:
    std::vector<float> data_;
};

// Distances in memory of the samples of a ray, and the size of the grid across it.
struct Steps {
    Place along, lower, upper, lower_size, upper_size;

    Steps(const RimmedVolume &volume, int axis)
        : along(volume.stride[axis]), lower(volume.stride[deltamu::lower_across(axis)]),
          upper(volume.stride[deltamu::upper_across(axis)]), lower_size(volume.size[deltamu::lower_across(axis)]),
          upper_size(volume.size[deltamu::upper_across(axis)]) {}
};

// Calls visit(offset, lower fraction, upper fraction) for every plane in [first, last) that the ray crosses.
template <typename Visit>
inline void march(const Ray<double> &ray, const Steps &steps, const Place size[3], Place first, Place last, Visit visit) {
    deltamu::clip_planes(ray, size, first, last);
    for (Place plane = first; plane < last; ++plane) {
        const double j = static_cast<double>(plane);
        float lower, upper;
        const Place a = deltamu::voxel_below(ray.start[0] + ray.slope[0] * j, steps.lower_size, lower);
        const Place b = deltamu::voxel_below(ray.start[1] + ray.slope[1] * j, steps.upper_size, upper);
        visit(plane * steps.along + a * steps.lower + b * steps.upper, lower, upper);
    }
}

DELTAMU_DISPATCH void project_row(const RimmedVolume &volume, const RayMap &map, Place row, Place columns, float scale,
                                  float *pixels) {
    const Steps by_axis[3] = {Steps(volume, 0), Steps(volume, 1), Steps(volume, 2)};
    const float *origin = volume.origin();
    for (Place column = 0; column < columns; ++column) {
        const Ray<double> ray = deltamu::ray_of(map, static_cast<double>(column), static_cast<double>(row));
        const Steps &steps = by_axis[ray.axis];
        float sum = 0;
        march(ray, steps, volume.size, 0, volume.size[ray.axis], [&](Place offset, float lower, float upper) {
            const float *p = origin + offset;
            const float near = p[0] + lower * (p[steps.lower] - p[0]);
            const float far = p[steps.upper] + lower * (p[steps.upper + steps.lower] - p[steps.upper]);
            sum += near + upper * (far - near);
        });
        pixels[column] = scale * ray.length * sum;
    }
}

// Adds to planes [first, last) of `axis` what the rays of one row of pixels leave in them.
DELTAMU_DISPATCH void backproject_row(const float *pixels, const RayMap &map, Place row, Place columns, int axis,
                                      Place first, Place last, RimmedVolume &volume) {
    const Steps steps(volume, axis);
    float *origin = volume.origin();
    for (Place column = 0; column < columns; ++column) {
        const Ray<double> ray = deltamu::ray_of(map, static_cast<double>(column), static_cast<double>(row));
        if (ray.axis != axis) continue;
        const float value = pixels[column] * ray.length;
        march(ray, steps, volume.size, first, last, [&](Place offset, float lower, float upper) {
            float *p = origin + offset;
            const float far = upper * value, near = value - far;
            p[0] += (1 - lower) * near;
            p[steps.lower] += lower * near;
            p[steps.upper] += (1 - lower) * far;
            p[steps.upper + steps.lower] += lower * far;
        });
    }
}

std::vector<RayMap> maps_of(const DoubleArray &rays) {
    if (rays.ndim() != 4 || rays.shape(1) != 2 || rays.shape(2) != 3 || rays.shape(3) != 3)
        throw py::value_error("rays: expected ray maps of shape (view, 2, 3, 3)");
    std::vector<RayMap> maps(static_cast<std::size_t>(rays.shape(0)));
    for (Place view = 0; view < rays.shape(0); ++view)
        for (Place i = 0; i < 9; ++i) {
            maps[view].point[i / 3][i % 3] = rays.data(view)[i];
            maps[view].toward[i / 3][i % 3] = rays.data(view)[9 + i];
        }
    return maps;
}

void check_shapes(const FloatArray &volume, const DoubleArray &rays, const FloatArray &projections) {
    if (volume.ndim() != 3 || projections.ndim() != 3 || projections.shape(0) != rays.shape(0))
        throw py::value_error("rays: expected a volume (z, y, x) and projections (view, row, column)");
}

void project_rays(const FloatArray &volume, const DoubleArray &rays, float voxel_size, FloatArray projections) {
    check_shapes(volume, rays, projections);
    const std::vector<RayMap> maps = maps_of(rays);
    const Place views = projections.shape(0), rows = projections.shape(1), columns = projections.shape(2);
    const float *source = volume.data();
    float *target = projections.mutable_data();
    RimmedVolume rimmed(volume.shape(0), volume.shape(1), volume.shape(2));
    py::gil_scoped_release release;
    rimmed.fill_from(source);
#pragma omp parallel for schedule(dynamic, 4)
    for (Place i = 0; i < views * rows; ++i)
        project_row(rimmed, maps[i / rows], i % rows, columns, voxel_size, target + i * columns);
}

// Whether a view has rays that march along an axis. In a cone that is judged ray by ray.
bool may_march(const RayMap &map, int axis) {
    for (int k = 0; k < 3; ++k)
        if (map.toward[1][k] != 0 || map.toward[2][k] != 0) return true;
    return deltamu::closest_axis(map.toward[0]) == axis;
}

void backproject_rays(const FloatArray &projections, const DoubleArray &rays, float voxel_size, FloatArray volume) {
    check_shapes(volume, rays, projections);
    const std::vector<RayMap> maps = maps_of(rays);
    const Place views = projections.shape(0), rows = projections.shape(1), columns = projections.shape(2);
    const float *source = projections.data();
    float *target = volume.mutable_data();
    RimmedVolume rimmed(volume.shape(0), volume.shape(1), volume.shape(2));
    py::gil_scoped_release release;
    for (const int axis : {0, 1, 2}) {
#pragma omp parallel for schedule(dynamic, 1)
        for (Place first = 0; first < rimmed.size[axis]; first += PLANES_AT_A_TIME) {
            const Place last = std::min(rimmed.size[axis], first + PLANES_AT_A_TIME);
            for (Place view = 0; view < views; ++view) {
                if (!may_march(maps[view], axis)) continue;
                for (Place row = 0; row < rows; ++row)
                    backproject_row(source + (view * rows + row) * columns, maps[view], row, columns, axis, first, last,
                                    rimmed);
            }
        }
    }
    rimmed.write_to(target, voxel_size);
}

}  // namespace

void bind_rays(py::module_ &module) {
    module.def("project_rays", &project_rays, py::arg("volume").noconvert(), py::arg("rays").noconvert(),
               py::arg("voxel_size"), py::arg("projections").noconvert());
    module.def("backproject_rays", &backproject_rays, py::arg("projections").noconvert(), py::arg("rays").noconvert(),
               py::arg("voxel_size"), py::arg("volume").noconvert());
}
