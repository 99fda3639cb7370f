// Bright spots in frames (n, row, column), and the medians of small neighbourhoods.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstring>
#include <stdexcept>
#include <vector>

#include "dispatch.h"
#include "spots.h"

namespace py = pybind11;
using Frames = py::array_t<float, py::array::c_style>;
using Mask = py::array_t<std::uint8_t, py::array::c_style>;
using Index = std::ptrdiff_t;

namespace {

struct Frame {
    const float *data;
    Index rows, columns;
    float at(Index row, Index column) const { return data[row * columns + column]; }
    float mirrored(Index row, Index column) const {
        return at(spots::reflect(row, rows), spots::reflect(column, columns));
    }
};

struct Noise {
    const float *offset, *slope;  // variance = offset + slope * level, one map each
    float k2;                     // threshold squared
};

float line_support(const Frame &frame, Index r, Index c) {
    constexpr Index d = spots::REACH;
    return spots::line_support(frame.mirrored(r, c - d), frame.mirrored(r, c + d), frame.mirrored(r - d, c),
                               frame.mirrored(r + d, c), frame.mirrored(r - d, c - d), frame.mirrored(r + d, c + d),
                               frame.mirrored(r - d, c + d), frame.mirrored(r + d, c - d));
}

// Candidates of one row: the test that nearly every pixel fails, on straight vectors where the row allows it.
DELTAMU_DISPATCH
void mark_candidates(const float *row, const float *up, const float *down, const float *offset, const float *slope,
                     float k2, Index columns, std::uint8_t *candidate) {
    constexpr Index d = spots::REACH;
    for (Index c = d; c < columns - d; ++c) {
        const float support = spots::line_support(row[c - d], row[c + d], up[c], down[c], up[c - d], down[c + d],
                                                  up[c + d], down[c - d]);
        candidate[c] = spots::stands_out(row[c], support, offset[c], slope[c], k2);
    }
}

// The level a pixel has to exceed: all but the few brightest pixels at distance REACH that lie in the frame.
float surrounding_level(const Frame &frame, Index r, Index c) {
    constexpr Index d = spots::REACH;
    float ring[8 * d];
    int n = 0;
    for (Index i = std::max<Index>(r - d, 0); i <= std::min(r + d, frame.rows - 1); ++i)
        for (Index j = std::max<Index>(c - d, 0); j <= std::min(c + d, frame.columns - 1); ++j)
            if (std::abs(i - r) == d || std::abs(j - c) == d) ring[n++] = frame.at(i, j);
    if (n == 0) return frame.at(r, c);
    const int rank = std::max(n - 1 - spots::FORGIVEN * n / static_cast<int>(8 * d), 0);
    std::nth_element(ring, ring + rank, ring + n);
    return ring[rank];
}

// The wings of a spot: neighbours of a flagged pixel that exceed half the threshold.
void flag_wings(const Frame &frame, const Noise &noise, Index r, Index c, float level, std::uint8_t *mask) {
    for (Index i = std::max<Index>(r - 1, 0); i <= std::min(r + 1, frame.rows - 1); ++i)
        for (Index j = std::max<Index>(c - 1, 0); j <= std::min(c + 1, frame.columns - 1); ++j) {
            const Index p = i * frame.columns + j;
            if (spots::stands_out(frame.data[p], level, noise.offset[p], noise.slope[p], 0.25f * noise.k2)) mask[p] = 1;
        }
}

void find_in_frame(const Frame &frame, const Noise &noise, std::uint8_t *mask, std::vector<std::uint8_t> &candidate) {
    constexpr Index d = spots::REACH;
    const Index columns = frame.columns;
    std::memset(mask, 0, static_cast<std::size_t>(frame.rows * columns));
    for (Index r = 0; r < frame.rows; ++r) {
        const Index start = r * columns;
        const float *up = frame.data + spots::reflect(r - d, frame.rows) * columns;
        const float *down = frame.data + spots::reflect(r + d, frame.rows) * columns;
        mark_candidates(frame.data + start, up, down, noise.offset + start, noise.slope + start, noise.k2, columns,
                        candidate.data());
        for (Index c = 0; c < columns; ++c) {
            const Index p = start + c;
            if (c < d || c >= columns - d)
                candidate[c] = spots::stands_out(frame.data[p], line_support(frame, r, c), noise.offset[p],
                                                 noise.slope[p], noise.k2);
            if (!candidate[c]) continue;
            const float level = surrounding_level(frame, r, c);
            if (spots::stands_out(frame.data[p], level, noise.offset[p], noise.slope[p], noise.k2))
                flag_wings(frame, noise, r, c, level, mask);
        }
    }
}

// Median of the pixels that are not flagged, in the smallest window that holds enough of them.
float unflagged_median(const Frame &frame, const std::uint8_t *mask, Index r, Index c, std::vector<float> &values) {
    constexpr std::size_t ENOUGH = 6;
    const Index largest = std::max(frame.rows, frame.columns);
    for (Index radius = 2;; ++radius) {
        values.clear();
        for (Index i = std::max<Index>(r - radius, 0); i <= std::min(r + radius, frame.rows - 1); ++i)
            for (Index j = std::max<Index>(c - radius, 0); j <= std::min(c + radius, frame.columns - 1); ++j)
                if (!mask[i * frame.columns + j]) values.push_back(frame.at(i, j));
        if (values.size() >= ENOUGH || radius > largest) break;
    }
    return values.empty() ? frame.at(r, c) : spots::median(values.data(), static_cast<int>(values.size()));
}

void require_frames(const Frames &frames) {
    if (frames.ndim() != 3) throw std::invalid_argument("frames: expected (n, row, column)");
}

void find_spots(const Frames &frames, const Frames &offset, const Frames &slope, float threshold, Mask mask) {
    require_frames(frames);
    const Index n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2), size = rows * columns;
    if (offset.size() != size || slope.size() != size || mask.size() != n * size)
        throw std::invalid_argument("find_spots: the noise maps and the mask must fit the frames");
    const float *data = frames.data();
    const Noise noise{offset.data(), slope.data(), threshold * threshold};
    std::uint8_t *flags = mask.mutable_data();
    py::gil_scoped_release release;
#pragma omp parallel
    {
        std::vector<std::uint8_t> candidate(static_cast<std::size_t>(columns));
#pragma omp for schedule(static)
        for (Index k = 0; k < n; ++k)
            find_in_frame({data + k * size, rows, columns}, noise, flags + k * size, candidate);
    }
}

