// Pixels of one frame that are brighter than in the frames before and after it.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "dispatch.h"
#include "portable.h"

namespace py = pybind11;
using Plane = py::array_t<float, py::array::c_style>;
using Mask = py::array_t<std::uint8_t, py::array::c_style>;
using Index = deltamu::Place;

namespace {

// A pixel above the brighter of its neighbours in time (once) or above the darker one (twice), by the whole threshold
// or by half of it.
constexpr std::uint8_t ONCE = 1, ONCE_HALF = 2, TWICE = 4, TWICE_HALF = 8, BESIDE = 16;

struct Series {
    const float *frame, *before, *after;
    const float *offset, *slope;  // variance = offset + slope * level
    float once2, twice2;          // thresholds squared
};

DELTAMU_DISPATCH
void compare(const Series &s, Index size, std::uint8_t *level) {
    const float *frame = s.frame, *before = s.before, *after = s.after, *offset = s.offset, *slope = s.slope;
    const float once2 = s.once2, twice2 = s.twice2;
    for (Index p = 0; p < size; ++p) {
        const float dark = std::min(before[p], after[p]), bright = std::max(before[p], after[p]);
        const float over_dark = std::max(frame[p] - dark, 0.0f), over_bright = std::max(frame[p] - bright, 0.0f);
        const float once = once2 * (offset[p] + slope[p] * std::max(bright, 0.0f));
        const float twice = twice2 * (offset[p] + slope[p] * std::max(dark, 0.0f));
        const float above2 = over_bright * over_bright, below2 = over_dark * over_dark;
        level[p] = static_cast<std::uint8_t>((above2 > once ? ONCE : 0) | (4 * above2 > once ? ONCE_HALF : 0) |
                                             (below2 > twice ? TWICE : 0) | (4 * below2 > twice ? TWICE_HALF : 0));
    }
}

// Flag the neighbours of a seed that exceed half the threshold in the way it does.
void flag_beside(std::uint8_t *level, Index rows, Index columns, Index p) {
    const Index r = p / columns, c = p % columns;
    const int wanted = (level[p] & ONCE ? ONCE_HALF : 0) | (level[p] & TWICE ? TWICE_HALF : 0);
    for (Index i = std::max<Index>(r - 1, 0); i <= std::min(r + 1, rows - 1); ++i)
        for (Index j = std::max<Index>(c - 1, 0); j <= std::min(c + 1, columns - 1); ++j)
            if (level[i * columns + j] & wanted) level[i * columns + j] |= BESIDE;
}

// Seeds are rare: eight pixels are passed at a time.
bool has_seed(const std::uint8_t *level, Index count) {
    constexpr std::uint64_t SEEDS = 0x0101010101010101u * (ONCE | TWICE);
    std::uint64_t eight = 0;
    std::memcpy(&eight, level, static_cast<std::size_t>(count));
    return eight & SEEDS;
}

void find_flashes(const Plane &frame, const Plane &before, const Plane &after, const Plane &offset, const Plane &slope,
                  float once, float twice, Mask mask) {
    if (frame.ndim() != 2) throw std::invalid_argument("frame: expected (row, column)");
    for (const auto *other : {&before, &after, &offset, &slope})
        if (other->size() != frame.size()) throw std::invalid_argument("find_flashes: expected arrays of one shape");
    if (mask.size() != frame.size()) throw std::invalid_argument("mask: must have the shape of the frame");
    const Index rows = frame.shape(0), columns = frame.shape(1), size = rows * columns;
    const Series series{frame.data(), before.data(), after.data(), offset.data(),
                        slope.data(), once * once,   twice * twice};
    std::uint8_t *level = mask.mutable_data();
    py::gil_scoped_release release;
    compare(series, size, level);
    for (Index first = 0; first < size; first += 8) {
        const Index count = std::min<Index>(8, size - first);
        if (!has_seed(level + first, count)) continue;
        for (Index p = first; p < first + count; ++p)
            if (level[p] & (ONCE | TWICE)) flag_beside(level, rows, columns, p);
    }
    for (Index p = 0; p < size; ++p) level[p] = (level[p] & (ONCE | TWICE | BESIDE)) != 0;
}

}  // namespace

void bind_flashes(py::module_ &module) {
    using py::arg;
    module.def("find_flashes", &find_flashes, arg("frame").noconvert(), arg("before").noconvert(),
               arg("after").noconvert(), arg("offset").noconvert(), arg("slope").noconvert(), arg("once"), arg("twice"),
               arg("mask").noconvert());
}
