// What a voxel finds in a view at the place where it is seen. Read by g++ and by NVRTC.
#pragma once
#include "half.h"
#include "portable.h"

namespace deltamu {

// Takes the voxel index (x, y, z, 1) to (column w, row w, w); w is 1 for parallel rays.
struct ViewMatrix {
    double m[3][4];
};

// Size of a view, and how far beyond its first and last row it still counts as seen.
struct ViewShape {
    int rows, columns;
    float row_margin;
};

DELTAMU_BOTH float limited(float value, float highest) {
    const float positive = value > 0 ? value : 0;
    return positive < highest ? positive : highest;
}

// Bilinear interpolation at (column, row). Beyond the columns there is nothing; beyond the rows is `unknown`, NaN.
// Written without branches, so that a compiler can do many voxels at once.
template <typename Pixel>
DELTAMU_BOTH float read_view(const Pixel *view, const ViewShape &shape, float column, float row, float unknown) {
    const float right = static_cast<float>(shape.columns - 1), bottom = static_cast<float>(shape.rows - 1);
    const float u = limited(column, right), v = limited(row, bottom);
    const int i = static_cast<int>(u), j = static_cast<int>(v);
    const float fu = u - static_cast<float>(i), fv = v - static_cast<float>(j);
    // the last pixel is its own neighbour
    const int across = i < shape.columns - 1 ? 1 : 0, down = j < shape.rows - 1 ? shape.columns : 0;
    const int at = j * shape.columns + i;
    const float upper_left = widened(view[at]), lower_left = widened(view[at + down]);
    const float upper = upper_left + fu * (widened(view[at + across]) - upper_left);
    const float lower = lower_left + fu * (widened(view[at + down + across]) - lower_left);
    const float within = column == u ? 1.0f : 0.0f;
    const float beyond = magnitude(row - v) > shape.row_margin ? unknown : 0.0f;
    return within * (upper + fv * (lower - upper)) + beyond;
}

}  // namespace deltamu
