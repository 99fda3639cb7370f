// Projection along rays of any geometry by Joseph's method in three dimensions, and its exact transpose: a thread
// walks one ray, in both directions along the same one with the same weights.
//
// In the transpose many rays add to one voxel, in the order in which they come: sums differ in their last bits from
// run to run.
#include "rays.h"

namespace deltamu {

// The grid as a ray along `axis` sees it: sizes and distances in memory across it and along it.
struct Across {
    Place along, lower, upper, lower_size, upper_size;
};

__device__ Across across(const Place size[3], int axis) {
    const Place stride[3] = {1, size[0], size[0] * size[1]};
    const int a = lower_across(axis), b = upper_across(axis);
    return {stride[axis], stride[a], stride[b], size[a], size[b]};
}

// The four voxels around a crossing, and what is known about them.
struct Crossing {
    Place offset;
    float lower, upper;           // weights of the voxels further along both axes
    bool in[2][2];                // whether a voxel exists, by its step along the upper and the lower axis
};

__device__ Crossing crossing(const Ray<double> &ray, const Across &grid, Place plane) {
    Crossing found;
    const double j = static_cast<double>(plane);
    const Place a = voxel_below(ray.start[0] + ray.slope[0] * j, grid.lower_size, found.lower);
    const Place b = voxel_below(ray.start[1] + ray.slope[1] * j, grid.upper_size, found.upper);
    found.offset = plane * grid.along + a * grid.lower + b * grid.upper;
    for (int u = 0; u < 2; ++u)
        for (int l = 0; l < 2; ++l)
            found.in[u][l] = a + l >= 0 && a + l < grid.lower_size && b + u >= 0 && b + u < grid.upper_size;
    return found;
}

__device__ float read_crossing(const float *volume, const Across &grid, const Crossing &at) {
    float value[2][2];
    for (int u = 0; u < 2; ++u)
        for (int l = 0; l < 2; ++l) value[u][l] = at.in[u][l] ? volume[at.offset + u * grid.upper + l * grid.lower] : 0.0f;
    const float near = value[0][0] + at.lower * (value[0][1] - value[0][0]);
    const float far = value[1][0] + at.lower * (value[1][1] - value[1][0]);
    return near + at.upper * (far - near);
}

__device__ void add_crossing(float *volume, const Across &grid, const Crossing &at, float value) {
    for (int u = 0; u < 2; ++u)
        for (int l = 0; l < 2; ++l) {
            const float weight = (u ? at.upper : 1 - at.upper) * (l ? at.lower : 1 - at.lower);
            if (at.in[u][l] && weight != 0) atomicAdd(volume + at.offset + u * grid.upper + l * grid.lower, weight * value);
        }
}

// Every thread takes one pixel; the views are dealt out along the third axis of the launch grid.
__global__ void project_rays(const float *__restrict__ volume, Place nz, Place ny, Place nx,
                             const RayMap<double> *__restrict__ maps, Place views, float scale,
                             float *__restrict__ projections, Place rows, Place columns) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    const Place size[3] = {nx, ny, nz};
    if (column >= columns || row >= rows) return;
    for (Place view = blockIdx.z; view < views; view += gridDim.z) {
        const Ray<double> ray = ray_of(maps[view], static_cast<double>(column), static_cast<double>(row));
        const Across grid = across(size, ray.axis);
        Place first = 0, last = size[ray.axis];
        clip_planes(ray, size, first, last);
        float sum = 0;
        for (Place plane = first; plane < last; ++plane) sum += read_crossing(volume, grid, crossing(ray, grid, plane));
        projections[(view * rows + row) * columns + column] = scale * ray.length * sum;
    }
}

__global__ void backproject_rays(const float *__restrict__ projections, Place rows, Place columns,
                                 const RayMap<double> *__restrict__ maps, Place views, float scale, float *volume,
                                 Place nz, Place ny, Place nx) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    const Place size[3] = {nx, ny, nz};
    if (column >= columns || row >= rows) return;
    for (Place view = blockIdx.z; view < views; view += gridDim.z) {
        const Ray<double> ray = ray_of(maps[view], static_cast<double>(column), static_cast<double>(row));
        const Across grid = across(size, ray.axis);
        Place first = 0, last = size[ray.axis];
        clip_planes(ray, size, first, last);
        const float value = scale * ray.length * projections[(view * rows + row) * columns + column];
        for (Place plane = first; plane < last; ++plane) add_crossing(volume, grid, crossing(ray, grid, plane), value);
    }
}

}  // namespace deltamu
