// Trilinear interpolation of a volume (z, y, x), shared by warping and registration.
#pragma once
#include <cmath>
#include <cstdint>

namespace deltamu {

struct Volume {
    const float *data;
    std::int64_t nz, ny, nx;
};

// Rounding of an affine must not push the outermost voxels out of the volume.
constexpr double EDGE_TOLERANCE = 1e-6;

// One axis of a sample: the voxel below, the way to the one above, and how far it is towards it.
// On a voxel the way is 0, so that a neighbour that does not count is not touched (NaN x 0 is NaN).
struct Tap {
    std::int64_t index, step;
    float fraction;
};

inline bool find_tap(double position, std::int64_t size, std::int64_t stride, Tap &tap) {
    const double last = static_cast<double>(size - 1);
    if (!(position >= -EDGE_TOLERANCE && position <= last + EDGE_TOLERANCE)) return false;
    if (position < 0) position = 0;
    if (position > last) position = last;
    const std::int64_t index = static_cast<std::int64_t>(position);
    tap.index = index * stride;
    tap.fraction = static_cast<float>(position - static_cast<double>(index));
    tap.step = tap.fraction > 0 ? stride : 0;
    return true;
}

inline float between(float a, float b, float fraction) { return a + fraction * (b - a); }

inline bool find_taps(const Volume &v, double z, double y, double x, Tap taps[3]) {
    return find_tap(z, v.nz, v.ny * v.nx, taps[0]) && find_tap(y, v.ny, v.nx, taps[1]) &&
           find_tap(x, v.nx, 1, taps[2]);
}

inline float trilinear(const Volume &v, const Tap taps[3]) {
    const float *p = v.data + taps[0].index + taps[1].index + taps[2].index;
    const std::int64_t dz = taps[0].step, dy = taps[1].step, dx = taps[2].step;
    const float fz = taps[0].fraction, fy = taps[1].fraction, fx = taps[2].fraction;
    const float near = between(between(p[0], p[dx], fx), between(p[dy], p[dy + dx], fx), fy);
    const float far = between(between(p[dz], p[dz + dx], fx), between(p[dz + dy], p[dz + dy + dx], fx), fy);
    return between(near, far, fz);
}

// Value and gradient (per voxel, (z, y, x)) of the trilinear interpolant.
inline float trilinear_gradient(const Volume &v, const Tap taps[3], float gradient[3]) {
    const float *p = v.data + taps[0].index + taps[1].index + taps[2].index;
    const std::int64_t dz = taps[0].step, dy = taps[1].step, dx = taps[2].step;
    const float fz = taps[0].fraction, fy = taps[1].fraction, fx = taps[2].fraction;
    const float x00 = p[dx] - p[0], x01 = p[dy + dx] - p[dy];
    const float x10 = p[dz + dx] - p[dz], x11 = p[dz + dy + dx] - p[dz + dy];
    const float c00 = p[0] + fx * x00, c01 = p[dy] + fx * x01;
    const float c10 = p[dz] + fx * x10, c11 = p[dz + dy] + fx * x11;
    const float near = between(c00, c01, fy), far = between(c10, c11, fy);
    gradient[0] = far - near;
    gradient[1] = between(c01 - c00, c11 - c10, fz);
    gradient[2] = between(between(x00, x01, fy), between(x10, x11, fy), fz);
    return between(near, far, fz);
}

}  // namespace deltamu
