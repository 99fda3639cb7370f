// Parallel-beam projection by Joseph's method and its exact transpose, for slices that all see the same rays: a
// thread works on one column, or one voxel, of several slices at a time with one set of weights.
//
// Positions are 64-bit numbers with 32 bits behind the point: as exact as needed over any detector, cheap on every
// device, and the same in the projector and in the transpose. No two threads write the same value, so results do
// not depend on the order in which threads run.
#include "portable.h"

namespace deltamu {

struct Fixed {
    Place bits;
    __device__ int below() const { return static_cast<int>(bits >> 32); }
    __device__ float fraction() const { return static_cast<float>(static_cast<unsigned>(bits)) * 2.3283064365386963e-10f; }
};

// A ray marches along the lines of a slice, y or x; `across` is where column 0's ray meets line 0.
struct MarchingView {
    Place number, across, per_column, per_line;
    double length;  // between two lines
};

// Where a voxel is seen, in columns: its shadow.
struct SeenView {
    Place shadow, per_x, per_y;
    double voxels_per_column;  // across the march
    double length;
};

// What the ray collects in `Deep` slices from z0 on; `volume` is (z, line, across).
template <int Deep>
__device__ void collect(const float *volume, Place nz, Place lines, Place width, Fixed at, Place per_line, Place z0,
                        float sum[Deep]) {
    for (Place line = 0; line < lines; ++line, at.bits += per_line) {
        const int left = at.below();
        if (left < -1 || left >= width) continue;
        const float right_weight = at.fraction();
        const bool has_left = left >= 0, has_right = left + 1 < width;
        const float *sample = volume + (z0 * lines + line) * width + left;
#pragma unroll
        for (int d = 0; d < Deep; ++d) {
            if (z0 + d >= nz) break;
            const float a = has_left ? sample[d * lines * width] : 0.0f;
            const float b = has_right ? sample[d * lines * width + 1] : 0.0f;
            sum[d] += a + right_weight * (b - a);
        }
    }
}

// A thread takes one column; the views are dealt out along the second axis of the launch grid.
template <int Deep>
__global__ void project(const float *__restrict__ volume, Place nz, Place lines, Place width,
                        const MarchingView *__restrict__ views, Place count, float scale, float *__restrict__ sinogram,
                        Place columns) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place z0 = static_cast<Place>(blockIdx.z) * Deep;
    if (column >= columns) return;
    for (Place v = blockIdx.y; v < count; v += gridDim.y) {
        const MarchingView view = views[v];
        float sum[Deep] = {};
        collect<Deep>(volume, nz, lines, width, Fixed{view.across + column * view.per_column}, view.per_line, z0, sum);
        const float length = scale * static_cast<float>(view.length);
        float *target = sinogram + (view.number * nz + z0) * columns + column;
        for (int d = 0; d < Deep && z0 + d < nz; ++d) target[d * columns] = length * sum[d];
    }
}

// Columns on either side of a voxel's shadow whose rays can pass within a voxel of it: `wide`.
template <int Deep>
__global__ void backproject(const float *__restrict__ sinogram, const SeenView *__restrict__ views, Place count,
                            Place columns, Place wide, float scale, float *__restrict__ volume, Place nz, Place ny,
                            Place nx) {
    const Place x = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place y = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    const Place z0 = static_cast<Place>(blockIdx.z) * Deep;
    if (x >= nx || y >= ny) return;
    float sum[Deep] = {};
    for (Place v = 0; v < count; ++v) {
        const SeenView view = views[v];
        const Fixed shadow{view.shadow + x * view.per_x + y * view.per_y};
        const float per_column = static_cast<float>(view.voxels_per_column), length = static_cast<float>(view.length);
        const int below = shadow.below();
        const float beyond = shadow.fraction();
        for (int step = 1 - static_cast<int>(wide); step <= static_cast<int>(wide); ++step) {
            const float weight = 1 - magnitude(static_cast<float>(step) - beyond) * per_column;
            const Place column = static_cast<Place>(below) + step;
            if (!(weight > 0) || column < 0 || column >= columns) continue;
            const float *sample = sinogram + (v * nz + z0) * columns + column;
#pragma unroll
            for (int d = 0; d < Deep; ++d)
                if (z0 + d < nz) sum[d] += weight * length * sample[d * columns];
        }
    }
    for (int d = 0; d < Deep && z0 + d < nz; ++d) volume[((z0 + d) * ny + y) * nx + x] = scale * sum[d];
}

}  // namespace deltamu
