// Normal equations of a rigid registration: how the squared difference of two volumes changes with the motion.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "dispatch.h"
#include "warp.h"

namespace py = pybind11;
using deltamu::Volume;
using Index = deltamu::Place;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

constexpr Index MOTIONS = 6;      // translation z, y, x and rotation about z, y, x
constexpr Index PRODUCTS = 21;    // upper triangle of a symmetric 6 x 6 matrix
constexpr Index BUNDLE = 8;       // edge of the cubes of voxels whose sums are kept together
enum Moment { ROBUST_WEIGHT, REFERENCE, MOVING, REFERENCE2, MOVING2, PRODUCT, RESIDUAL2, WEIGHT, MOMENTS };

// What is summed over voxels; the layout of one row of the result.
constexpr Index HESSIAN = 0, CROSS = PRODUCTS, SCORE = 2 * PRODUCTS, MOMENT = SCORE + MOTIONS, SUMS = MOMENT + MOMENTS;

// A row of a bundle is worked on at once, a lane per voxel, so that the compiler can use vector instructions.
struct Lanes {
    float value[BUNDLE];

    float &operator[](Index lane) { return value[lane]; }
    float operator[](Index lane) const { return value[lane]; }
};

struct Problem {
    Volume reference, moving;
    const float *weights;
    const double *affine;    // (3, 4): reference index -> moving index
    const double *rotation;  // (3, 3): of the motion, on (z, y, x)
    const double *spacing;   // (3): voxel size of this level in the unit of the motion
    const double *center;    // (3): reference index about which the motion turns
    float gain, offset;      // moving * gain + offset is compared with the reference
    float cut;               // residual at which a voxel loses influence
    bool redescending;       // Tukey's biweight, otherwise Huber's weight
    float moving_share;      // part of the moving volume's gradient in the score
};

// Change of a value with each of the six motions, from its gradient at `p` (both in the reference frame).
DELTAMU_BOTH void motion_derivatives(const Lanes gradient[3], const Lanes p[3], Lanes out[MOTIONS]) {
    for (Index l = 0; l < BUNDLE; ++l) {
        for (int k = 0; k < 3; ++k) out[k][l] = gradient[k][l];
        out[3][l] = gradient[1][l] * p[2][l] - gradient[2][l] * p[1][l];
        out[4][l] = gradient[2][l] * p[0][l] - gradient[0][l] * p[2][l];
        out[5][l] = gradient[0][l] * p[1][l] - gradient[1][l] * p[0][l];
    }
}

// Influence of a residual (Huber 1964; Beaton and Tukey 1974).
DELTAMU_BOTH float influence(float residual, float cut, bool redescending) {
    const float size = std::fabs(residual), ratio = size / cut;
    const float part = std::max(1 - ratio * ratio, 0.0f);
    return redescending ? part * part : (size <= cut ? 1.0f : cut / size);
}

// Where each voxel of a row is read in the moving volume, and how far towards the next voxels. Like find_tap, but
// always between two voxels, so that there is a gradient on a voxel too. What lies outside has no weight.
DELTAMU_BOTH void find_places(const Problem &p, const double first[3], Lanes &weight, Index index[BUNDLE],
                              Lanes fraction[3]) {
    const Index size[3] = {p.moving.nz, p.moving.ny, p.moving.nx};
    const Index stride[3] = {p.moving.ny * p.moving.nx, p.moving.nx, 1};
    for (Index l = 0; l < BUNDLE; ++l) index[l] = 0;
    for (int k = 0; k < 3; ++k)
        for (Index l = 0; l < BUNDLE; ++l) {
            const double at = first[k] + p.affine[4 * k + 2] * static_cast<double>(l);
            const bool inside = at >= 0 && at <= static_cast<double>(size[k] - 1);
            const double safe = inside ? at : 0;
            const Index below = std::min(static_cast<Index>(safe), size[k] - 2);
            if (!inside) weight[l] = 0;
            index[l] += below * stride[k];
            fraction[k][l] = static_cast<float>(safe - static_cast<double>(below));
        }
}

