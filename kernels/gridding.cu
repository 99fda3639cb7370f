// Gridding back-projection of pairs of slices that share a complex number. Between these kernels stand Fourier
// transforms by cuFFT: views are padded, transformed, filtered, spread over a grid, and the grid is transformed.
#include "gridding_tap.h"

namespace deltamu {

constexpr int kLane = 32;               // pairs that go side by side
constexpr int kReach = kTile + kWidth - 1;  // cells along each axis that the samples of a tile touch

// Pad views with zeros or with their outermost values, the right half to the right and the left half to the left,
// which is the end of a period. (view, slice, column) becomes (working view, pair, sample).
__global__ void pad_views(const float *__restrict__ sinograms, const Place *__restrict__ order, Place views, Place slices,
                          Place columns, Place padded, Place repeat_edge, float2 *__restrict__ out, Place pairs) {
    const Place sample = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (sample >= padded) return;
    const bool measured = sample < columns, at_right = sample < columns + (padded - columns) / 2;
    const Place column = measured ? sample : at_right ? columns - 1 : 0;
    for (Place line = blockIdx.y; line < views * pairs; line += gridDim.y) {
        const Place first = 2 * (line % pairs);
        const float *row = sinograms + (order[line / pairs] * slices + first) * columns;
        const bool nothing = !measured && repeat_edge == 0;
        out[line * padded + sample] =
            make_float2(nothing ? 0.0f : row[column], nothing || first + 1 >= slices ? 0.0f : row[columns + column]);
    }
}

// What the spectrum of a view is multiplied with at sample `f` of a period; nothing beyond the harmonics.
__device__ float2 factor_at(const float2 *phases, const float *response, Place harmonics, Place padded, Place f) {
    const Place k = f < harmonics ? f : padded - f;
    if (k >= harmonics) return make_float2(0.0f, 0.0f);
    const float sign = f < harmonics ? 1.0f : -1.0f;
    return make_float2(phases[k].x * response[k], sign * phases[k].y * response[k]);
}

// Multiply by the response and the phases; (view, pair, sample) becomes (view, sample, pair). Blocks of 32 x 8.
__global__ void apply_response(const float2 *__restrict__ spectra, const float2 *__restrict__ phases,
                               const float *__restrict__ response, Place views, Place pairs, Place padded,
                               Place harmonics, float2 *__restrict__ samples) {
    __shared__ float2 tile[kLane][kLane + 1];
    const Place f0 = static_cast<Place>(blockIdx.x) * kLane, p0 = static_cast<Place>(blockIdx.y) * kLane;
    for (Place view = blockIdx.z; view < views; view += gridDim.z) {
        const Place f = f0 + threadIdx.x;
        const float2 factor = f < padded ? factor_at(phases + view * harmonics, response, harmonics, padded, f) : make_float2(0.0f, 0.0f);
        for (int i = threadIdx.y; i < kLane; i += blockDim.y) {
            if (f >= padded || p0 + i >= pairs) continue;
            const float2 value = spectra[(view * pairs + p0 + i) * padded + f];
            tile[i][threadIdx.x] =
                make_float2(value.x * factor.x - value.y * factor.y, value.x * factor.y + value.y * factor.x);
        }
        __syncthreads();
        for (int i = threadIdx.y; i < kLane; i += blockDim.y)
            if (f0 + i < padded && p0 + threadIdx.x < pairs)
                samples[(view * padded + f0 + i) * pairs + p0 + threadIdx.x] = tile[threadIdx.x][i];
        __syncthreads();
    }
}

// Add one sample, times the window, to the cells of a tile; `cell` is its first one. Every lane has cells of its own.
__device__ void spread_sample(float2 (*cells)[kLane + 1], int cell, const float *down, const float *along, float2 value,
                              int lane) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
        const float2 part = make_float2(value.x * down[i], value.y * down[i]);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
            float2 &target = cells[cell + i * kReach + j][lane];
            target.x += part.x * along[j];
            target.y += part.y * along[j];
        }
    }
}

