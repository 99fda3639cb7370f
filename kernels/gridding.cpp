// Gridding back-projection of blocks of thirty-two slices: filter, spread, transform, crop.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <complex>
#include <memory>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "dispatch.h"
#include "gridder.h"

namespace py = pybind11;
using namespace deltamu;

namespace deltamu {

constexpr int kBlock = 2 * kLanes;  // slices at a time
constexpr int64_t kNoView = INT64_MAX;

int thread_number() {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

int threads_at_most() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// A block of detector rows of all views, and what its transforms are multiplied with.
struct Views {
    const float *first_row;         // row 0 of the block in view 0
    int64_t view_stride;            // floats from one view to the next
    int rows, columns;              // rows <= kBlock
    const int64_t *order;           // the stored view at each place of the working order
    const std::complex<float> *phases;  // (view in working order, harmonic): shift to the axis times the weight
    const float *response;          // (harmonic)
    int harmonics;
    bool repeat_edge;               // pad with the outermost columns instead of zeros
};

struct Workspace {
    Cell *samples, *grid, *buffers;
    int64_t buffer_cells;  // per thread: data and scratch
};

// Sixteen consecutive columns of sixteen rows, a lane per row, into one half (re or im) of the cells.
// Anything that is not finite shows up in `residue`, which stays zero otherwise.
DELTAMU_INLINE void load_block(const float *const *rows, int count, int column, int width, Cell *cells, bool imaginary,
                               Lanes &residue) {
    Lanes block[kLanes];
    for (int lane = 0; lane < kLanes; lane++) {
        block[lane] = Lanes{};
        if (lane >= count) continue;
        if (width == kLanes) load(rows[lane] + column, block[lane]);
        else std::memcpy(&block[lane], rows[lane] + column, width * sizeof(float));
    }
    for (int lane = 0; lane < kLanes; lane++) residue += block[lane] * 0.0f;
    transpose(block);
    for (int i = 0; i < width; i++) (imaginary ? cells[column + i].im : cells[column + i].re) = block[i];
}

DELTAMU_INLINE bool load_view(const Views &views, int64_t stored_view, Cell *cells) {
    const float *rows[kBlock];
    for (int row = 0; row < views.rows; row++)
        rows[row] = views.first_row + stored_view * views.view_stride + int64_t(row) * views.columns;
    Lanes residue{};
    const int real_rows = std::min(views.rows, kLanes), imaginary_rows = std::max(views.rows - kLanes, 0);
    for (int column = 0; column < views.columns; column += kLanes) {
        const int width = std::min(kLanes, views.columns - column);
        load_block(rows, real_rows, column, width, cells, false, residue);
        load_block(rows + kLanes, imaginary_rows, column, width, cells, true, residue);
    }
    bool finite = true;
    for (int lane = 0; lane < kLanes; lane++) finite &= residue[lane] == 0.0f;
    return finite;
}

DELTAMU_INLINE void pad(Cell *cells, int columns, int padded, bool repeat_edge) {
    const Cell zero{Lanes{}, Lanes{}};
    const Cell left = repeat_edge ? cells[0] : zero, right = repeat_edge ? cells[columns - 1] : zero;
    const int middle = columns + (padded - columns) / 2;
    for (int i = columns; i < middle; i++) cells[i] = right;
    for (int i = middle; i < padded; i++) cells[i] = left;
}

// Multiply by the response and the phases. Real and imaginary parts leave exchanged, which turns the forward
// transforms of the grid into inverse ones.
DELTAMU_INLINE void apply_response(const Views &views, const std::complex<float> *phases, const Cell *spectrum,
                                   int padded, Cell *samples) {
    for (int k = 0; k < views.harmonics; k++) {
        const float re = phases[k].real() * views.response[k], im = phases[k].imag() * views.response[k];
        const Cell positive = times(spectrum[k], re, im);
        samples[k] = {positive.im, positive.re};
        if (k == 0) continue;
        const Cell negative = times(spectrum[padded - k], re, -im);
        samples[padded - k] = {negative.im, negative.re};
    }
}

// Returns the first stored view with a value that is not finite, or kNoView.
DELTAMU_DISPATCH int64_t filter_views(const Views &views, const LaneFft &fft, int first, int last, const Workspace &work) {
    int64_t bad_view = kNoView;
    const int padded = fft.length();
#pragma omp parallel for schedule(dynamic, 1) reduction(min : bad_view)
    for (int view = first; view < last; view++) {
        Cell *data = work.buffers + thread_number() * work.buffer_cells;
        if (!load_view(views, views.order[view], data)) bad_view = std::min(bad_view, views.order[view]);
        pad(data, views.columns, padded, views.repeat_edge);
        const Cell *spectrum = transform(fft, data, data + padded);
        apply_response(views, views.phases + int64_t(view) * views.harmonics, spectrum, padded,
                       work.samples + int64_t(view - first) * padded);
    }
    return bad_view;
}

DELTAMU_INLINE void spread(const Tap &tap, const Cell &sample, const float *window, Cell *grid, int stride) {
    const float *down = window + int64_t(tap.row_bin) * kWidth, *along = window + int64_t(tap.column_bin) * kWidth;
    Cell *corner = grid + int64_t(tap.row) * stride + tap.column;
    for (int i = 0; i < kWidth; i++) {
        const Cell part = scaled(sample, down[i]);
        Cell *target = corner + int64_t(i) * stride;
        for (int j = 0; j < kWidth; j++) target[j] = target[j] + scaled(part, along[j]);
    }
}

// Add the samples of one chunk of views to the grid. Every grid point is summed in the order of the table,
// whatever the number of threads.
DELTAMU_DISPATCH void spread_chunk(const TapTable &table, int chunk, const float *window, int stride,
                                   const Workspace &work) {
    constexpr int kAhead = 6;  // taps; hides the latency of samples that have left the nearest cache
    for (int colour = 0; colour < 4; colour++) {
        const int64_t first = table.group_start[4 * size_t(chunk) + colour];
        const int64_t last = table.group_start[4 * size_t(chunk) + colour + 1];
#pragma omp parallel for schedule(dynamic, 4)
        for (int64_t tile = first; tile < last; tile++) {
            const int64_t end = table.tile_start[tile + 1];
            for (int64_t t = table.tile_start[tile]; t < end; t++) {
                const Cell *ahead = work.samples + table.taps[std::min(t + kAhead, end - 1)].sample;
                __builtin_prefetch(&ahead->re);
                __builtin_prefetch(&ahead->im);
                spread(table.taps[t], work.samples[table.taps[t].sample], window, work.grid, stride);
            }
        }
    }
}

// A line of the grid with its halo folded back onto the points it stands for.
DELTAMU_INLINE void gather_line(const Cell *line, int64_t step, int points, Cell *data) {
    for (int i = 0; i < points; i++) data[i] = line[(i + kHalo) * step];
    for (int i = 0; i < kHalo; i++) {
        data[points - kHalo + i] = data[points - kHalo + i] + line[i * step];
        data[i] = data[i] + line[(points + kHalo + i) * step];
    }
}

// Where output voxel `i` of `size` lies in a transform of `points`.
DELTAMU_INLINE int wrapped(int i, int size, int points) {
    const int offset = i - size / 2;
    return offset < 0 ? offset + points : offset;
}

DELTAMU_DISPATCH void transform_columns(const LaneFft &fft, const GridShape &shape, const float *correction, int size,
                                        const Workspace &work) {
    const int points = shape.points;
#pragma omp parallel for schedule(static)
    for (int column = 0; column < points + 2 * kHalo; column++) {
        Cell *data = work.buffers + thread_number() * work.buffer_cells;
        gather_line(work.grid + column, shape.stride, points, data);
        const Cell *result = transform(fft, data, data + points);
        for (int y = 0; y < size; y++)
            work.grid[int64_t(y) * shape.stride + column] = scaled(result[wrapped(y, size, points)], correction[y]);
    }
}

DELTAMU_INLINE void store_half(Lanes *block, int count, float *out, int64_t slice_stride, int width) {
    transpose(block);
    for (int lane = 0; lane < count; lane++)
        if (width == kLanes) store(block[lane], out + lane * slice_stride);
        else std::memcpy(out + lane * slice_stride, &block[lane], width * sizeof(float));
}

// Write sixteen voxels of up to thirty-two slices; slices 0 to 15 lie in the imaginary part (see apply_response).
DELTAMU_INLINE void store_block(const Cell *result, const float *correction, int x, int size, int points, int slices,
                                float *out) {
    const int width = std::min(kLanes, size - x);
    const int64_t slice_stride = int64_t(size) * size;
    Lanes first[kLanes], second[kLanes];
    for (int i = 0; i < kLanes; i++) {
        const int voxel = std::min(x + i, size - 1);
        const Cell cell = scaled(result[wrapped(voxel, size, points)], correction[voxel]);
        first[i] = cell.im;
        second[i] = cell.re;
    }
    store_half(first, std::min(slices, kLanes), out + x, slice_stride, width);
    if (slices > kLanes) store_half(second, slices - kLanes, out + kLanes * slice_stride + x, slice_stride, width);
}

DELTAMU_DISPATCH void transform_rows(const LaneFft &fft, const GridShape &shape, const float *correction, int size,
                                     int slices, const Workspace &work, float *out) {
    const int points = shape.points;
#pragma omp parallel for schedule(static)
    for (int y = 0; y < size; y++) {
        Cell *data = work.buffers + thread_number() * work.buffer_cells;
        gather_line(work.grid + int64_t(y) * shape.stride, 1, points, data);
        const Cell *result = transform(fft, data, data + points);
        for (int x = 0; x < size; x += kLanes)
            store_block(result, correction, x, size, points, slices, out + int64_t(y) * size);
    }
}

DELTAMU_DISPATCH void clear(Cell *cells, int64_t count) {
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < (count + 4095) / 4096; part++)
        std::memset(static_cast<void *>(cells + part * 4096), 0, std::min<int64_t>(4096, count - part * 4096) * sizeof(Cell));
}

}  // namespace deltamu

