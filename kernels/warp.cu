// Affine resampling of volumes: trilinear, and cubic B-spline with its prefilter.
#include "warp.h"

namespace deltamu {

// Input position of output voxel (z, y, x).
__device__ void position_of(const double *affine, Place z, Place y, Place x, double at[3]) {
    const Line line = line_of_row(affine, z, y);
    for (int k = 0; k < 3; ++k) at[k] = line.start[k] + static_cast<double>(x) * line.step[k];
}

__device__ float linear_at(const Volume &volume, const double at[3], float fill) {
    Tap taps[3];
    return find_taps(volume, at[0], at[1], at[2], taps) ? trilinear(volume, taps) : fill;
}

__device__ float cubic_at(const Volume &volume, const double at[3], float fill) {
    CubicTaps z, y, x;
    const bool inside = find_cubic(at[0], volume.nz, volume.ny * volume.nx, z) &&
                        find_cubic(at[1], volume.ny, volume.nx, y) && find_cubic(at[2], volume.nx, 1, x);
    return inside ? cubic(volume, z, y, x) : fill;
}

// The volume holds voxels, or for order 3 spline coefficients.
template <int Order>
__global__ void warp(const float *__restrict__ data, Place depth, Place height, Place width,
                     const double *__restrict__ affine, float fill, float *__restrict__ out, Place nz, Place ny,
                     Place nx) {
    const Place x = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place y = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    const Volume volume{data, depth, height, width};
    if (x >= nx || y >= ny) return;
    for (Place z = blockIdx.z; z < nz; z += gridDim.z) {
        double at[3];
        position_of(affine, z, y, x, at);
        out[(z * ny + y) * nx + x] = Order == 1 ? linear_at(volume, at, fill) : cubic_at(volume, at, fill);
    }
}

// Value of the causal filter at the first sample, with the line continued by its mirror image.
__device__ double first_value(const float *line, Place count, Place stride) {
    const Place horizon = count < HORIZON ? count : HORIZON;
    double sum = line[0], power = POLE;
    for (Place i = 1; i < horizon; ++i, power *= POLE) sum += power * line[i * stride];
    if (horizon < count) return sum;
    // a short line: the mirror image adds the way back, and the whole repeats with period 2 (count - 1)
    double period = 1;
    for (Place i = 0; i < 2 * (count - 1); ++i) period *= POLE;
    for (Place i = count - 2; i > 0; --i, power *= POLE) sum += power * line[i * stride];
    return sum / (1 - period);
}

// Spline coefficients of lines of `count` samples, `stride` apart, in place. A thread takes one line; `inner` lines
// lie next to each other.
__global__ void spline_lines(float *data, Place outer, Place count, Place inner) {
    const Place line = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x, stride = inner;
    if (line >= outer * inner) return;
    float *first = data + line / inner * count * inner + line % inner, *last = first + (count - 1) * stride;
    double value = 6 * first_value(first, count, stride), before = value;
    first[0] = static_cast<float>(value);
    for (float *sample = first + stride; sample <= last; sample += stride) {
        before = value;
        value = 6.0 * *sample + POLE * before;
        *sample = static_cast<float>(value);
    }
    value = POLE / (POLE * POLE - 1) * (value + POLE * before);
    *last = static_cast<float>(value);
    for (float *sample = last - stride; sample >= first; sample -= stride) {
        value = POLE * (value - *sample);
        *sample = static_cast<float>(value);
    }
}

}  // namespace deltamu
