// Planes of voxels or samples of some slices, which ride innermost: what is done to a number is done to all of them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace deltamu {

using Index = std::int64_t;

constexpr Index LANES = 32;

#if defined(__GNUC__)
typedef float Vector __attribute__((vector_size(32), aligned(32)));
constexpr Index VECTORS = LANES / 8;
struct alignas(64) Slices {
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

}  // namespace deltamu
