// Geometry of parallel rays in Joseph's method, shared by the projector and its transpose.
// Columns, voxels and marching steps are counted from 0; lengths are in voxels.
#pragma once
#include <cmath>
#include <cstdint>

namespace deltamu {

struct Detector {
    std::int64_t columns;
    double pitch;  // width of a column
};

// Rays of one view march along the axis (`march`) that they are closer to, one voxel per step, and interpolate
// along the other (`across`). A ray at distance s from the rotation axis meets line j of the grid at
//     across = (s - (j - march_middle) * march_weight) / across_weight + across_middle.
struct View {
    double march_weight, across_weight, march_middle, across_middle;
    double center;  // column of the rotation axis
    bool marches_y;

    View(double cosine, double sine, double axis_column, std::int64_t ny, std::int64_t nx) : center(axis_column) {
        marches_y = std::fabs(cosine) >= std::fabs(sine);
        across_weight = marches_y ? cosine : sine;
        march_weight = marches_y ? sine : cosine;
        march_middle = 0.5 * static_cast<double>((marches_y ? ny : nx) - 1);
        across_middle = 0.5 * static_cast<double>((marches_y ? nx : ny) - 1);
    }

    double slope() const { return -march_weight / across_weight; }
    double across_at_first_line(double distance) const {
        return (distance + march_middle * march_weight) / across_weight + across_middle;
    }
    // Length of a ray between two lines of the grid.
    double length_per_step() const { return 1 / std::fabs(across_weight); }
    double distance(double along, double across) const {
        return (along - march_middle) * march_weight + (across - across_middle) * across_weight;
    }
};

}  // namespace deltamu