namespace {

template <typename T> using Dense = py::array_t<T, py::array::c_style>;

// The geometry of one back-projection, without the axis position and the weights.
class Gridder {
  public:
    Gridder(const Dense<double> &cosines, const Dense<double> &sines, const Dense<int64_t> &order,
            const Dense<float> &window, const Dense<float> &correction, int harmonics, int padded, int grid_points,
            double voxel_step, int chunk_views)
        : view_fft_(padded), grid_fft_(grid_points), shape_{grid_points, (grid_points + 2 * kHalo) | 1},
          chunk_views_(chunk_views), harmonics_(harmonics), order_(order.data(), order.data() + order.size()),
          window_(window.data(), window.data() + window.size()),
          correction_(correction.data(), correction.data() + correction.size()) {
        if (grid_points < kWidth || grid_points > 60000) throw py::value_error("grid: expected 4 to 60000 points");
        if (window_.size() != size_t(kKernelBins + 1) * kWidth) throw py::value_error("window: wrong table size");
        if (cosines.size() != sines.size() || cosines.size() != order.size())
            throw py::value_error("views: cosines, sines and order differ in length");
        if (harmonics < 1 || 2 * harmonics - 1 > padded) throw py::value_error("harmonics: more than samples");
        const PolarSamples polar{cosines.data(), sines.data(), int(order_.size()), harmonics,
                                 padded,         voxel_step,   chunk_views};
        py::gil_scoped_release release;
        table_ = make_taps(polar, grid_points);
    }

