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

// Everything that is summed over voxels; the layout of one row of the result.
template <typename Real>
struct Sums {
    Real hessian[PRODUCTS], cross[PRODUCTS], score[MOTIONS], moment[MOMENTS];

    template <typename Other>
    void add(const Sums<Other> &more) {
        for (Index k = 0; k < PRODUCTS; ++k) hessian[k] += more.hessian[k];
        for (Index k = 0; k < PRODUCTS; ++k) cross[k] += more.cross[k];
        for (Index k = 0; k < MOTIONS; ++k) score[k] += more.score[k];
        for (Index k = 0; k < MOMENTS; ++k) moment[k] += more.moment[k];
    }
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
inline void motion_derivatives(const float gradient[3], const float p[3], float out[MOTIONS]) {
    for (int k = 0; k < 3; ++k) out[k] = gradient[k];
    out[3] = gradient[1] * p[2] - gradient[2] * p[1];
    out[4] = gradient[2] * p[0] - gradient[0] * p[2];
    out[5] = gradient[0] * p[1] - gradient[1] * p[0];
}

// Influence of a residual (Huber 1964; Beaton and Tukey 1974).
inline float influence(float residual, float cut, bool redescending) {
    const float size = std::fabs(residual);
    if (!redescending) return size <= cut ? 1.0f : cut / size;
    if (size >= cut) return 0.0f;
    const float part = 1 - (size / cut) * (size / cut);
    return part * part;
}

// Like find_tap, but always between two voxels, so that there is a gradient on a voxel too.
inline bool find_gradient_tap(double position, Index size, Index stride, deltamu::Tap &tap) {
    if (!(position >= 0 && position <= static_cast<double>(size - 1))) return false;
    const Index index = std::min(static_cast<Index>(position), size - 2);
    tap = {index * stride, stride, static_cast<float>(position - static_cast<double>(index))};
    return true;
}

inline void central_gradient(const float *p, Index dz, Index dy, const double *spacing, float gradient[3]) {
    gradient[0] = 0.5f * (p[dz] - p[-dz]) / static_cast<float>(spacing[0]);
    gradient[1] = 0.5f * (p[dy] - p[-dy]) / static_cast<float>(spacing[1]);
    gradient[2] = 0.5f * (p[1] - p[-1]) / static_cast<float>(spacing[2]);
}

inline void turn_back(const double *rotation, const double *spacing, const float in[3], float out[3]) {
    for (int k = 0; k < 3; ++k) {
        double sum = 0;
        for (int i = 0; i < 3; ++i) sum += rotation[3 * i + k] * in[i] / spacing[i];
        out[k] = static_cast<float>(sum);
    }
}

inline void accumulate(Sums<float> &sums, const float score[MOTIONS], const float a[MOTIONS], const float b[MOTIONS],
                       float residual, float weight) {
    Index k = 0;
    for (Index i = 0; i < MOTIONS; ++i)
        for (Index j = i; j < MOTIONS; ++j, ++k) {
            sums.hessian[k] += weight * score[i] * score[j];
            sums.cross[k] += 0.5f * weight * (a[i] * b[j] + a[j] * b[i]);
        }
    for (Index i = 0; i < MOTIONS; ++i) sums.score[i] += weight * residual * score[i];
}

inline void accumulate_moments(Sums<float> &sums, float f, float m, float residual, float weight) {
    const float values[] = {1, f, m, f * f, m * m, f * m, residual * residual};
    for (Index k = 0; k < WEIGHT; ++k) sums.moment[k] += weight * values[k];
}

DELTAMU_DISPATCH void sum_row(const Problem &p, Index z, Index y, Index x0, Sums<float> &sums) {
    const Index dy = p.reference.nx, dz = p.reference.ny * p.reference.nx, row = z * dz + y * dy;
    const Volume &moving = p.moving;
    for (Index x = std::max<Index>(x0, 1); x < std::min(x0 + BUNDLE, p.reference.nx - 1); ++x) {
        const float weight = p.weights[row + x];
        if (!(weight > 0)) continue;
        const double at[3] = {static_cast<double>(z), static_cast<double>(y), static_cast<double>(x)};
        double u[3];
        for (int k = 0; k < 3; ++k)
            u[k] = p.affine[4 * k] * at[0] + p.affine[4 * k + 1] * at[1] + p.affine[4 * k + 2] * at[2] + p.affine[4 * k + 3];
        deltamu::Tap taps[3];
        if (!(find_gradient_tap(u[0], moving.nz, moving.ny * moving.nx, taps[0]) &&
              find_gradient_tap(u[1], moving.ny, moving.nx, taps[1]) && find_gradient_tap(u[2], moving.nx, 1, taps[2])))
            continue;
        float gradient[3], reference_gradient[3], moving_gradient[3], place[3];
        const float m = deltamu::trilinear_gradient(moving, taps, gradient), f = p.reference.data[row + x];
        central_gradient(p.reference.data + row + x, dz, dy, p.spacing, reference_gradient);
        const float residual = p.gain * m + p.offset - f;
        const float finite = residual + reference_gradient[0] + reference_gradient[1] + reference_gradient[2];
        if (!std::isfinite(finite)) continue;
        turn_back(p.rotation, p.spacing, gradient, moving_gradient);
        for (int k = 0; k < 3; ++k) {
            moving_gradient[k] *= p.gain;
            place[k] = static_cast<float>((at[k] - p.center[k]) * p.spacing[k]);
        }
        float of_reference[MOTIONS], of_moving[MOTIONS], score[MOTIONS];
        motion_derivatives(reference_gradient, place, of_reference);
        motion_derivatives(moving_gradient, place, of_moving);
        for (Index k = 0; k < MOTIONS; ++k)
            score[k] = p.moving_share * of_moving[k] + (1 - p.moving_share) * of_reference[k];
        const float robust = weight * influence(residual, p.cut, p.redescending);
        accumulate(sums, score, of_reference, of_moving, residual, robust);
        accumulate_moments(sums, f, m, residual, robust);
        sums.moment[WEIGHT] += weight;
    }
}

Sums<double> sum_bundle(const Problem &p, Index z0, Index y0, Index x0) {
    Sums<double> sums{};
    for (Index z = std::max<Index>(z0, 1); z < std::min(z0 + BUNDLE, p.reference.nz - 1); ++z)
        for (Index y = std::max<Index>(y0, 1); y < std::min(y0 + BUNDLE, p.reference.ny - 1); ++y) {
            Sums<float> row{};
            sum_row(p, z, y, x0, row);
            sums.add(row);
        }
    return sums;
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
    DoubleArray result({nz, ny, nx, static_cast<Index>(sizeof(Sums<double>) / sizeof(double))});
    Sums<double> *sums = reinterpret_cast<Sums<double> *>(result.mutable_data());
    py::gil_scoped_release release;
#pragma omp parallel for schedule(dynamic, 1)
    for (Index row = 0; row < nz * ny; ++row)
        for (Index x = 0; x < nx; ++x)
            sums[row * nx + x] = sum_bundle(problem, row / ny * BUNDLE, row % ny * BUNDLE, x * BUNDLE);
    return result;
}

}  // namespace

void bind_align(py::module_ &module) {
    module.def("normal_equations", &normal_equations, py::arg("reference").noconvert(), py::arg("moving").noconvert(),
               py::arg("weights").noconvert(), py::arg("affine").noconvert(), py::arg("rotation").noconvert(),
               py::arg("spacing").noconvert(), py::arg("center").noconvert(), py::arg("gain"), py::arg("offset"),
               py::arg("cut"), py::arg("redescending"), py::arg("moving_share"));
}
