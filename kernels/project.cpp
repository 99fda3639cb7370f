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

namespace py = pybind11;
using deltamu::Detector;
using deltamu::View;
using Index = std::int64_t;
using FloatArray = py::array_t<float, py::array::c_style>;
using DoubleArray = py::array_t<double, py::array::c_style>;

namespace {

constexpr Index LANES = 32;
constexpr Index STRIP = 8;          // marching steps that stay in the cache while all columns of some views pass
constexpr Index VIEWS_AT_A_TIME = 16;
constexpr Index TILE = 32;          // edge of a square of voxels that back-projection works on

#if defined(__GNUC__)
typedef float Vector __attribute__((vector_size(32), aligned(32)));
constexpr Index VECTORS = LANES / 8;
struct Slices {
    Vector part[VECTORS];
};
#else
struct Slices {
    float part[LANES];
};
constexpr Index VECTORS = LANES;
#endif

inline void add_scaled(Slices &sum, const Slices &value, float weight) {
    for (Index k = 0; k < VECTORS; ++k) sum.part[k] += weight * value.part[k];
}

inline void add_between(Slices &sum, const Slices &a, const Slices &b, float fraction) {
    for (Index k = 0; k < VECTORS; ++k) sum.part[k] += a.part[k] + fraction * (b.part[k] - a.part[k]);
}

// A plane of voxels or of (view, column) samples, each the values of LANES slices, with a rim of zeros.
class SliceBlock {
   public:
    SliceBlock(Index rows, Index columns, Index row_rim, Index column_rim)
        : rows_(rows), columns_(columns), row_rim_(row_rim), column_rim_(column_rim),
          stride_(columns + 2 * column_rim), data_(static_cast<std::size_t>((rows + 2 * row_rim) * stride_)) {}

    Slices *at(Index row, Index column) { return &data_[(row + row_rim_) * stride_ + column + column_rim_]; }
    const Slices *at(Index row, Index column) const {
        return &data_[(row + row_rim_) * stride_ + column + column_rim_];
    }
    Index stride() const { return stride_; }
    Index rows() const { return rows_; }
    Index columns() const { return columns_; }

    // Element (row, column) of slice s stands at row * row_stride + s * slice_stride + column in `array`.
    void pack(const float *array, Index slices, Index row_stride, Index slice_stride) {
#pragma omp parallel for schedule(static)
        for (Index r = 0; r < rows_; ++r) {
            float *block = reinterpret_cast<float *>(at(r, 0));
            for (Index s = 0; s < LANES; ++s) {
                const float *line = array + r * row_stride + s * slice_stride;
                for (Index c = 0; c < columns_; ++c) block[c * LANES + s] = s < slices ? line[c] : 0.0f;
            }
        }
    }

    void unpack(float *array, Index slices, Index row_stride, Index slice_stride, float scale) const {
#pragma omp parallel for schedule(static)
        for (Index r = 0; r < rows_; ++r) {
            const float *block = reinterpret_cast<const float *>(at(r, 0));
            for (Index s = 0; s < slices; ++s) {
                float *line = array + r * row_stride + s * slice_stride;
                for (Index c = 0; c < columns_; ++c) line[c] = scale * block[c * LANES + s];
            }
        }
    }

    void clear_row(Index row) { std::fill(at(row, -column_rim_), at(row, columns_ + column_rim_ - 1) + 1, Slices{}); }

   private:
    Index rows_, columns_, row_rim_, column_rim_, stride_;
    std::vector<Slices> data_;
};

// Adds to every column of one view what its ray collects on lines `first` to `last` (exclusive) of the grid.
DELTAMU_DISPATCH void project_strip(const SliceBlock &volume, const View &view, const Detector &detector, Index first,
                                    Index last, Slices *columns) {
    const Index across_size = view.marches_y ? volume.columns() : volume.rows();
    const Index march_stride = view.marches_y ? volume.stride() : 1;
    const Index across_stride = view.marches_y ? 1 : volume.stride();
    const double slope = view.slope(), end = static_cast<double>(across_size);
    const float length = static_cast<float>(view.length_per_step());
    const Slices *origin = volume.at(0, 0);
    for (Index d = 0; d < detector.columns; ++d) {
        const double start = view.across_at_first_line((static_cast<double>(d) - view.center) * detector.pitch);
        const double u0 = start + slope * static_cast<double>(first), u1 = start + slope * static_cast<double>(last - 1);
        if (std::max(u0, u1) <= -1 || std::min(u0, u1) >= end) continue;
        Slices sum{};
        for (Index j = first; j < last; ++j) {
            const double u = start + slope * static_cast<double>(j);
            if (!(u > -1 && u < end)) continue;
            // u + 1 may be rounded up to `end` + 1, beyond the rim
            const Index i = std::min(static_cast<Index>(u + 1), across_size) - 1;
            const Slices *sample = origin + j * march_stride + i * across_stride;
            add_between(sum, sample[0], sample[across_stride], static_cast<float>(u - static_cast<double>(i)));
        }
        add_scaled(columns[d], sum, length);
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
                for (Index a = a0; a < a1; ++a)
                    if (views[a].marches_y == marches_y)
                        project_strip(volume, views[a], detector, first, std::min(lines, first + STRIP),
                                      sinogram.at(a, 0));
        }
    }
}