    int64_t table_bytes() const { return int64_t(table_.taps.size() * sizeof(Tap)); }

    int64_t workspace_bytes() const {
        return int64_t(sizeof(Cell)) * (sample_cells() + shape_.cells() + threads_at_most() * buffer_cells()) + 64;
    }

    // Reconstruct rows [row, row + kBlock) into `out`; returns the first view that is not finite, or -1.
    int64_t backproject(const Dense<float> &sinograms, int64_t row, const Dense<std::complex<float>> &phases,
                        const Dense<float> &response, bool repeat_edge, Dense<uint8_t> &workspace,
                        Dense<float> &out) const {
        check(sinograms, row, phases, response, workspace, out);
        const int size = int(correction_.size());
        const int rows = int(std::min<int64_t>(kBlock, sinograms.shape(1) - row));
        const int64_t columns = sinograms.shape(2);
        const Views views{sinograms.data() + row * columns, sinograms.shape(1) * columns, rows, int(columns),
                          order_.data(), phases.data(), response.data(), harmonics_, repeat_edge};
        float *target = out.mutable_data() + row * size * size;
        const Workspace work = divide(workspace.mutable_data());
        py::gil_scoped_release release;
        const int64_t bad_view = run(views, work, target);
        return bad_view == kNoView ? -1 : bad_view;
    }

  private:
    int64_t sample_cells() const {
        return int64_t(std::min<size_t>(chunk_views_, order_.size())) * view_fft_.length();
    }
    int64_t buffer_cells() const { return 2 * int64_t(std::max(view_fft_.length(), grid_fft_.length())); }

    Workspace divide(uint8_t *memory) const {
        Cell *cells = reinterpret_cast<Cell *>((reinterpret_cast<uintptr_t>(memory) + 63) / 64 * 64);
        return {cells, cells + sample_cells(), cells + sample_cells() + shape_.cells(), buffer_cells()};
    }