// Value and gradient (per voxel, (z, y, x)) of the trilinear interpolant.
DELTAMU_BOTH Lanes read_moving(const Volume &v, const Index index[BUNDLE], const Lanes fraction[3], Lanes gradient[3]) {
    const Index dz = v.ny * v.nx, dy = v.nx;
    Lanes corner[8], value;
    for (Index l = 0; l < BUNDLE; ++l) {
        const float *p = v.data + index[l];
        for (Index k = 0; k < 8; ++k) corner[k][l] = p[(k & 4 ? dz : 0) + (k & 2 ? dy : 0) + (k & 1)];
    }
    for (Index l = 0; l < BUNDLE; ++l) {
        const float fz = fraction[0][l], fy = fraction[1][l], fx = fraction[2][l];
        const float x00 = corner[1][l] - corner[0][l], x01 = corner[3][l] - corner[2][l];
        const float x10 = corner[5][l] - corner[4][l], x11 = corner[7][l] - corner[6][l];
        const float c00 = corner[0][l] + fx * x00, c01 = corner[2][l] + fx * x01;
        const float c10 = corner[4][l] + fx * x10, c11 = corner[6][l] + fx * x11;
        const float near = deltamu::between(c00, c01, fy), far = deltamu::between(c10, c11, fy);
        gradient[0][l] = far - near;
        gradient[1][l] = deltamu::between(c01 - c00, c11 - c10, fz);
        gradient[2][l] = deltamu::between(deltamu::between(x00, x01, fy), deltamu::between(x10, x11, fy), fz);
        value[l] = deltamu::between(near, far, fz);
    }
    return value;
}

// Value and central gradient of the reference; lanes without weight may lie outside and read the row's first voxel.
DELTAMU_BOTH Lanes read_reference(const Problem &p, const float *row, const Lanes &weight, Lanes gradient[3]) {
    const Index dy = p.reference.nx, dz = p.reference.ny * p.reference.nx;
    const float scale[3] = {0.5f / static_cast<float>(p.spacing[0]), 0.5f / static_cast<float>(p.spacing[1]),
                            0.5f / static_cast<float>(p.spacing[2])};
    Lanes value;
    for (Index l = 0; l < BUNDLE; ++l) {
        const float *at = row + (weight[l] > 0 ? l : 0);
        gradient[0][l] = scale[0] * (at[dz] - at[-dz]);
        gradient[1][l] = scale[1] * (at[dy] - at[-dy]);
        gradient[2][l] = scale[2] * (at[1] - at[-1]);
        value[l] = at[0];
    }
    return value;
}

// A gradient along the axes of the moving volume, as seen in the reference frame.
DELTAMU_BOTH void turn_back(const Problem &p, Lanes gradient[3]) {
    float turn[3][3];
    for (int i = 0; i < 3; ++i)
        for (int k = 0; k < 3; ++k)
            turn[i][k] = static_cast<float>(p.gain * p.rotation[3 * i + k] / p.spacing[i]);
    for (Index l = 0; l < BUNDLE; ++l) {
        const float in[3] = {gradient[0][l], gradient[1][l], gradient[2][l]};
        for (int k = 0; k < 3; ++k) gradient[k][l] = turn[0][k] * in[0] + turn[1][k] * in[1] + turn[2][k] * in[2];
    }
}

DELTAMU_BOTH void add_products(Lanes sums[], const Lanes a[MOTIONS], const Lanes b[MOTIONS], const Lanes &weight) {
    Index k = 0;
    for (Index i = 0; i < MOTIONS; ++i)
        for (Index j = i; j < MOTIONS; ++j, ++k)
            for (Index l = 0; l < BUNDLE; ++l)
                sums[k][l] += 0.5f * weight[l] * (a[i][l] * b[j][l] + a[j][l] * b[i][l]);
}

