// Spots, and medians of small neighbourhoods. A thread takes one pixel; for a median of a fixed size it keeps the
// neighbourhood in registers.
#include "spots.h"

namespace spots {

using deltamu::Place;

inline void order(float &a, float &b) {
    const float low = smaller(a, b), high = larger(a, b);
    a = low;
    b = high;
}

// Median of an odd number of values, given one by one after the first N / 2 + 2 (those in `kept`): of the kept
// values the smallest and the largest cannot be the median, so they make room for the next one (Paeth 1990).
template <int N> __device__ float median_of(const float (&values)[N]) {
    constexpr int kKept = N / 2 + 2;
    float kept[kKept];
#pragma unroll
    for (int i = 0; i < kKept; ++i) kept[i] = values[i];
#pragma unroll
    for (int count = kKept; count > 2; --count) {
        // the smallest to the front, the largest to the end
#pragma unroll
        for (int i = 1; i < count; ++i) order(kept[0], kept[i]);
#pragma unroll
        for (int i = 1; i + 1 < count; ++i) order(kept[i], kept[count - 1]);
        const int next = N - count + 3;
        kept[0] = next < N ? values[next < N ? next : 0] : kept[count - 2];
    }
    return kept[0];
}

template <int Size>
__global__ void local_median(const float *__restrict__ frames, Place count, Place rows, Place columns,
                             float *__restrict__ result) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (column >= columns || row >= rows) return;
    for (Place k = blockIdx.z; k < count; k += gridDim.z) {
        const float *frame = frames + k * rows * columns;
        float values[Size * Size];
#pragma unroll
        for (int i = 0; i < Size; ++i) {
            const float *line = frame + reflect(row + i - Size / 2, rows) * columns;
#pragma unroll
            for (int j = 0; j < Size; ++j) values[i * Size + j] = line[reflect(column + j - Size / 2, columns)];
        }
        result[(k * rows + row) * columns + column] = median_of(values);
    }
}

// Median of `window` neighbours along a line: the value that no more than half of them are below, nor above.
__global__ void running_median(const float *__restrict__ lines, Place count, Place columns, Place window,
                               float *__restrict__ result) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x, half = window / 2;
    if (column >= columns) return;
    for (Place k = blockIdx.y; k < count; k += gridDim.y) {
        const float *line = lines + k * columns;
        for (Place i = -half; i <= half; ++i) {
            const float candidate = line[reflect(column + i, columns)];
            Place below = 0, equal = 0;
            for (Place j = -half; j <= half; ++j) {
                const float other = line[reflect(column + j, columns)];
                below += other < candidate ? 1 : 0;
                equal += other == candidate ? 1 : 0;
            }
            if (below <= half && below + equal > half) {
                result[k * columns + column] = candidate;
                break;
            }
        }
    }
}

// Flag the spots of frames; `mask` is zero. Threads write nothing but ones, so their order does not matter.
__global__ void find(const float *__restrict__ frames, Place count, Place rows, Place columns,
                     const float *__restrict__ offset, const float *__restrict__ slope, float k2, unsigned char *mask) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (column >= columns || row >= rows) return;
    const Noise noise{offset, slope, k2};
    for (Place k = blockIdx.z; k < count; k += gridDim.z) {
        const Frame frame{frames + k * rows * columns, rows, columns};
        if (is_candidate(frame, noise, row, column)) judge(frame, noise, row, column, mask + k * rows * columns);
    }
}

inline bool any_near(const unsigned char *flags, const Frame &frame, Place row, Place column) {
    for (Place i = row - REACH; i <= row + REACH; ++i)
        for (Place j = column - REACH; j <= column + REACH; ++j)
            if (frame.has(i, j) && flags[i * frame.columns + j]) return true;
    return false;
}

// Look once more, in frames whose first spots are filled, around what was flagged first.
__global__ void find_again(const float *__restrict__ filled, Place count, Place rows, Place columns,
                           const float *__restrict__ offset, const float *__restrict__ slope, float k2,
                           const unsigned char *__restrict__ first, unsigned char *mask) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (column >= columns || row >= rows) return;
    const Noise noise{offset, slope, k2};
    for (Place k = blockIdx.z; k < count; k += gridDim.z) {
        const Place start = k * rows * columns;
        const Frame frame{filled + start, rows, columns};
        if (first[start + row * columns + column] || !is_candidate(frame, noise, row, column)) continue;
        if (any_near(first + start, frame, row, column)) judge(frame, noise, row, column, mask + start);
    }
}

// The pixels of a window that are not flagged.
struct Window {
    const Frame &frame;
    const unsigned char *mask;
    Place top, bottom, left, right;

    template <typename Take> __device__ void each(Take take) const {
        for (Place i = top; i <= bottom; ++i)
            for (Place j = left; j <= right; ++j)
                if (!mask[i * frame.columns + j]) take(frame.at(i, j));
    }
    __device__ int size() const {
        int n = 0;
        each([&](float) { ++n; });
        return n;
    }
    // The value that exactly `rank` others come before, in order of size.
    __device__ float ranked(int rank) const {
        float found = 0.0f;
        each([&](float candidate) {
            int below = 0, equal = 0;
            each([&](float other) {
                below += other < candidate ? 1 : 0;
                equal += other == candidate ? 1 : 0;
            });
            if (below <= rank && rank < below + equal) found = candidate;
        });
        return found;
    }
};

inline Window window_around(const Frame &frame, const unsigned char *mask, Place row, Place column, Place radius) {
    return {frame, mask, row > radius ? row - radius : 0, row + radius < frame.rows ? row + radius : frame.rows - 1,
            column > radius ? column - radius : 0, column + radius < frame.columns ? column + radius : frame.columns - 1};
}

// Median of the pixels that are not flagged, in the smallest window that holds enough of them.
__device__ float unflagged_median(const Frame &frame, const unsigned char *mask, Place row, Place column) {
    const Place largest = frame.rows > frame.columns ? frame.rows : frame.columns;
    Place radius = 2;
    int n = window_around(frame, mask, row, column, radius).size();
    while (n < ENOUGH && radius <= largest) n = window_around(frame, mask, row, column, ++radius).size();
    if (n == 0) return frame.at(row, column);
    const Window window = window_around(frame, mask, row, column, radius);
    return n % 2 ? window.ranked(n / 2) : 0.5f * (window.ranked(n / 2) + window.ranked(n / 2 - 1));
}

// Only flagged pixels are written and only unflagged ones are read, so `result` may be `frames`.
__global__ void fill(const float *frames, const unsigned char *__restrict__ mask, Place count, Place rows, Place columns,
                     float *result) {
    const Place column = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place row = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (column >= columns || row >= rows) return;
    for (Place k = blockIdx.z; k < count; k += gridDim.z) {
        const Place start = k * rows * columns, p = start + row * columns + column;
        if (mask[p]) result[p] = unflagged_median({frames + start, rows, columns}, mask + start, row, column);
    }
}

}  // namespace spots