// Columns on either side of a voxel's shadow whose rays can pass within one voxel of it.
Index reach(const Detector &detector) { return static_cast<Index>(std::ceil(1 / detector.pitch)); }

// Where the voxels of a row are seen in some views: for each the first of the columns it reaches, and their weights.
class Footprints {
   public:
    explicit Footprints(Index taps)
        : taps(taps), first_(static_cast<std::size_t>(VIEWS_AT_A_TIME * TILE)),
          weight_(static_cast<std::size_t>(VIEWS_AT_A_TIME * TILE * taps)) {}

    std::int32_t *first(Index view) { return &first_[view * TILE]; }
    const std::int32_t *first(Index view) const { return &first_[view * TILE]; }
    float *weight(Index view, Index tap) { return &weight_[(view * taps + tap) * TILE]; }
    const float *weight(Index view, Index tap) const { return &weight_[(view * taps + tap) * TILE]; }

    const Index taps;

   private:
    std::vector<std::int32_t> first_;
    std::vector<float> weight_;
};

// Weights are exactly those of project_strip. What is not seen is sent to the rim of zeros.
DELTAMU_DISPATCH void see_row(const View &view, const Detector &detector, Index y, Index x0, Index x1, Index place,
                              Footprints &seen) {
    const double wide = static_cast<double>(reach(detector)), beyond = static_cast<double>(detector.columns - 1) + wide;
    const double column_per_length = 1 / detector.pitch, per_step = view.length_per_step();
    const double voxels_per_column = detector.pitch * per_step;
    std::int32_t *first = seen.first(place);
    double shadow[TILE];
    for (Index x = x0; x < x1; ++x) {
        const double along = static_cast<double>(view.marches_y ? y : x), across = static_cast<double>(view.marches_y ? x : y);
        const double s = view.distance(along, across) * column_per_length + view.center;
        const bool is_seen = s > -wide && s < beyond;
        shadow[x - x0] = is_seen ? s : -2 * wide - 1;
        first[x - x0] = is_seen ? static_cast<std::int32_t>(s + wide) - static_cast<std::int32_t>(2 * wide) + 1
                                : static_cast<std::int32_t>(-2 * wide);
    }
    for (Index tap = 0; tap < seen.taps; ++tap) {
        float *weight = seen.weight(place, tap);
        for (Index x = 0; x < x1 - x0; ++x) {
            const double column = static_cast<double>(first[x] + static_cast<std::int32_t>(tap));
            const double share = 1 - std::fabs(column - shadow[x]) * voxels_per_column;
            weight[x] = static_cast<float>((share > 0 ? share : 0) * per_step);
        }
    }
}

// Adds the share of `views` views, whose columns lie `stride` apart, to a row of `count` voxels.
DELTAMU_DISPATCH void gather_row(const Slices *columns, Index stride, Index views, const Footprints &seen, Index count,
                                 Slices *voxels) {
    for (Index x = 0; x < count; ++x) {
        Slices sum = voxels[x];
        for (Index a = 0; a < views; ++a) {
            const Slices *column = columns + a * stride + seen.first(a)[x];
            for (Index tap = 0; tap < seen.taps; ++tap) add_scaled(sum, column[tap], seen.weight(a, tap)[x]);
        }
        voxels[x] = sum;
    }
}

void backproject_tile(const SliceBlock &sinogram, const std::vector<View> &views, const Detector &detector,
                      SliceBlock &volume, Index y0, Index x0) {
    const Index y1 = std::min(volume.rows(), y0 + TILE), x1 = std::min(volume.columns(), x0 + TILE);
    for (Index y = y0; y < y1; ++y) std::fill(volume.at(y, x0), volume.at(y, x1 - 1) + 1, Slices{});
    const Index count = static_cast<Index>(views.size());
    Footprints seen(2 * reach(detector));
    for (Index a0 = 0; a0 < count; a0 += VIEWS_AT_A_TIME) {
        const Index together = std::min(VIEWS_AT_A_TIME, count - a0);
        for (Index y = y0; y < y1; ++y) {
            for (Index a = 0; a < together; ++a) see_row(views[a0 + a], detector, y, x0, x1, a, seen);
            gather_row(sinogram.at(a0, 0), sinogram.stride(), together, seen, x1 - x0, volume.at(y, x0));
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
