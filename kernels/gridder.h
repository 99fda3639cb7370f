// Back-projection as a Fourier sum: polar samples of the slices' transforms, gridded and transformed back.
//
// The sample points are the same for every detector row, so where a sample goes and with which weights is worked
// out once (the taps) and applied to sixteen cells, thirty-two slices, at a time.
#pragma once
#include <cstdint>
#include <vector>

#include "gridding_tap.h"
#include "lane_fft.h"

namespace deltamu {

// Runs of taps that lie in one tile of the grid. Tiles of one colour lie far enough apart for two threads never
// to write the same grid point; groups of tiles are ordered by chunk of views, then by colour.
struct TapTable {
    std::vector<Tap> taps;
    std::vector<int64_t> tile_start;   // one more than there are tiles
    std::vector<int64_t> group_start;  // 4 chunks + 1, in tiles
};

struct PolarSamples {
    const double *cosines, *sines;  // per view, in the order in which views are worked on
    int views, harmonics, padded;   // samples per view: 2 harmonics - 1 frequencies k / padded, |k| < harmonics
    double voxel_step;              // voxel pitch in detector columns
    int chunk_views;
};

struct GridShape {
    int points, stride;  // grid points along each axis; cells from one row to the next (halo included)
    int64_t cells() const { return int64_t(points + 2 * kHalo) * stride; }
};

TapTable make_taps(const PolarSamples &polar, int grid_points);

}  // namespace deltamu
