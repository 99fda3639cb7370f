// Parallel-beam projection by Joseph's method (IEEE Trans. Med. Imaging 1, 1982) and its exact transpose.
//
// Every slice sees the same rays, so a block of slices rides innermost in memory: one interpolation weight serves
// LANES slices, and a ray's samples are whole vectors. A rim of zeros, one voxel (or the reach of a voxel in
// columns) wide, takes the place of bounds checks.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "project.h"
#include "slice_block.h"

namespace py = pybind11;
using deltamu::add_between;
using deltamu::add_scaled;
using deltamu::Detector;
using deltamu::Index;
using deltamu::LANES;
using deltamu::SliceBlock;
using deltamu::Slices;
using deltamu::View;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

// What a patch of rays meets on a strip of lines, 40 kB, stays in or near the first cache while some views pass.
constexpr Index STRIP = 8;
constexpr Index PATCH = 32;
constexpr Index VIEWS_AT_A_TIME = 16;
// So does what some views show of a row of a square tile of voxels.
constexpr Index TILE = 32;
constexpr Index VIEWS_OF_A_TILE = 8;

// Rays of one view as they cross a strip of lines, `first` to `last` (exclusive), of the grid.
struct Strip {
    Strip(const SliceBlock &volume, const View &view, const Detector &detector, Index first, Index last)
        : view(view), detector(detector), first(first), last(last),
          across_size(view.marches_y ? volume.columns() : volume.rows()),
          march_stride(view.marches_y ? volume.stride() : 1), across_stride(view.marches_y ? 1 : volume.stride()),
          slope(view.slope()), origin(volume.at(0, 0) + first * march_stride) {}

    double start(Index column) const {
        return view.across_at_first_line((static_cast<double>(column) - view.center) * detector.pitch);
    }
    // The first column from where the middle of the strip is seen at `across`.
    Index first_column(double across) const {
        const double middle = 0.5 * static_cast<double>(first + last - 1);
        const double column = view.distance(middle, across) / detector.pitch + view.center;
        return static_cast<Index>(std::ceil(std::clamp(column, 0.0, static_cast<double>(detector.columns))));
    }

    const View &view;
    const Detector &detector;
    const Index first, last, across_size, march_stride, across_stride;
    const double slope;
    const Slices *const origin;
};

// What a ray collects in a strip that it may enter or leave.
inline Slices collect_checked(const Strip &strip, double start) {
    Slices sum{};
    const double end = static_cast<double>(strip.across_size);
    for (Index j = strip.first; j < strip.last; ++j) {
        const double u = start + strip.slope * static_cast<double>(j);
        if (!(u > -1 && u < end)) continue;
        // u + 1 may be rounded up to `end` + 1, beyond the rim
        const Index i = std::min(static_cast<Index>(u + 1), strip.across_size) - 1;
        const Slices *sample = strip.origin + (j - strip.first) * strip.march_stride + i * strip.across_stride;
        add_between(sum, sample[0], sample[strip.across_stride], static_cast<float>(u - static_cast<double>(i)));
    }
    return sum;
}

// Where the rays of a patch cross the lines of a strip: found before they collect, else vectors wait for places.
struct Crossings {
    std::int32_t place[STRIP][PATCH];
    float fraction[STRIP][PATCH], rest[STRIP][PATCH];
};

inline void find_crossings(const Strip &strip, const double *start, Crossings &found) {
    for (Index j = 0; j < STRIP; ++j) {
        const double along = strip.slope * static_cast<double>(strip.first + j);
        for (Index d = 0; d < PATCH; ++d) {
            const double u = start[d] + along;
            const std::int32_t place = static_cast<std::int32_t>(u);
            const float fraction = static_cast<float>(u - static_cast<double>(place));
            found.place[j][d] = place;
            found.fraction[j][d] = fraction;
            found.rest[j][d] = 1 - fraction;
        }
    }
}

// Adds what rays k0 to k1 (exclusive) of a patch collect, which stay between voxels on all STRIP lines.
// A function of its own, so that there is a register for every sum.
DELTAMU_DISPATCH void collect(const Slices *origin, Index march_stride, Index across_stride, float length,
                              const Crossings &at, Index k0, Index k1, Slices *columns) {
    for (Index k = k0; k < k1; ++k) {
        Slices near{}, far{};
        const Slices *line = origin;
        for (Index j = 0; j < STRIP; ++j, line += march_stride) {
            const Slices *sample = line + at.place[j][k] * across_stride;
            add_scaled(near, sample[0], at.rest[j][k]);
            add_scaled(far, sample[across_stride], at.fraction[j][k]);
        }
        add_scaled(near, far, 1);
        add_scaled(columns[k], near, length);
    }
}

