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

}  // namespace spots
