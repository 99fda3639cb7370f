// Neighbourhood rules of the spot and median filters, written once for every caller. Read by g++ and by NVRTC.
#pragma once
#include "portable.h"

namespace spots {

// A spot is brighter than everything at this distance (pixels), whatever the direction it is left in.
constexpr deltamu::Place REACH = 3;
// So many of the 24 pixels at that distance may be brighter: a second hit next to the first, the two ends of a thin line.
constexpr int FORGIVEN = 4;
// Standard deviations, squared, by which a spot exceeds the bright pixels around it; a corner is no brighter than they.
constexpr float CLEAR2 = 4.0f;
// Standard deviations, squared, within which a line of pixels goes straight on.
constexpr float STRAIGHT2 = 16.0f;

// So many unflagged pixels make a median that replaces a spot.
constexpr int ENOUGH = 6;

// Index mirrored at the border, the border pixel counted twice.
inline deltamu::Place reflect(deltamu::Place index, deltamu::Place size) {
    if (index >= 0 && index < size) return index;
    const deltamu::Place period = 2 * size;
    index %= period;
    if (index < 0) index += period;
    return index < size ? index : period - 1 - index;
}

inline float larger(float a, float b) { return a < b ? b : a; }
inline float smaller(float a, float b) { return b < a ? b : a; }

// Larger of the smaller ends of the four lines through a pixel: what a line or an edge leaves standing.
inline float line_support(float left, float right, float up, float down, float nw, float se, float ne, float sw) {
    return larger(larger(smaller(left, right), smaller(up, down)),
                    larger(smaller(nw, se), smaller(ne, sw)));
}

// Whether value stands more than k standard deviations above the reference level.
inline bool stands_out(float value, float reference, float offset, float slope, float k2) {
    const float excess = value - reference;
    // without a branch, so that a row of pixels is tested as vectors
    return (excess > 0.0f) & (excess * excess > k2 * (offset + slope * larger(reference, 0.0f)));
}

struct Frame {
    const float *data;
    deltamu::Place rows, columns;
    float at(deltamu::Place row, deltamu::Place column) const { return data[row * columns + column]; }
    bool has(deltamu::Place row, deltamu::Place column) const {
        return row >= 0 && row < rows && column >= 0 && column < columns;
    }
    float mirrored(deltamu::Place row, deltamu::Place column) const { return at(reflect(row, rows), reflect(column, columns)); }
};

struct Noise {
    const float *offset, *slope;  // variance = offset + slope * level, one map each
    float k2;                     // threshold squared
};

// Sort a few values.
inline void sort(float *values, int n) {
    for (int i = 1; i < n; ++i) {
        const float value = values[i];
        int j = i;
        for (; j > 0 && value < values[j - 1]; --j) values[j] = values[j - 1];
        values[j] = value;
    }
}

// Median of sorted values; the mean of the middle two when n is even.
inline float middle(const float *sorted, int n) {
    return n % 2 ? sorted[n / 2] : 0.5f * (sorted[n / 2] + sorted[n / 2 - 1]);
}

inline float line_support(const Frame &frame, deltamu::Place r, deltamu::Place c) {
    constexpr deltamu::Place d = REACH;
    return line_support(frame.mirrored(r, c - d), frame.mirrored(r, c + d), frame.mirrored(r - d, c),
                        frame.mirrored(r + d, c), frame.mirrored(r - d, c - d), frame.mirrored(r + d, c + d),
                        frame.mirrored(r - d, c + d), frame.mirrored(r + d, c - d));
}

inline bool is_candidate(const Frame &frame, const Noise &noise, deltamu::Place r, deltamu::Place c) {
    const deltamu::Place p = r * frame.columns + c;
    return stands_out(frame.data[p], line_support(frame, r, c), noise.offset[p], noise.slope[p], noise.k2);
}

// What lies at distance REACH around a pixel.
struct Surroundings {
    float level;   // median of the means of opposite pixels: on a slope still the level of the middle
    float bright;  // all but the few brightest are darker: what a corner of a bright part reaches
};

inline Surroundings surroundings(const Frame &frame, deltamu::Place r, deltamu::Place c) {
    constexpr deltamu::Place d = REACH;
    float ring[8 * d], pair[8 * d];
    int n = 0, pairs = 0;
    for (deltamu::Place i = -d; i <= d; ++i)
        for (deltamu::Place j = -d; j <= d; ++j) {
            const bool on_ring = deltamu::magnitude(i) == d || deltamu::magnitude(j) == d;
            if (!on_ring || !frame.has(r + i, c + j)) continue;
            ring[n++] = frame.at(r + i, c + j);
            if (frame.has(r - i, c - j)) pair[pairs++] = 0.5f * (ring[n - 1] + frame.at(r - i, c - j));
        }
    if (n == 0) return {frame.at(r, c), frame.at(r, c)};
    sort(ring, n);
    const int rank = n - 1 - FORGIVEN * n / static_cast<int>(8 * d);
    const float bright = ring[rank > 0 ? rank : 0];
    if (pairs < 6) return {middle(ring, n), bright};
    sort(pair, pairs);
    return {middle(pair, pairs), bright};
}

// Whether the line through a pixel at (row, column) along (dr, dc) goes straight on: its middle agrees with its ends.
inline bool goes_on(const Frame &frame, deltamu::Place row, deltamu::Place column, deltamu::Place dr, deltamu::Place dc,
                    float offset, float slope) {
    constexpr deltamu::Place d = REACH;
    const float value = frame.mirrored(row, column);
    const float ends = 0.5f * (frame.mirrored(row + d * dr, column + d * dc) + frame.mirrored(row - d * dr, column - d * dc));
    return !stands_out(larger(value, ends), smaller(value, ends), offset, slope, STRAIGHT2);
}

// Whether the pixel stands on an edge or a slope: along some direction the lines beside it agree with the mean of
// their ends, and it does not. At a corner no direction has such lines.
inline bool breaks_a_line(const Frame &frame, const Noise &noise, deltamu::Place r, deltamu::Place c) {
    constexpr deltamu::Place d = REACH;
    const deltamu::Place p = r * frame.columns + c;
    const float offset = noise.offset[p], slope = noise.slope[p];
    for (int direction = 0; direction < 4; ++direction) {
        // along the row, along the column, and the two diagonals
        const deltamu::Place dr = direction == 0 ? 0 : 1, dc = direction == 0 ? 1 : direction == 1 ? 0 : direction == 2 ? 1 : -1;
        const float ends = 0.5f * (frame.mirrored(r + d * dr, c + d * dc) + frame.mirrored(r - d * dr, c - d * dc));
        if (!stands_out(frame.data[p], ends, offset, slope, noise.k2)) continue;
        // two lines on either side, of which one may be spoilt by another spot
        const auto beside = [&](deltamu::Place by) {
            return goes_on(frame, r - by * dc, c + by * dr, dr, dc, offset, slope);
        };
        if ((beside(-d) || beside(1 - d)) && (beside(d - 1) || beside(d))) return true;
    }
    return false;
}

// The wings of a spot: neighbours of a flagged pixel that exceed half the threshold.
inline void flag_wings(const Frame &frame, const Noise &noise, deltamu::Place r, deltamu::Place c, float level,
                       unsigned char *mask) {
    for (deltamu::Place i = r - 1; i <= r + 1; ++i)
        for (deltamu::Place j = c - 1; j <= c + 1; ++j) {
            if (!frame.has(i, j)) continue;
            const deltamu::Place p = i * frame.columns + j;
            if (stands_out(frame.data[p], level, noise.offset[p], noise.slope[p], 0.25f * noise.k2)) mask[p] = 1;
        }
}

// Judge a candidate, and flag it with its wings. What is flagged does not depend on the order of the candidates.
inline void judge(const Frame &frame, const Noise &noise, deltamu::Place r, deltamu::Place c, unsigned char *mask) {
    const deltamu::Place p = r * frame.columns + c;
    const float value = frame.data[p], offset = noise.offset[p], slope = noise.slope[p];
    const Surroundings around = surroundings(frame, r, c);
    if (stands_out(value, around.level, offset, slope, noise.k2) &&
        stands_out(value, around.bright, offset, slope, CLEAR2)) {
        mask[p] = 1;
        flag_wings(frame, noise, r, c, around.bright, mask);
    } else if (breaks_a_line(frame, noise, r, c)) {
        mask[p] = 1;
    }
}

}  // namespace spots