// Adds to columns d0 to d1 (exclusive) of one view, PATCH at most, what their rays collect in a strip.
DELTAMU_DISPATCH void project_patch(const Strip &strip, Index d0, Index d1, Slices *columns) {
    const double end = static_cast<double>(strip.across_size);
    const float length = static_cast<float>(strip.view.length_per_step());
    const double enters = strip.slope * static_cast<double>(strip.first);
    const double leaves = strip.slope * static_cast<double>(strip.last - 1);
    const double low = std::min(enters, leaves), high = std::max(enters, leaves);
    double start[PATCH];
    const double start0 = strip.start(d0), per_column = strip.detector.pitch / strip.view.across_weight;
    for (std::int32_t k = 0; k < PATCH; ++k) start[k] = start0 + per_column * static_cast<double>(k);
    const auto inside = [&](Index k) { return start[k] + low >= 0 && start[k] + high < end - 1; };
    const Index count = d1 - d0;
    Index k0 = 0, k1 = strip.last - strip.first == STRIP ? count : 0;
    while (k0 < k1 && !inside(k0)) ++k0;
    while (k0 < k1 && !inside(k1 - 1)) --k1;
    if (k0 < k1) {
        Crossings at;
        find_crossings(strip, start, at);
        collect(strip.origin, strip.march_stride, strip.across_stride, length, at, k0, k1, columns + d0);
    }
    for (Index k = 0; k < count; ++k) {
        if (k == k0) k = std::max(k0, k1);
        if (k < count && start[k] + high > -1 && start[k] + low < end)
            add_scaled(columns[d0 + k], collect_checked(strip, start[k]), length);
    }
}

// Adds to some views what their rays collect in a strip, patch by patch across it.
void project_strip(const SliceBlock &volume, const std::vector<View> &views, const Detector &detector, Index a0,
                   Index a1, bool marches_y, Index first, SliceBlock &sinogram) {
    const Index last = std::min(marches_y ? volume.rows() : volume.columns(), first + STRIP);
    const Index across_size = marches_y ? volume.columns() : volume.rows();
    std::vector<Strip> strips;
    std::vector<Slices *> columns;
    for (Index a = a0; a < a1; ++a) {
        if (views[a].marches_y != marches_y) continue;
        strips.emplace_back(volume, views[a], detector, first, last);
        columns.push_back(sinogram.at(a, 0));
    }
    // the outermost patches have all further columns: their rays may touch the volume with an end
    const auto bound = [&](const Strip &strip, Index patch) {
        const bool rightwards = strip.view.across_weight > 0;
        if (patch == 0) return rightwards ? Index{0} : detector.columns;
        if (patch * PATCH >= across_size) return rightwards ? detector.columns : Index{0};
        return strip.first_column(static_cast<double>(patch * PATCH));
    };
    for (Index patch = 0; patch * PATCH < across_size; ++patch)
        for (std::size_t k = 0; k < strips.size(); ++k) {
            const Index one = bound(strips[k], patch), other = bound(strips[k], patch + 1);
            for (Index d = std::min(one, other), to = std::max(one, other); d < to; d += PATCH)
                project_patch(strips[k], d, std::min(to, d + PATCH), columns[k]);
        }
}

void project_block(const SliceBlock &volume, const std::vector<View> &views, const Detector &detector,
                   SliceBlock &sinogram) {
    const Index count = static_cast<Index>(views.size());
#pragma omp parallel for schedule(dynamic, 1)
    for (Index a0 = 0; a0 < count; a0 += VIEWS_AT_A_TIME) {
        const Index a1 = std::min(count, a0 + VIEWS_AT_A_TIME);
        for (Index a = a0; a < a1; ++a) sinogram.clear_row(a);
        for (const bool marches_y : {true, false}) {
            const Index lines = marches_y ? volume.rows() : volume.columns();
            for (Index first = 0; first < lines; first += STRIP)
                project_strip(volume, views, detector, a0, a1, marches_y, first, sinogram);
        }
    }
}

// Columns on either side of a voxel's shadow whose rays can pass within one voxel of it.
Index reach(const Detector &detector) { return static_cast<Index>(std::ceil(1 / detector.pitch)); }

// Where the voxels of a row are seen in some views: for each the first of the columns it reaches, and their weights.
class Footprints {
   public:
    explicit Footprints(Index taps)
        : taps(taps), first_(static_cast<std::size_t>(VIEWS_OF_A_TILE * TILE)),
          weight_(static_cast<std::size_t>(VIEWS_OF_A_TILE * TILE * taps)) {}

