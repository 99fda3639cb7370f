// Interpolation of a volume (z, y, x): trilinear, for warping and registration, and by cubic B-splines.
// Read by g++ and by NVRTC.
#pragma once
#include "portable.h"

namespace deltamu {

struct Volume {
    const float *data;
    Place nz, ny, nx;
};

// Rounding of an affine must not push the outermost voxels out of the volume.
constexpr double EDGE_TOLERANCE = 1e-6;

// One axis of a sample: the voxel below, the way to the one above, and how far it is towards it.
// On a voxel the way is 0, so that a neighbour that does not count is not touched (NaN x 0 is NaN).
struct Tap {
    Place index, step;
    float fraction;
};

inline bool find_tap(double position, Place size, Place stride, Tap &tap) {
    const double last = static_cast<double>(size - 1);
    if (!(position >= -EDGE_TOLERANCE && position <= last + EDGE_TOLERANCE)) return false;
    if (position < 0) position = 0;
    if (position > last) position = last;
    const Place index = static_cast<Place>(position);
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
    const Place dz = taps[0].step, dy = taps[1].step, dx = taps[2].step;
    const float fz = taps[0].fraction, fy = taps[1].fraction, fx = taps[2].fraction;
    const float near = between(between(p[0], p[dx], fx), between(p[dy], p[dy + dx], fx), fy);
    const float far = between(between(p[dz], p[dz + dx], fx), between(p[dz + dy], p[dz + dy + dx], fx), fy);
    return between(near, far, fz);
}

// Value and gradient (per voxel, (z, y, x)) of the trilinear interpolant.
inline float trilinear_gradient(const Volume &v, const Tap taps[3], float gradient[3]) {
    const float *p = v.data + taps[0].index + taps[1].index + taps[2].index;
    const Place dz = taps[0].step, dy = taps[1].step, dx = taps[2].step;
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

// Input position of the first voxel of an output row, and its increment along the row.
struct Line {
    double start[3], step[3];
};

static inline Line line_of_row(const double *affine, Place z, Place y) {
    Line line;
    for (int k = 0; k < 3; ++k) {
        const double *row = affine + 4 * k;
        line.start[k] = row[0] * static_cast<double>(z) + row[1] * static_cast<double>(y) + row[3];
        line.step[k] = row[2];
    }
    return line;
}

// The four taps of a cubic B-spline along one axis; beyond the volume the coefficients are mirrored.
struct CubicTaps {
    Place index[4];
    float weight[4];
};

static inline Place mirrored(Place i, Place size) {
    if (size == 1) return 0;
    const Place period = 2 * (size - 1);
    i = ((i % period) + period) % period;
    return i < size ? i : period - i;
}

static inline bool find_cubic(double position, Place size, Place stride, CubicTaps &taps) {
    const double last = static_cast<double>(size - 1);
    if (!(position >= -EDGE_TOLERANCE && position <= last + EDGE_TOLERANCE)) return false;
    const double below = floor(position), f = position - below, g = 1 - f;
    const Place first = static_cast<Place>(below) - 1;
    const bool interior = first >= 0 && first + 3 < size;
    for (int k = 0; k < 4; ++k) taps.index[k] = (interior ? first + k : mirrored(first + k, size)) * stride;
    taps.weight[0] = static_cast<float>(g * g * g / 6);
    taps.weight[1] = static_cast<float>((4 - 6 * f * f + 3 * f * f * f) / 6);
    taps.weight[2] = static_cast<float>((4 - 6 * g * g + 3 * g * g * g) / 6);
    taps.weight[3] = static_cast<float>(f * f * f / 6);
    return true;
}

static inline float cubic(const Volume &volume, const CubicTaps &tz, const CubicTaps &ty, const CubicTaps &tx) {
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

// Pole of the recursive filter that turns samples into cubic B-spline coefficients, sqrt(3) - 2 (Unser 1999), and
// the samples after which its powers are below 1e-22.
constexpr double POLE = -0.2679491924311228;
constexpr Place HORIZON = 40;

}  // namespace deltamu