    void check(const Dense<float> &sinograms, int64_t row, const Dense<std::complex<float>> &phases,
               const Dense<float> &response, const Dense<uint8_t> &workspace, const Dense<float> &out) const {
        const int64_t size = int64_t(correction_.size()), views = int64_t(order_.size());
        if (sinograms.ndim() != 3 || sinograms.shape(0) != views || sinograms.shape(2) > view_fft_.length())
            throw py::value_error("sinograms: expected (angle, row, column) as planned");
        if (row < 0 || row >= sinograms.shape(1)) throw py::value_error("row: outside the sinograms");
        if (phases.ndim() != 2 || phases.shape(0) != views || phases.shape(1) != harmonics_)
            throw py::value_error("phases: expected (angle, harmonic)");
        if (response.size() < harmonics_) throw py::value_error("response: fewer values than harmonics");
        if (workspace.size() < workspace_bytes()) throw py::value_error("workspace: too small");
        if (out.ndim() != 3 || out.shape(0) != sinograms.shape(1) || out.shape(1) != size || out.shape(2) != size)
            throw py::value_error("out: expected (row, size, size)");
    }

    int64_t run(const Views &views, const Workspace &work, float *out) const {
        const int count = int(order_.size()), size = int(correction_.size());
        int64_t bad_view = kNoView;
        clear(work.grid, shape_.cells());
        for (int first = 0, chunk = 0; first < count; first += chunk_views_, chunk++) {
            const int last = std::min(count, first + chunk_views_);
            bad_view = std::min(bad_view, filter_views(views, view_fft_, first, last, work));
            spread_chunk(table_, chunk, window_.data(), shape_.stride, work);
        }
        transform_columns(grid_fft_, shape_, correction_.data(), size, work);
        transform_rows(grid_fft_, shape_, correction_.data(), size, views.rows, work, out);
        return bad_view;
    }

    LaneFft view_fft_, grid_fft_;
    GridShape shape_;
    int chunk_views_, harmonics_;
    std::vector<int64_t> order_;
    std::vector<float> window_, correction_;
    TapTable table_;
};

template <typename T> py::array_t<T> as_array(const std::vector<T> &values) {
    return py::array_t<T>(py::ssize_t(values.size()), values.data());
}

// The samples of all views sorted into tiles at once: bytes of the taps, starts of the tiles, and of the colours.
py::tuple polar_taps(const Dense<double> &cosines, const Dense<double> &sines, int harmonics, int padded, int grid_points,
                     double voxel_step) {
    const int views = int(cosines.size());
    if (cosines.size() != sines.size() || views < 1) throw py::value_error("views: cosines and sines differ in length");
    if (int64_t(views) * padded > INT32_MAX) throw py::value_error("views: more samples than 32 bits count");
    if (grid_points < kWidth || grid_points > 60000) throw py::value_error("grid: expected 4 to 60000 points");
    const TapTable table = make_taps({cosines.data(), sines.data(), views, harmonics, padded, voxel_step, views}, grid_points);
    const py::ssize_t bytes = py::ssize_t(table.taps.size() * sizeof(Tap));
    return py::make_tuple(py::array_t<uint8_t>(bytes, reinterpret_cast<const uint8_t *>(table.taps.data())),
                          as_array(table.tile_start), as_array(table.group_start));
}

}  // namespace

void bind_gridding(py::module_ &module) {
    module.attr("GRIDDING_WIDTH") = kWidth;
    module.attr("GRIDDING_BINS") = kKernelBins;
    module.attr("GRIDDING_BLOCK") = kBlock;
    module.attr("GRIDDING_HALO") = kHalo;
    module.def("polar_taps", &polar_taps, py::arg("cosines").noconvert(), py::arg("sines").noconvert(), py::kw_only(),
               py::arg("harmonics"), py::arg("padded"), py::arg("grid_points"), py::arg("voxel_step"));
    py::class_<Gridder>(module, "Gridder")
        .def(py::init<const Dense<double> &, const Dense<double> &, const Dense<int64_t> &, const Dense<float> &,
                      const Dense<float> &, int, int, int, double, int>(),
             py::arg("cosines").noconvert(), py::arg("sines").noconvert(), py::arg("order").noconvert(),
             py::arg("window").noconvert(), py::arg("correction").noconvert(), py::kw_only(), py::arg("harmonics"),
             py::arg("padded"), py::arg("grid_points"), py::arg("voxel_step"), py::arg("chunk_views"))
        .def_property_readonly("table_bytes", &Gridder::table_bytes)
        .def_property_readonly("workspace_bytes", &Gridder::workspace_bytes)
        .def("backproject", &Gridder::backproject, py::arg("sinograms").noconvert(), py::arg("row"),
             py::arg("phases").noconvert(), py::arg("response").noconvert(), py::arg("repeat_edge"),
             py::arg("workspace").noconvert(), py::arg("out").noconvert());
}