    std::int32_t *first(Index view) { return &first_[view * TILE]; }
    const std::int32_t *first(Index view) const { return &first_[view * TILE]; }
    float *weight(Index view, Index tap) { return &weight_[(view * taps + tap) * TILE]; }
    const float *weight(Index view, Index tap) const { return &weight_[(view * taps + tap) * TILE]; }

    const Index taps;

   private:
    std::vector<std::int32_t> first_;
    std::vector<float> weight_;
};

// Weights are those of project_patch, rounded otherwise. What is not seen is sent to the rim of zeros.
DELTAMU_DISPATCH void see_row(const View &view, const Detector &detector, Index y, Index x0, Index place,
                              Footprints &seen) {
    const Index reached = reach(detector);
    const std::int32_t back = static_cast<std::int32_t>(2 * reached - 1);
    const double wide = static_cast<double>(reached);
    // from there on all columns that are reached are in the rim
    const double before = -wide - 1, beyond = static_cast<double>(detector.columns) + wide - 0.5;
    const double per_step = view.length_per_step();
    const float voxels_per_column = static_cast<float>(detector.pitch * per_step);
    const float length = static_cast<float>(per_step);
    const double row = static_cast<double>(y), left = static_cast<double>(x0);
    const double distance = view.marches_y ? view.distance(row, left) : view.distance(left, row);
    const double at_left = distance / detector.pitch + view.center;
    const double per_voxel = (view.marches_y ? view.across_weight : view.march_weight) / detector.pitch;
    std::int32_t *first = seen.first(place);
    float shadow[TILE];
    for (std::int32_t x = 0; x < TILE; ++x) {
        const double s = at_left + per_voxel * static_cast<double>(x);
        const double later = s > before ? s : before;
        const double within = later < beyond ? later : beyond;
        first[x] = static_cast<std::int32_t>(within + wide) - back;
        shadow[x] = static_cast<float>(within - static_cast<double>(first[x]));
    }
    for (Index tap = 0; tap < seen.taps; ++tap) {
        float *weight = seen.weight(place, tap);
        const float column = static_cast<float>(tap);
        for (Index x = 0; x < TILE; ++x) {
            const float share = 1 - std::fabs(column - shadow[x]) * voxels_per_column;
            weight[x] = (share > 0 ? share : 0) * length;
        }
    }
}

// Adds the share of `views` views, whose columns lie `stride` apart, to the voxels x0 to x1 (exclusive) of a row.
DELTAMU_DISPATCH void gather_row(const Slices *columns, Index stride, Index views, const Footprints &seen, Index x0,
                                 Index x1, Slices *voxels) {
    for (Index x = x0; x < x1; ++x) {
        Slices sum = voxels[x];
        for (Index a = 0; a < views; ++a) {
            const Slices *column = columns + a * stride + seen.first(a)[x];
            for (Index tap = 0; tap < seen.taps; ++tap) add_scaled(sum, column[tap], seen.weight(a, tap)[x]);
        }
        voxels[x] = sum;
    }
}

// The same where a voxel reaches two columns, for two voxels in turn: each sum alone would wait for its last addition.
DELTAMU_DISPATCH void gather_pairs(const Slices *columns, Index stride, Index views, const Footprints &seen,
                                   Index pairs, Slices *voxels) {
    for (Index x = 0; x < 2 * pairs; x += 2) {
        Slices one = voxels[x], other = voxels[x + 1];
        const std::int32_t *first = seen.first(0) + x;
        const float *weight = seen.weight(0, 0) + x;
        const Slices *view = columns;
        for (Index a = 0; a < views; ++a, first += TILE, weight += 2 * TILE, view += stride) {
            const Slices *left = view + first[0], *right = view + first[1];
            add_scaled(one, left[0], weight[0]);
            add_scaled(other, right[0], weight[1]);
            add_scaled(one, left[1], weight[TILE]);
            add_scaled(other, right[1], weight[TILE + 1]);
        }
        voxels[x] = one;
        voxels[x + 1] = other;
    }
}