DELTAMU_BOTH void add_moments(Lanes sums[], const Lanes &f, const Lanes &m, const Lanes &residual, const Lanes &robust,
                              const Lanes &weight) {
    for (Index l = 0; l < BUNDLE; ++l) {
        const float values[] = {1, f[l], m[l], f[l] * f[l], m[l] * m[l], f[l] * m[l], residual[l] * residual[l]};
        for (Index k = 0; k < WEIGHT; ++k) sums[k][l] += robust[l] * values[k];
        sums[WEIGHT][l] += weight[l];
    }
}

// Mask weights of a row of a bundle; 0 at the ends of the volume, where there is no central gradient.
DELTAMU_BOTH bool read_weights(const Problem &p, Index row, Index x0, Lanes &weight) {
    const Index end = p.reference.nx - 1;
    bool any = false;
    for (Index l = 0; l < BUNDLE; ++l) {
        const bool inside = x0 + l >= 1 && x0 + l < end;
        const float value = inside ? p.weights[row + x0 + l] : 0.0f;
        weight[l] = value > 0 ? value : 0.0f;
        any |= value > 0;
    }
    return any;
}

// Values that are not finite do not count, nor may they meet a weight of 0: 0 x NaN is NaN.
DELTAMU_BOTH void leave_out_unknown(Lanes *values[], Index count, Lanes &weight) {
    Lanes sum{};
    for (Index k = 0; k < count; ++k)
        for (Index l = 0; l < BUNDLE; ++l) sum[l] += (*values[k])[l];
    bool known = true;
    for (Index l = 0; l < BUNDLE; ++l) known &= std::isfinite(sum[l]);
    if (known) return;
    for (Index l = 0; l < BUNDLE; ++l) {
        if (std::isfinite(sum[l])) continue;
        weight[l] = 0;
        for (Index k = 0; k < count; ++k) (*values[k])[l] = 0;
    }
}

DELTAMU_BOTH void sum_row(const Problem &p, Index z, Index y, Index x0, Lanes sums[SUMS]) {
    const Index row = (z * p.reference.ny + y) * p.reference.nx;
    Lanes weight;
    if (!read_weights(p, row, x0, weight)) return;
    const double at[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x0)};
    double first[3];
    for (int k = 0; k < 3; ++k)
        first[k] = p.affine[4 * k] * at[0] + p.affine[4 * k + 1] * at[1] + p.affine[4 * k + 2] * at[2] + p.affine[4 * k + 3];
    Index index[BUNDLE];
    Lanes fraction[3], of_m[3], of_f[3], place[3], residual, robust;
    find_places(p, first, weight, index, fraction);
    // lanes without weight may lie outside; the first voxel with a whole neighbourhood stands for them
    Lanes f = read_reference(p, p.reference.data + row + x0, weight, of_f);
    Lanes m = read_moving(p.moving, index, fraction, of_m);
    Lanes *read[] = {&f, &m, &of_f[0], &of_f[1], &of_f[2], &of_m[0], &of_m[1], &of_m[2]};
    leave_out_unknown(read, 8, weight);
    turn_back(p, of_m);
    for (Index l = 0; l < BUNDLE; ++l) {
        for (int k = 0; k < 3; ++k)
            place[k][l] = static_cast<float>((at[k] + (k == 2 ? static_cast<double>(l) : 0.0) - p.center[k]) * p.spacing[k]);
        residual[l] = p.gain * m[l] + p.offset - f[l];
        robust[l] = weight[l] * influence(residual[l], p.cut, p.redescending);
    }
    Lanes of_reference[MOTIONS], of_moving[MOTIONS], score[MOTIONS];
    motion_derivatives(of_f, place, of_reference);
    motion_derivatives(of_m, place, of_moving);
    for (Index k = 0; k < MOTIONS; ++k)
        for (Index l = 0; l < BUNDLE; ++l) {
            score[k][l] = p.moving_share * of_moving[k][l] + (1 - p.moving_share) * of_reference[k][l];
            sums[SCORE + k][l] += robust[l] * residual[l] * score[k][l];
        }
    add_products(sums + HESSIAN, score, score, robust);
    add_products(sums + CROSS, of_reference, of_moving, robust);
    add_moments(sums + MOMENT, f, m, residual, robust, weight);
}

