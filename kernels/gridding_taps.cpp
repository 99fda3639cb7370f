// Sorting of the polar samples into tiles of the grid.
#include <algorithm>
#include <cmath>

#include "gridder.h"

namespace deltamu {
namespace {

struct Tiling {
    int along;                                  // tiles along each axis, even
    int keys() const { return along * along; }  // ordered by colour
    int colour_keys() const { return keys() / 4; }
    int key(const Tap &tap) const {
        const int y = tap.row / kTile, x = tap.column / kTile;
        const int colour = 2 * (y & 1) + (x & 1);
        return colour * colour_keys() + (y / 2) * (along / 2) + x / 2;
    }
};

// First grid point under the window around `position`, and the bin of its distance to the window's edge.
void place(double position, uint16_t &first, uint16_t &bin) {
    const double edge = position - kWidth / 2.0, start = std::ceil(edge);
    first = uint16_t(int(start) + kHalo);
    bin = uint16_t(std::lround((start - edge) * kKernelBins));
}

void place_view(const PolarSamples &polar, int grid_points, int view, int first_sample, Tap *taps) {
    const double scale = polar.voxel_step * grid_points / polar.padded;
    for (int k = 1 - polar.harmonics; k < polar.harmonics; k++) {
        Tap &tap = *taps++;
        tap.sample = first_sample + (k < 0 ? k + polar.padded : k);
        place(grid_points / 2.0 + scale * k * polar.sines[view], tap.row, tap.row_bin);
        place(grid_points / 2.0 + scale * k * polar.cosines[view], tap.column, tap.column_bin);
    }
}

// Stable counting sort of one chunk by tile; appends the sizes of the tiles that are not empty.
void sort_chunk(const Tiling &tiling, const std::vector<Tap> &taps, Tap *sorted, std::vector<int64_t> &tile_sizes,
                int64_t *tiles_per_colour) {
    std::vector<int64_t> start(tiling.keys() + 1, 0);
    for (const Tap &tap : taps) start[tiling.key(tap) + 1]++;
    for (int key = 0; key < tiling.keys(); key++) {
        if (start[key + 1]) {
            tile_sizes.push_back(start[key + 1]);
            tiles_per_colour[key / tiling.colour_keys()]++;
        }
        start[key + 1] += start[key];
    }
    for (const Tap &tap : taps) sorted[start[tiling.key(tap)]++] = tap;
}

std::vector<int64_t> running_total(const std::vector<int64_t> &sizes) {
    std::vector<int64_t> total(1, 0);
    for (int64_t size : sizes) total.push_back(total.back() + size);
    return total;
}

}  // namespace

TapTable make_taps(const PolarSamples &polar, int grid_points) {
    const Tiling tiling{2 * ((grid_points + 2 * kHalo + 2 * kTile - 1) / (2 * kTile))};
    const int64_t per_view = 2 * int64_t(polar.harmonics) - 1;
    const int chunks = (polar.views + polar.chunk_views - 1) / polar.chunk_views;
    TapTable table;
    table.taps.resize(per_view * polar.views);
    std::vector<std::vector<int64_t>> tile_sizes(chunks);
    std::vector<int64_t> group_sizes(4 * size_t(chunks), 0);
#pragma omp parallel for schedule(dynamic, 1)
    for (int chunk = 0; chunk < chunks; chunk++) {
        const int first = chunk * polar.chunk_views, last = std::min(polar.views, first + polar.chunk_views);
        std::vector<Tap> taps(per_view * (last - first));
        for (int view = first; view < last; view++)
            place_view(polar, grid_points, view, (view - first) * polar.padded, &taps[(view - first) * per_view]);
        sort_chunk(tiling, taps, &table.taps[first * per_view], tile_sizes[chunk], &group_sizes[4 * size_t(chunk)]);
    }
    std::vector<int64_t> all_sizes;
    for (const auto &sizes : tile_sizes) all_sizes.insert(all_sizes.end(), sizes.begin(), sizes.end());
    table.tile_start = running_total(all_sizes);
    table.group_start = running_total(group_sizes);
    return table;
}

}  // namespace deltamu
