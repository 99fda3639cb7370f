// Proximal operator of total variation within bounds, by accelerated projection of the dual variable.
//
// The dual variable p has a vector per voxel, one component per direction, of length at most 1. With forward
// differences D, the minimiser of |x - b|^2/2 + s sum h(|Dx|) within bounds is x = P(b - s D'p) at the best p
// (A. Beck, M. Teboulle, IEEE Trans. Image Process. 18, 2009; a Huber threshold adds -s h |p|^2/2 to the dual).
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "dispatch.h"

namespace py = pybind11;
using Index = std::int64_t;
using FloatArray = py::array_t<float, py::array::c_style>;
using MaskArray = py::array_t<std::uint8_t, py::array::c_style>;

namespace {

struct Grid {
    Index nz, ny, nx;
    Index plane() const { return ny * nx; }
    Index voxels() const { return nz * ny * nx; }
};

// What a voxel may be: within [lower, upper], and zero outside the support.
struct Bounds {
    float lower, upper;
    const std::uint8_t *support;  // nullptr: everywhere
    Index support_planes;         // 1 when every slice has the same support
    float operator()(float value, Index z, Index in_plane, Index plane) const {
        if (support != nullptr && support[(support_planes == 1 ? 0 : z) * plane + in_plane] == 0) return 0.0f;
        return std::min(std::max(value, lower), upper);
    }
};

// Components of a vector field; `z` is not there for slices on their own.
struct Field {
    float *x, *y, *z;
};

struct Problem {
    const float *image;
    float strength, threshold, step;
    Bounds bounds;
};

Field field_of(float *memory, const Grid &grid, bool planar) {
    return {memory, memory + grid.voxels(), planar ? nullptr : memory + 2 * grid.voxels()};
}

// D'p of a row: what leaves a voxel minus what comes from its predecessors. Beyond the last voxel p is zero.
DELTAMU_DISPATCH void primal_row(const Problem &problem, const Grid &grid, const Field &p, Index z, Index y, float *out) {
    const Index row = (z * grid.ny + y) * grid.nx, plane = grid.plane();
    const float *px = p.x + row, *py = p.y + row, *above = y > 0 ? py - grid.nx : py;
    const float *pz = p.z == nullptr ? px : p.z + row, *before = p.z != nullptr && z > 0 ? pz - plane : pz;
    const float use_above = y > 0 ? 1.0f : 0.0f, use_z = p.z == nullptr ? 0.0f : 1.0f, use_before = z > 0 ? use_z : 0.0f;
    const float *image = problem.image + row;
    float *target = out + row;
    for (Index x = 0; x < grid.nx; ++x) {
        const float left = px[x > 0 ? x - 1 : x] * (x > 0 ? 1.0f : 0.0f);
        const float spread = left - px[x] + use_above * above[x] - py[x] + use_before * before[x] - use_z * pz[x];
        target[x] = image[x] - problem.strength * spread;
    }
    for (Index x = 0; x < grid.nx; ++x) target[x] = problem.bounds(target[x], z, y * grid.nx + x, plane);
}

// One projected gradient step of a row, and the extrapolation to the point where the next gradient is taken.
DELTAMU_DISPATCH void dual_row(const Problem &problem, const Grid &grid, const float *u, const Field &p, const Field &q,
                               Index z, Index y, float momentum) {
    const Index row = (z * grid.ny + y) * grid.nx;
    const bool spatial = p.z != nullptr;
    const float step = problem.step, keep = 1.0f - problem.threshold * step;
    const float *here = u + row, *below = y + 1 < grid.ny ? here + grid.nx : here;
    const float *behind = spatial && z + 1 < grid.nz ? here + grid.plane() : here;
    float *px = p.x + row, *py = p.y + row, *qx = q.x + row, *qy = q.y + row;
    float *pz = spatial ? p.z + row : nullptr, *qz = spatial ? q.z + row : nullptr;
    const auto move = [&](Index x, float right) {
        float gx = keep * qx[x] + step * (right - here[x]);
        float gy = keep * qy[x] + step * (below[x] - here[x]);
        float gz = spatial ? keep * qz[x] + step * (behind[x] - here[x]) : 0.0f;
        const float shrink = 1.0f / std::max(1.0f, std::sqrt(gx * gx + gy * gy + gz * gz));
        gx *= shrink, gy *= shrink, gz *= shrink;
        qx[x] = gx + momentum * (gx - px[x]), px[x] = gx;
        qy[x] = gy + momentum * (gy - py[x]), py[x] = gy;
        if (spatial) qz[x] = gz + momentum * (gz - pz[x]), pz[x] = gz;
    };
    for (Index x = 0; x + 1 < grid.nx; ++x) move(x, here[x + 1]);
    move(grid.nx - 1, here[grid.nx - 1]);
}

// Momentum of each iteration, (t - 1) / t' of Nesterov's sequence.
std::vector<float> momenta(int iterations) {
    std::vector<float> found;
    double t = 1;
    for (int k = 0; k < iterations; ++k) {
        const double next = 0.5 * (1 + std::sqrt(1 + 4 * t * t));
        found.push_back(float((t - 1) / next));
        t = next;
    }
    return found;
}

void minimise(const Problem &problem, const Grid &grid, const Field &p, const Field &q, int iterations, float *out) {
    const std::vector<float> momentum = momenta(iterations);
    const Index rows = grid.nz * grid.ny;
    for (int k = 0; k < iterations; ++k) {
#pragma omp parallel for schedule(static)
        for (Index r = 0; r < rows; ++r) primal_row(problem, grid, q, r / grid.ny, r % grid.ny, out);
#pragma omp parallel for schedule(static)
        for (Index r = 0; r < rows; ++r) dual_row(problem, grid, out, p, q, r / grid.ny, r % grid.ny, momentum[k]);
    }
#pragma omp parallel for schedule(static)
    for (Index r = 0; r < rows; ++r) primal_row(problem, grid, p, r / grid.ny, r % grid.ny, out);
}

// Slices on their own: all iterations of one while it is in the cache.
void minimise_slices(const Problem &problem, const Grid &grid, const Field &p, const Field &q, int iterations, float *out) {
    const std::vector<float> momentum = momenta(iterations);
#pragma omp parallel for schedule(dynamic, 1)
    for (Index z = 0; z < grid.nz; ++z) {
        for (int k = 0; k < iterations; ++k) {
            for (Index y = 0; y < grid.ny; ++y) primal_row(problem, grid, q, z, y, out);
            for (Index y = 0; y < grid.ny; ++y) dual_row(problem, grid, out, p, q, z, y, momentum[k]);
        }
        for (Index y = 0; y < grid.ny; ++y) primal_row(problem, grid, p, z, y, out);
    }
}

Grid grid_of(const FloatArray &volume) {
    if (volume.ndim() != 3) throw py::value_error("volume: expected (z, y, x)");
    return {volume.shape(0), volume.shape(1), volume.shape(2)};
}

void check_dual(const FloatArray &dual, const Grid &grid, bool planar) {
    if (dual.ndim() != 4 || dual.shape(0) != (planar ? 2 : 3) || dual.shape(1) != grid.nz || dual.shape(2) != grid.ny ||
        dual.shape(3) != grid.nx)
        throw py::value_error("dual: expected (directions, z, y, x)");
}

void tv_proximal(const FloatArray &volume, float strength, float threshold, bool planar, float lower, float upper,
                 const MaskArray &support, FloatArray dual, FloatArray momentum_point, int iterations, FloatArray out) {
    const Grid grid = grid_of(volume);
    check_dual(dual, grid, planar);
    check_dual(momentum_point, grid, planar);
    if (grid_of(out).voxels() != grid.voxels()) throw py::value_error("out: expected the shape of the volume");
    const bool masked = support.size() > 0;
    if (masked && (support.ndim() != 3 || (support.shape(0) != 1 && support.shape(0) != grid.nz) ||
                   support.shape(1) != grid.ny || support.shape(2) != grid.nx))
        throw py::value_error("support: expected (1 or z, y, x)");
    const Bounds bounds{lower, upper, masked ? support.data() : nullptr, masked ? support.shape(0) : 1};
    // the squared norm of D is at most four per direction
    const Problem problem{volume.data(), strength, threshold, 1.0f / ((planar ? 8.0f : 12.0f) * strength + threshold),
                          bounds};
    const Field p = field_of(dual.mutable_data(), grid, planar), q = field_of(momentum_point.mutable_data(), grid, planar);
    float *target = out.mutable_data();
    py::gil_scoped_release release;
    std::copy(dual.data(), dual.data() + dual.size(), momentum_point.mutable_data());
    if (planar) minimise_slices(problem, grid, p, q, iterations, target);
    else minimise(problem, grid, p, q, iterations, target);
}

double value_of_row(const Grid &grid, const float *u, Index z, Index y, float threshold, bool planar) {
    const Index row = (z * grid.ny + y) * grid.nx;
    double sum = 0;
    for (Index x = 0; x < grid.nx; ++x) {
        const Index i = row + x;
        const float gx = x == grid.nx - 1 ? 0.0f : u[i + 1] - u[i];
        const float gy = y == grid.ny - 1 ? 0.0f : u[i + grid.nx] - u[i];
        const float gz = planar || z == grid.nz - 1 ? 0.0f : u[i + grid.plane()] - u[i];
        const float length = std::sqrt(gx * gx + gy * gy + gz * gz);
        sum += length < threshold ? length * length / (2 * threshold) : length - threshold / 2;
    }
    return sum;
}

py::array_t<double> tv_value(const FloatArray &volume, float threshold, bool planar) {
    const Grid grid = grid_of(volume);
    py::array_t<double> values(grid.nz);
    double *value = values.mutable_data();
    const float *u = volume.data();
    py::gil_scoped_release release;
#pragma omp parallel for schedule(static)
    for (Index z = 0; z < grid.nz; ++z) {
        value[z] = 0;
        for (Index y = 0; y < grid.ny; ++y) value[z] += value_of_row(grid, u, z, y, threshold, planar);
    }
    return values;
}

}  // namespace

void bind_tv(py::module_ &module) {
    module.def("tv_proximal", &tv_proximal, py::arg("volume").noconvert(), py::arg("strength"), py::arg("threshold"),
               py::arg("planar"), py::arg("lower"), py::arg("upper"), py::arg("support").noconvert(),
               py::arg("dual").noconvert(), py::arg("momentum_point").noconvert(), py::arg("iterations"),
               py::arg("out").noconvert());
    module.def("tv_value", &tv_value, py::arg("volume").noconvert(), py::arg("threshold"), py::arg("planar"));
}
