// Medians of small neighbourhoods. A thread takes one pixel and keeps its neighbourhood in registers.
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

}  // namespace spots
