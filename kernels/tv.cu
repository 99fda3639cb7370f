// Proximal operator of total variation within bounds, as in tv.cpp: one launch for the image that a dual variable
// gives, one for a step of the dual variable. A thread takes one voxel.
#include "portable.h"

namespace deltamu {

struct Voxel {
    Place z, y, x, here;
};

// Sizes of a volume; `spatial` is false where every slice is on its own.
struct Grid {
    Place nz, ny, nx;
    bool spatial;
    __device__ Place row() const { return nx; }
    __device__ Place plane() const { return ny * nx; }
    __device__ Place voxels() const { return nz * ny * nx; }
    __device__ bool has(Place z, Place y, Place x) const { return x < nx && y < ny && z < nz; }
    __device__ Voxel voxel(Place z) const {
        const Place x = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
        const Place y = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
        return {z, y, x, (z * ny + y) * nx + x};
    }
};

// D'p: what leaves a voxel minus what comes from its predecessors. Beyond the last voxel p is zero.
__device__ float spread(const float *p, const Grid &grid, const Voxel &v) {
    const float *px = p + v.here, *py = px + grid.voxels(), *pz = py + grid.voxels();
    float sum = (v.x > 0 ? px[-1] : 0.0f) - *px + (v.y > 0 ? py[-grid.row()] : 0.0f) - *py;
    if (grid.spatial) sum += (v.z > 0 ? pz[-grid.plane()] : 0.0f) - *pz;
    return sum;
}

// The image within its bounds, zero outside the support. `support` has a plane per slice, one for all, or none.
__global__ void primal(const float *__restrict__ image, const float *__restrict__ p, float strength, float lower,
                       float upper, const unsigned char *__restrict__ support, Place support_planes,
                       float *__restrict__ out, Place nz, Place ny, Place nx, Place spatial) {
    const Grid grid{nz, ny, nx, spatial != 0};
    for (Place z = blockIdx.z; z < nz; z += gridDim.z) {
        const Voxel v = grid.voxel(z);
        if (!grid.has(v.z, v.y, v.x)) return;
        const Place plane = support_planes > 1 ? z : 0;
        const float value = image[v.here] - strength * spread(p, grid, v);
        const float within = value < lower ? lower : value > upper ? upper : value;
        const bool outside = support_planes > 0 && support[(plane * ny + v.y) * nx + v.x] == 0;
        out[v.here] = outside ? 0.0f : within;
    }
}

// Forward differences, zero beyond the last voxel.
__device__ void differences(const float *u, const Grid &grid, const Voxel &v, float d[3]) {
    const float *here = u + v.here;
    d[0] = v.x + 1 < grid.nx ? here[1] - *here : 0.0f;
    d[1] = v.y + 1 < grid.ny ? here[grid.row()] - *here : 0.0f;
    d[2] = grid.spatial && v.z + 1 < grid.nz ? here[grid.plane()] - *here : 0.0f;
}

__device__ float length_of(const float d[3]) { return sqrtf(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]); }

// One projected gradient step, and the extrapolation `q` to the point where the next gradient is taken.
__global__ void dual_step(const float *__restrict__ u, float *__restrict__ p, float *__restrict__ q, float step,
                          float keep, float momentum, Place nz, Place ny, Place nx, Place spatial) {
    const Grid grid{nz, ny, nx, spatial != 0};
    for (Place z = blockIdx.z; z < nz; z += gridDim.z) {
        const Voxel v = grid.voxel(z);
        if (!grid.has(v.z, v.y, v.x)) return;
        const int directions = grid.spatial ? 3 : 2;
        float g[3];
        differences(u, grid, v, g);
        for (int k = 0; k < directions; ++k) g[k] = keep * q[k * grid.voxels() + v.here] + step * g[k];
        const float length = length_of(g), shrink = 1 / (length > 1 ? length : 1.0f);
        for (int k = 0; k < directions; ++k) {
            const Place at = k * grid.voxels() + v.here;
            const float now = shrink * g[k];
            q[at] = now + momentum * (now - p[at]);
            p[at] = now;
        }
    }
}

// Sum over one row of h(|Du|), by one block; its threads are a power of two.
__global__ void row_values(const float *__restrict__ u, float threshold, double *__restrict__ values, Place nz, Place ny,
                           Place nx, Place spatial) {
    __shared__ double part[128];
    const Grid grid{nz, ny, nx, spatial != 0};
    const Place z = blockIdx.x / ny, y = blockIdx.x % ny;
    double sum = 0;
    for (Place x = threadIdx.x; x < nx; x += blockDim.x) {
        float d[3];
        differences(u, grid, {z, y, x, (z * ny + y) * nx + x}, d);
        const float length = length_of(d);
        sum += length < threshold ? length * length / (2 * threshold) : length - threshold / 2;
    }
    part[threadIdx.x] = sum;
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0) values[blockIdx.x] = part[0];
}

}  // namespace deltamu