// Spread the samples of the tiles of one colour: a block of 32 threads takes one tile of 32 pairs, collects it in
// shared memory in the order of the table, and adds it to the grid. Tiles of one colour do not overlap.
__global__ void spread(const float2 *__restrict__ samples, Place pairs, const Tap *__restrict__ taps,
                       const Place *__restrict__ tile_start, Place first_tile, const float *__restrict__ window,
                       float2 *__restrict__ grid, Place cells_along) {
    __shared__ float2 cells[kReach * kReach][kLane + 1];
    const int lane = static_cast<int>(threadIdx.x);
    const Place p0 = static_cast<Place>(blockIdx.y) * kLane, pair = p0 + lane, tile = first_tile + blockIdx.x;
    const Tap &any = taps[tile_start[tile]];
    const int row = any.row / kTile * kTile, column = any.column / kTile * kTile;
    for (int cell = 0; cell < kReach * kReach; ++cell) cells[cell][lane] = make_float2(0.0f, 0.0f);
    for (Place t = tile_start[tile]; pair < pairs && t < tile_start[tile + 1]; ++t) {
        const Tap tap = taps[t];
        spread_sample(cells, (tap.row - row) * kReach + tap.column - column, window + tap.row_bin * kWidth,
                      window + tap.column_bin * kWidth, samples[tap.sample * pairs + pair], lane);
    }
    __syncthreads();
    // now the lanes share the cells of one pair after the other, which lie next to each other in the grid
    for (Place p = p0; p < p0 + kLane && p < pairs; ++p)
        for (int cell = lane; cell < kReach * kReach; cell += kLane) {
            const Place r = row + cell / kReach, c = column + cell % kReach;
            if (r >= cells_along || c >= cells_along) continue;
            float2 &target = grid[(p * cells_along + r) * cells_along + c];
            target.x += cells[cell][p - p0].x;
            target.y += cells[cell][p - p0].y;
        }
}

// Places along one axis of the grid with its halo that stand for the same point; returns how many.
__device__ int same_point(Place point, Place points, Place at[2]) {
    at[0] = point + kHalo;
    at[1] = point < kHalo ? point + kHalo + points : point - (points - kHalo);
    return point < kHalo || point >= points - kHalo ? 2 : 1;
}

// Fold the halo back periodically.
__global__ void fold_halo(const float2 *__restrict__ grid, Place pairs, Place points, float2 *__restrict__ out) {
    const Place x = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place y = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y, along = points + 2 * kHalo;
    if (x >= points || y >= points) return;
    Place rows[2], columns[2];
    const int row_count = same_point(y, points, rows), column_count = same_point(x, points, columns);
    for (Place p = blockIdx.z; p < pairs; p += gridDim.z) {
        float2 sum = make_float2(0.0f, 0.0f);
        for (int i = 0; i < row_count; ++i)
            for (int j = 0; j < column_count; ++j) {
                const float2 cell = grid[(p * along + rows[i]) * along + columns[j]];
                sum.x += cell.x;
                sum.y += cell.y;
            }
        out[(p * points + y) * points + x] = sum;
    }
}

// Place of voxel `i` of `size` in a transform of `points`.
__device__ Place wrapped(Place i, Place size, Place points) {
    const Place offset = i - size / 2;
    return offset < 0 ? offset + points : offset;
}

// Cut the image out of the transformed grid and divide the window's transform out; a pair becomes two slices.
__global__ void crop(const float2 *__restrict__ images, Place pairs, Place points, const float *__restrict__ correction,
                     float *__restrict__ out, Place slices, Place size) {
    const Place x = static_cast<Place>(blockIdx.x) * blockDim.x + threadIdx.x;
    const Place y = static_cast<Place>(blockIdx.y) * blockDim.y + threadIdx.y;
    if (x >= size || y >= size) return;
    const float factor = correction[y] * correction[x];
    for (Place p = blockIdx.z; p < pairs; p += gridDim.z) {
        const float2 value = images[(p * points + wrapped(y, size, points)) * points + wrapped(x, size, points)];
        float *target = out + (2 * p * size + y) * size + x;
        target[0] = factor * value.x;
        if (2 * p + 1 < slices) target[size * size] = factor * value.y;
    }
}

}  // namespace deltamu
