// Rays of any geometry through a grid of voxels, by Joseph's method in three dimensions: a ray marches along the
// axis that it is closest to, one voxel per step, and interpolates bilinearly in every plane that it crosses.
// Read by g++ and by NVRTC. Axes are numbered x = 0, y = 1, z = 2.
#pragma once
#include "portable.h"

namespace deltamu {

// The ray of pixel (column, row) runs through `point` towards `toward`; both change linearly with the pixel, in
// voxels. Parallel rays share `toward`, the rays of a cone share `point`.
template <typename Real> struct RayMap {
    Real point[3][3], toward[3][3];  // constant, per column, per row; each (x, y, z)
};

// Where a ray crosses plane j of its axis: start + slope * j along the two other axes, the lower one first.
template <typename Real> struct Ray {
    int axis;
    Real start[2], slope[2];
    float length;  // between two planes
};

DELTAMU_BOTH int lower_across(int axis) { return axis == 0 ? 1 : 0; }
DELTAMU_BOTH int upper_across(int axis) { return axis == 2 ? 1 : 2; }

template <typename Real> DELTAMU_BOTH void at_pixel(const Real map[3][3], Real column, Real row, Real out[3]) {
    for (int k = 0; k < 3; ++k) out[k] = map[0][k] + column * map[1][k] + row * map[2][k];
}

template <typename Real> DELTAMU_BOTH int closest_axis(const Real toward[3]) {
    const Real x = magnitude(toward[0]), y = magnitude(toward[1]), z = magnitude(toward[2]);
    if (y >= x && y >= z) return 1;
    return x >= z ? 0 : 2;
}

template <typename Real> DELTAMU_BOTH Ray<Real> ray_through(const Real point[3], const Real toward[3]) {
    Ray<Real> ray;
    ray.axis = closest_axis(toward);
    const Real per_step = 1 / toward[ray.axis];
    Real squared = 1;
    for (int side = 0; side < 2; ++side) {
        const int across = side == 0 ? lower_across(ray.axis) : upper_across(ray.axis);
        ray.slope[side] = toward[across] * per_step;
        ray.start[side] = point[across] - point[ray.axis] * ray.slope[side];
        squared += ray.slope[side] * ray.slope[side];
    }
    ray.length = static_cast<float>(sqrt(squared));
    return ray;
}

template <typename Real> DELTAMU_BOTH Ray<Real> ray_of(const RayMap<Real> &map, Real column, Real row) {
    Real point[3], toward[3];
    at_pixel(map.point, column, row, point);
    at_pixel(map.toward, column, row, toward);
    return ray_through(point, toward);
}

// Planes [first, last) of the ray's axis in which it can come within a voxel of the grid; one to spare at each end.
template <typename Real>
DELTAMU_BOTH void clip_planes(const Ray<Real> &ray, const Place size[3], Place &first, Place &last) {
    for (int side = 0; side < 2; ++side) {
        const Real end = static_cast<Real>(size[side == 0 ? lower_across(ray.axis) : upper_across(ray.axis)]);
        const Real slope = ray.slope[side], start = ray.start[side];
        if (magnitude(slope) * static_cast<Real>(last) < Real(1e-6)) {
            if (!(start > -1 - Real(1e-3) && start < end + Real(1e-3))) last = first;
            continue;
        }
        Real low = (-1 - start) / slope, high = (end - start) / slope;
        if (low > high) {
            const Real swap = low;
            low = high;
            high = swap;
        }
        if (low - 1 > static_cast<Real>(first)) first = low < static_cast<Real>(last) ? static_cast<Place>(low) : last;
        if (high + 2 < static_cast<Real>(last)) last = high < -2 ? first : static_cast<Place>(high + 2);
    }
    if (last < first) last = first;
}

// One axis of a crossing: the voxel below, -1 to size, and the weight of the one above it. Beyond the grid the
// weight falls to zero over one voxel, as if a rim of zeros surrounded it.
template <typename Real> DELTAMU_BOTH Place voxel_below(Real position, Place size, float &fraction) {
    if (!(position > -1)) position = -1;
    if (position > static_cast<Real>(size)) position = static_cast<Real>(size);
    const Place below = static_cast<Place>(position + 1) - 1;
    fraction = static_cast<float>(position - static_cast<Real>(below));
    return below;
}

}  // namespace deltamu
