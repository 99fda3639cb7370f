// Bright spots in frames (n, row, column), and the medians of small neighbourhoods.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "dispatch.h"
#include "spots.h"

namespace py = pybind11;
using Frames = py::array_t<float, py::array::c_style>;
using Mask = py::array_t<std::uint8_t, py::array::c_style>;
using Index = deltamu::Place;
using spots::Frame;
using spots::Noise;

namespace {

// Median of n values (their order is lost); the mean of the middle two when n is even.
float median(float *values, int n) {
    float *middle = values + n / 2;
    std::nth_element(values, middle, values + n);
    return n % 2 ? *middle : 0.5f * (*middle + *std::max_element(values, middle));
}

// Call `work` with the index of every flag that is set; it may set later ones.
template <typename Work> void for_each_flag(const std::uint8_t *flags, Index size, Work work) {
    const std::uint8_t *end = flags + size;
    for (const std::uint8_t *hit = flags; hit < end; ++hit) {
        hit = static_cast<const std::uint8_t *>(std::memchr(hit, 1, static_cast<std::size_t>(end - hit)));
        if (!hit) return;
        work(static_cast<Index>(hit - flags));
    }
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
        for (Index c = 0; c < std::min(d, columns); ++c) candidate[c] = spots::is_candidate(frame, noise, r, c);
        for (Index c = std::max(columns - d, d); c < columns; ++c) candidate[c] = spots::is_candidate(frame, noise, r, c);
        for_each_flag(candidate.data(), columns, [&](Index c) { spots::judge(frame, noise, r, c, mask); });
    }
}

// Median of the pixels that are not flagged, in the smallest window that holds enough of them.
float unflagged_median(const Frame &frame, const std::uint8_t *mask, Index r, Index c, std::vector<float> &values) {
    const Index largest = std::max(frame.rows, frame.columns);
    for (Index radius = 2;; ++radius) {
        values.clear();
        for (Index i = std::max<Index>(r - radius, 0); i <= std::min(r + radius, frame.rows - 1); ++i)
            for (Index j = std::max<Index>(c - radius, 0); j <= std::min(c + radius, frame.columns - 1); ++j)
                if (!mask[i * frame.columns + j]) values.push_back(frame.at(i, j));
        if (values.size() >= static_cast<std::size_t>(spots::ENOUGH) || radius > largest) break;
    }
    return values.empty() ? frame.at(r, c) : median(values.data(), static_cast<int>(values.size()));
}

void fill_frame(const Frame &frame, const std::uint8_t *mask, float *out) {
    std::vector<float> values;
    for_each_flag(mask, frame.rows * frame.columns, [&](Index p) {
        out[p] = unflagged_median(frame, mask, p / frame.columns, p % frame.columns, values);
    });
}

// Look once more around what was flagged: the middle of a long track is protected by its ends until they are gone.
void find_again(const Frame &frame, const Noise &noise, std::uint8_t *mask, std::vector<float> &filled) {
    constexpr Index d = spots::REACH;
    const Index size = frame.rows * frame.columns;
    if (!std::memchr(mask, 1, static_cast<std::size_t>(size))) return;
    filled.assign(frame.data, frame.data + size);
    fill_frame(frame, mask, filled.data());
    const std::vector<std::uint8_t> first(mask, mask + size);
    const Frame clean{filled.data(), frame.rows, frame.columns};
    for_each_flag(first.data(), size, [&](Index p) {
        const Index r = p / frame.columns, c = p % frame.columns;
        for (Index i = std::max<Index>(r - d, 0); i <= std::min(r + d, frame.rows - 1); ++i)
            for (Index j = std::max<Index>(c - d, 0); j <= std::min(c + d, frame.columns - 1); ++j)
                if (!first[i * frame.columns + j] && spots::is_candidate(clean, noise, i, j)) spots::judge(clean, noise, i, j, mask);
    });
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
        std::vector<float> filled;
#pragma omp for schedule(static)
        for (Index k = 0; k < n; ++k) {
            const Frame frame{data + k * size, rows, columns};
            find_in_frame(frame, noise, flags + k * size, candidate);
            find_again(frame, noise, flags + k * size, filled);
        }
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
#pragma omp parallel for schedule(static)
    for (Index k = 0; k < n; ++k) fill_frame({data + k * size, rows, columns}, flags + k * size, data + k * size);
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
            out[line * columns + c] = median(values.data(), count);
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