DELTAMU_DISPATCH void sum_plane(const Problem &p, Index z, Index y0, Index x0, double total[SUMS]) {
    Lanes sums[SUMS] = {};
    for (Index y = std::max<Index>(y0, 1); y < std::min(y0 + BUNDLE, p.reference.ny - 1); ++y) sum_row(p, z, y, x0, sums);
    for (Index k = 0; k < SUMS; ++k)
        for (Index l = 0; l < BUNDLE; ++l) total[k] += static_cast<double>(sums[k][l]);
}

void sum_bundle(const Problem &p, Index z0, Index y0, Index x0, double total[SUMS]) {
    std::fill(total, total + SUMS, 0.0);
    for (Index z = std::max<Index>(z0, 1); z < std::min(z0 + BUNDLE, p.reference.nz - 1); ++z) sum_plane(p, z, y0, x0, total);
}

Volume as_volume(const FloatArray &array, const char *name) {
    if (array.ndim() != 3 || std::min({array.shape(0), array.shape(1), array.shape(2)}) < 2)
        throw py::value_error(std::string(name) + ": expected a volume (z, y, x) of at least 2 voxels along each axis");
    return {array.data(), array.shape(0), array.shape(1), array.shape(2)};
}

void require(bool fits, const char *message) {
    if (!fits) throw py::value_error(message);
}

DoubleArray normal_equations(const FloatArray &reference, const FloatArray &moving, const FloatArray &weights,
                             const DoubleArray &affine, const DoubleArray &rotation, const DoubleArray &spacing,
                             const DoubleArray &center, float gain, float offset, float cut, bool redescending,
                             float moving_share) {
    const Volume fixed = as_volume(reference, "reference"), source = as_volume(moving, "moving");
    const Volume mask = as_volume(weights, "weights");
    require(mask.nz == fixed.nz && mask.ny == fixed.ny && mask.nx == fixed.nx, "weights: shape differs from reference");
    require(affine.size() == 12 && rotation.size() == 9 && spacing.size() == 3 && center.size() == 3,
            "affine (3, 4), rotation (3, 3), spacing (3), center (3): a size does not fit");
    const Problem problem{fixed,        source,      weights.data(), affine.data(), rotation.data(), spacing.data(),
                          center.data(), gain,       offset,         cut,           redescending,    moving_share};
    const auto cubes = [](Index size) { return (size + BUNDLE - 1) / BUNDLE; };
    const Index nz = cubes(fixed.nz), ny = cubes(fixed.ny), nx = cubes(fixed.nx);
    DoubleArray result({nz, ny, nx, SUMS});
    double *sums = result.mutable_data();
    py::gil_scoped_release release;
#pragma omp parallel for schedule(dynamic, 1)
    for (Index row = 0; row < nz * ny; ++row)
        for (Index x = 0; x < nx; ++x)
            sum_bundle(problem, row / ny * BUNDLE, row % ny * BUNDLE, x * BUNDLE, sums + (row * nx + x) * SUMS);
    return result;
}

}  // namespace

void bind_align(py::module_ &module) {
    module.def("normal_equations", &normal_equations, py::arg("reference").noconvert(), py::arg("moving").noconvert(),
               py::arg("weights").noconvert(), py::arg("affine").noconvert(), py::arg("rotation").noconvert(),
               py::arg("spacing").noconvert(), py::arg("center").noconvert(), py::arg("gain"), py::arg("offset"),
               py::arg("cut"), py::arg("redescending"), py::arg("moving_share"));
}
