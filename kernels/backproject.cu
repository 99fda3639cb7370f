// Back-projection of filtered views: a thread holds a short column of voxels in registers while all views pass.
#include "backproject.h"

namespace deltamu {

constexpr int kViewsAtATime = 64;

// Where the first voxel of a block is seen, and the change per voxel along x, y and z. Positions within a block
// are small numbers, so that 32 bits do; the first voxel's is worked out in 64.
struct SeenBlock {
    float start[3], along_x[3], along_y[3], along_z[3];
};

__device__ void see_block(const double *matrix, Place x, Place y, Place z, SeenBlock &seen) {
    for (int k = 0; k < 3; ++k) {
        const double *row = matrix + 4 * k;
        seen.start[k] = static_cast<float>(row[0] * static_cast<double>(x) + row[1] * static_cast<double>(y) +
                                           row[2] * static_cast<double>(z) + row[3]);
        seen.along_x[k] = static_cast<float>(row[0]);
        seen.along_y[k] = static_cast<float>(row[1]);
        seen.along_z[k] = static_cast<float>(row[2]);
    }
}

// What one voxel receives from one view. Behind the source a voxel is not seen at all.
template <typename Pixel, bool Cone>
__device__ float seen_value(const Pixel *view, const ViewShape &shape, const float at[3]) {
    const float unknown = nanf("");
    if (!Cone) return read_view(view, shape, at[0], at[1], unknown);
    const float nearer = 1 / at[2];
    const float value = read_view(view, shape, at[0] * nearer, at[1] * nearer, unknown);
    return nearer * nearer * value + (nearer > 0 ? 0.0f : unknown);
}

template <typename Pixel, bool Cone, int Deep>
__global__ void add_views(const Pixel *__restrict__ views, const double *__restrict__ matrices, Place count, Place rows,
                          Place columns, float row_margin, float scale, float *__restrict__ volume, Place nz, Place ny,
                          Place nx) {
    __shared__ SeenBlock seen[kViewsAtATime];
    const Place x0 = static_cast<Place>(blockIdx.x) * blockDim.x, y0 = static_cast<Place>(blockIdx.y) * blockDim.y;
    const Place z0 = static_cast<Place>(blockIdx.z) * Deep, x = x0 + threadIdx.x, y = y0 + threadIdx.y;
    const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
    const int threads = static_cast<int>(blockDim.x * blockDim.y);
    const ViewShape shape{static_cast<int>(rows), static_cast<int>(columns), row_margin};
    float sum[Deep] = {};
    for (Place first = 0; first < count; first += kViewsAtATime) {
        const int now = static_cast<int>(count - first < kViewsAtATime ? count - first : kViewsAtATime);
        for (int v = thread; v < now; v += threads) see_block(matrices + 12 * (first + v), x0, y0, z0, seen[v]);
        __syncthreads();
        for (int v = 0; v < now; ++v) {
            const SeenBlock &here = seen[v];
            float at[3];
            for (int k = 0; k < 3; ++k)
                at[k] = here.start[k] + static_cast<float>(threadIdx.x) * here.along_x[k] +
                        static_cast<float>(threadIdx.y) * here.along_y[k];
            const Pixel *view = views + (first + v) * rows * columns;
#pragma unroll
            for (int d = 0; d < Deep; ++d) {
                const float deep = static_cast<float>(d);
                const float place[3] = {at[0] + deep * here.along_z[0], at[1] + deep * here.along_z[1],
                                        at[2] + deep * here.along_z[2]};
                sum[d] += seen_value<Pixel, Cone>(view, shape, place);
            }
        }
        __syncthreads();
    }
    if (x >= nx || y >= ny) return;
    for (int d = 0; d < Deep && z0 + d < nz; ++d) volume[((z0 + d) * ny + y) * nx + x] += scale * sum[d];
}

}  // namespace deltamu