void backproject_tile(const SliceBlock &sinogram, const std::vector<View> &views, const Detector &detector,
                      SliceBlock &volume, Index y0, Index x0) {
    const Index y1 = std::min(volume.rows(), y0 + TILE), x1 = std::min(volume.columns(), x0 + TILE);
    for (Index y = y0; y < y1; ++y) std::fill(volume.at(y, x0), volume.at(y, x1 - 1) + 1, Slices{});
    const Index count = static_cast<Index>(views.size());
    Footprints seen(2 * reach(detector));
    const Index paired = seen.taps == 2 ? (x1 - x0) / 2 * 2 : 0;
    for (Index a0 = 0; a0 < count; a0 += VIEWS_OF_A_TILE) {
        const Index together = std::min(VIEWS_OF_A_TILE, count - a0);
        for (Index y = y0; y < y1; ++y) {
            for (Index a = 0; a < together; ++a) see_row(views[a0 + a], detector, y, x0, a, seen);
            const Slices *columns = sinogram.at(a0, 0);
            gather_pairs(columns, sinogram.stride(), together, seen, paired / 2, volume.at(y, x0));
            gather_row(columns, sinogram.stride(), together, seen, paired, x1 - x0, volume.at(y, x0));
        }
    }
}

void backproject_block(const SliceBlock &sinogram, const std::vector<View> &views, const Detector &detector,
                       SliceBlock &volume) {
#pragma omp parallel for schedule(dynamic, 1) collapse(2)
    for (Index y = 0; y < volume.rows(); y += TILE)
        for (Index x = 0; x < volume.columns(); x += TILE)
            backproject_tile(sinogram, views, detector, volume, y, x);
}

std::vector<View> views_of(const DoubleArray &angles, const DoubleArray &centers, Index ny, Index nx) {
    std::vector<View> views;
    for (Index a = 0; a < angles.shape(0); ++a)
        views.emplace_back(std::cos(angles.at(a)), std::sin(angles.at(a)), centers.at(a), ny, nx);
    return views;
}

void check_shapes(const FloatArray &volume, const FloatArray &sinogram, const DoubleArray &angles,
                  const DoubleArray &centers, double pitch) {
    if (volume.ndim() != 3 || sinogram.ndim() != 3 || angles.ndim() != 1 || volume.shape(0) != sinogram.shape(1) ||
        angles.shape(0) != sinogram.shape(0) || centers.ndim() != 1 || centers.shape(0) != angles.shape(0))
        throw py::value_error("project: expected a volume (z, y, x), sinograms (angle, z, column) and their angles");
    if (!(pitch > 0)) throw py::value_error("project: pixel_in_voxels must be positive");
}

void project(const FloatArray &volume, const DoubleArray &angles, const DoubleArray &centers, double pitch, float length,
             FloatArray sinogram) {
    check_shapes(volume, sinogram, angles, centers, pitch);
    const Index nz = volume.shape(0), ny = volume.shape(1), nx = volume.shape(2);
    const Detector detector{sinogram.shape(2), pitch};
    const std::vector<View> views = views_of(angles, centers, ny, nx);
    const float *source = volume.data();
    float *target = sinogram.mutable_data();
    py::gil_scoped_release release;
    SliceBlock block(ny, nx, 1, 1), rays(static_cast<Index>(views.size()), detector.columns, 0, 0);
    for (Index z = 0; z < nz; z += LANES) {
        const Index slices = std::min(LANES, nz - z);
        block.pack(source + z * ny * nx, slices, nx, ny * nx);
        project_block(block, views, detector, rays);
        rays.unpack(target + z * detector.columns, slices, nz * detector.columns, detector.columns, length);
    }
}

void backproject(const FloatArray &sinogram, const DoubleArray &angles, const DoubleArray &centers, double pitch, float length,
                 FloatArray volume) {
    check_shapes(volume, sinogram, angles, centers, pitch);
    const Index nz = volume.shape(0), ny = volume.shape(1), nx = volume.shape(2);
    const Detector detector{sinogram.shape(2), pitch};
    const std::vector<View> views = views_of(angles, centers, ny, nx);
    const float *source = sinogram.data();
    float *target = volume.mutable_data();
    py::gil_scoped_release release;
    SliceBlock block(ny, nx, 0, 0), rays(static_cast<Index>(views.size()), detector.columns, 0, 2 * reach(detector));
    for (Index z = 0; z < nz; z += LANES) {
        const Index slices = std::min(LANES, nz - z);
        rays.pack(source + z * detector.columns, slices, nz * detector.columns, detector.columns);
        backproject_block(rays, views, detector, block);
        block.unpack(target + z * ny * nx, slices, nx, ny * nx, length);
    }
}

}  // namespace

void bind_project(py::module_ &module) {
    module.def("project", &project, py::arg("volume").noconvert(), py::arg("angles").noconvert(), py::arg("centers").noconvert(),
               py::arg("pitch"), py::arg("length"), py::arg("sinogram").noconvert());
    module.def("backproject", &backproject, py::arg("sinogram").noconvert(), py::arg("angles").noconvert(),
               py::arg("centers").noconvert(), py::arg("pitch"), py::arg("length"), py::arg("volume").noconvert());
}