// Only flagged pixels are written and only unflagged ones are read, so it works in place in any order.
void fill_flagged(Frames frames, const Mask &mask) {
    require_frames(frames);
    if (mask.size() != frames.size()) throw std::invalid_argument("mask: must have the shape of the frames");
    const Index n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2), size = rows * columns;
    float *data = frames.mutable_data();
    const std::uint8_t *flags = mask.data();
    py::gil_scoped_release release;
#pragma omp parallel
    {
        std::vector<float> values;
#pragma omp for schedule(static)
        for (Index k = 0; k < n; ++k) {
            const Frame frame{data + k * size, rows, columns};
            const std::uint8_t *flag = flags + k * size;
            const std::uint8_t *end = flag + size;
            for (const std::uint8_t *hit = flag; hit < end; ++hit) {
                hit = static_cast<const std::uint8_t *>(std::memchr(hit, 1, static_cast<std::size_t>(end - hit)));
                if (!hit) break;
                const Index p = hit - flag;
                data[k * size + p] = unflagged_median(frame, flag, p / columns, p % columns, values);
            }
        }
    }
}

void local_median(const Frames &frames, Index window, Frames result) {
    require_frames(frames);
    if (result.size() != frames.size()) throw std::invalid_argument("result: must have the shape of the frames");
    const Index n = frames.shape(0), rows = frames.shape(1), columns = frames.shape(2), half = window / 2;
    const float *data = frames.data();
    float *out = result.mutable_data();
    py::gil_scoped_release release;
#pragma omp parallel for schedule(static)
    for (Index line = 0; line < n * rows; ++line) {
        const Frame frame{data + line / rows * rows * columns, rows, columns};
        std::vector<float> values(static_cast<std::size_t>(window * window));
        for (Index c = 0; c < columns; ++c) {
            int count = 0;
            for (Index i = -half; i <= half; ++i)
                for (Index j = -half; j <= half; ++j) values[count++] = frame.mirrored(line % rows + i, c + j);
            out[line * columns + c] = spots::median(values.data(), count);
        }
    }
}

// Running median along each line: the window is kept sorted, one value leaves and one enters.
void slide_median(const float *line, Index columns, Index window, float *sorted, float *out) {
    const Index half = window / 2;
    for (Index j = 0; j < window; ++j) sorted[j] = line[spots::reflect(j - half, columns)];
    std::sort(sorted, sorted + window);
    for (Index c = 0;; ++c) {
        out[c] = sorted[half];
        if (c + 1 == columns) return;
        const float leaves = line[spots::reflect(c - half, columns)];
        const float enters = line[spots::reflect(c + half + 1, columns)];
        float *slot = std::lower_bound(sorted, sorted + window, leaves);
        for (; slot + 1 < sorted + window && slot[1] < enters; ++slot) *slot = slot[1];
        for (; slot > sorted && slot[-1] > enters; --slot) *slot = slot[-1];
        *slot = enters;
    }
}

void running_median(const Frames &lines, Index window, Frames result) {
    if (lines.ndim() != 2 || result.size() != lines.size())
        throw std::invalid_argument("lines: expected (line, column), and a result of the same shape");
    if (window < 1 || window % 2 == 0) throw std::invalid_argument("window: expected an odd number");
    const Index n = lines.shape(0), columns = lines.shape(1);
    const float *data = lines.data();
    float *out = result.mutable_data();
    py::gil_scoped_release release;
#pragma omp parallel
    {
        std::vector<float> sorted(static_cast<std::size_t>(window));
#pragma omp for schedule(static)
        for (Index k = 0; k < n; ++k)
            slide_median(data + k * columns, columns, window, sorted.data(), out + k * columns);
    }
}

}  // namespace

void bind_spots(py::module_ &module) {
    using py::arg;
    module.def("find_spots", &find_spots, arg("frames").noconvert(), arg("offset").noconvert(),
               arg("slope").noconvert(), arg("threshold"), arg("mask").noconvert());
    module.def("fill_flagged", &fill_flagged, arg("frames").noconvert(), arg("mask").noconvert());
    module.def("local_median", &local_median, arg("frames").noconvert(), arg("window"), arg("result").noconvert());
    module.def("running_median", &running_median, arg("lines").noconvert(), arg("window"), arg("result").noconvert());
}
